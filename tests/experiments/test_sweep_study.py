"""Test what optuna decides in a sweep: values that are drawn, trials that are pruned, and what is left after a kill."""

import pytest

from paddle_ft.experiments import sweep_study
from paddle_ft.experiments.sweep_study import JOURNAL, Grid, Study, open_trials
from paddle_ft.system.errors import UserError
from tests.support.tiny_sweep import plan_of

SEARCH = ("train.learning_rate=log(1e-5,1e-2)", "train.gradient_accumulation_steps=int(1,3)", "train.train_batch_size=2,4")


def run_trial(study, number, values, ends=True):
    """Report values at even distances, as a training does. Return the number of evaluations that it had."""
    if number > study.known():
        study.add()
    rule = study.stop_rule(number)
    for count, value in enumerate(values, start=1):
        if rule is not None and rule(10 * count, count / len(values), value):
            break
    if ends:
        study.end(number, max(values[:count]))
    return count


def test_a_search_draws_the_same_values_in_one_piece_and_after_a_stop(tmp_path):
    plan = plan_of(tmp_path, *SEARCH, trials=8)
    whole = Study(plan)
    for number in range(1, 9):
        run_trial(whole, number, [number % 3])
    again = Study(plan_of(tmp_path, *SEARCH, f"output_dir={tmp_path / 'other'}", trials=8))
    for number in range(1, 9):
        if number == 7:
            again = Study(plan_of(tmp_path, *SEARCH, f"output_dir={tmp_path / 'other'}", trials=8))
        run_trial(again, number, [number % 3])
    drawn = [whole.settings(number) for number in range(1, 9)]
    assert [again.settings(number) for number in range(1, 9)] == drawn
    assert len({values["train.learning_rate"] for values in drawn}) == 8
    for number, values in enumerate(drawn, start=1):
        config = plan.config(number, values)
        assert 1e-5 <= config.train.learning_rate <= 1e-2 and config.train.gradient_accumulation_steps in (1, 2, 3)
        assert config.train.train_batch_size in (2, 4) and repr(config.train.learning_rate) == values["train.learning_rate"]
    assert set(whole.importance()) == {parameter.key for parameter in plan.space.parameters}
    assert sum(whole.importance().values()) == pytest.approx(1)


def test_a_trial_whose_values_were_being_drawn_gets_the_missing_ones(tmp_path):
    plan = plan_of(tmp_path, *SEARCH, trials=4)
    study = Study(plan)
    study._study.ask().suggest_int("train.gradient_accumulation_steps", 1, 3)
    again = Study(plan)
    values = again.settings(1)
    assert again.known() == 1 and set(values) == {parameter.key for parameter in plan.space.parameters}
    assert Study(plan).settings(1) == values


def test_a_search_prunes_what_is_below_the_median_of_finished_trials(tmp_path):
    study = Study(plan_of(tmp_path, *SEARCH, trials=6, prune=True))
    assert [run_trial(study, number, values) for number, values in enumerate(([50, 60, 70], [50, 62, 72], [50, 58, 64]), 1)] == [
        3
    ] * 3
    assert run_trial(study, 4, [50, 59, 90]) == 2  # 59 is below 60 at two thirds
    assert run_trial(study, 5, [55, 60, 61]) == 3  # 60 is not below the median, and the last evaluation ends it anyway
    assert [study.pruned_at(number) for number in range(1, 6)] == [None, None, None, 20, None]


def test_where_low_values_are_good_high_ones_are_pruned(tmp_path):
    study = Study(plan_of(tmp_path, *SEARCH, "eval.best_metric=loss", trials=6, prune=True))
    for number, values in enumerate(([0.5, 0.4, 0.3], [0.5, 0.42, 0.3], [0.5, 0.38, 0.3]), 1):
        run_trial(study, number, values)
    assert run_trial(study, 4, [0.6, 0.5, 0.1]) == 1 and study.pruned_at(4) == 10
    assert run_trial(study, 5, [0.4, 0.39, 0.2]) == 3


def test_trials_with_other_numbers_of_steps_are_compared_at_the_same_share(tmp_path):
    """The fourth trial is evaluated at 50 %. At that point the others have what they had at a third."""
    study = Study(plan_of(tmp_path, *SEARCH, trials=6, prune=True))
    for number in (1, 2, 3):
        run_trial(study, number, [50, 80, 90])
    assert run_trial(study, 4, [51, 95]) == 2
    assert run_trial(study, 5, [49, 95]) == 1 and study.pruned_at(5) == 10


def test_a_grid_is_pruned_by_successive_halving(tmp_path):
    plan = plan_of(tmp_path, "train.learning_rate=1e-3,2e-3,3e-3,4e-3", prune=True)
    study = open_trials(plan)
    assert isinstance(study, Study) and study.known() == 0
    ends = [run_trial(study, number, values) for number, values in enumerate(([50] * 5, [40] * 5, [60] * 5, [55] * 5), 1)]
    # After a quarter the better half of four goes on, and of the three that got so far, the better half is one after a half.
    assert ends == [5, 2, 5, 3]
    assert [study.settings(number)["train.learning_rate"] for number in (1, 4)] == ["1e-3", "4e-3"]
    assert [study.pruned_at(number) for number in (1, 2, 3, 4)] == [None, 20, None, 30]


def test_another_process_sees_what_was_reported_and_a_pruned_trial_stays_pruned(tmp_path):
    plan = plan_of(tmp_path, *SEARCH, trials=6, prune=True)
    study = Study(plan)
    for number in (1, 2, 3):
        run_trial(study, number, [50, 60, 70])
    study.add()
    other = Study(plan, owner=False)
    rule = other.stop_rule(4)
    assert rule(10, 1 / 3, 70.0) == "" and rule(20, 2 / 3, 20.0) == ""  # its best value counts
    other.add()
    assert run_trial(other, 5, [40, 40, 40], ends=False) == 1
    assert study.pruned_at(5) == 10
    resumed = Study(plan).stop_rule(5)
    assert resumed(10, 1 / 3, 40.0) == "pruned: 33% into the training it is behind other trials"
    study.end(5, 40.0)
    study.end(5, 40.0)  # a second time, as after a kill


def test_a_cut_line_of_the_journal_and_a_lock_that_was_left_do_not_stop_it(tmp_path):
    plan = plan_of(tmp_path, *SEARCH, trials=6)
    run_trial(Study(plan), 1, [50])
    journal = plan.folder / JOURNAL
    with open(journal, "a") as file:
        file.write('{"op_code":4,"wor')
    (plan.folder / f"{JOURNAL}.lock").touch()
    study = Study(plan)
    study.add()
    assert study.known() == 2 and Study(plan).settings(2) == study.settings(2)


def test_a_journal_of_something_else_is_refused(tmp_path):
    plan = plan_of(tmp_path, *SEARCH, trials=6)
    plan.folder.mkdir(exist_ok=True)
    (plan.folder / JOURNAL).write_text("something\nelse\n")
    with pytest.raises(UserError, match=r"optuna.log: this file is damaged .* Start the sweep again with output_dir=ANOTHER."):
        Study(plan)


def test_without_optuna_a_grid_works_and_the_rest_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_study.importlib.util, "find_spec", lambda name: None)
    assert isinstance(open_trials(plan_of(tmp_path, "train.learning_rate=1e-3,2e-3")), Grid)
    for plan in (plan_of(tmp_path, *SEARCH, trials=3), plan_of(tmp_path, "train.learning_rate=1e-3,2e-3", prune=True)):
        with pytest.raises(
            UserError, match=r"ranges and --prune need optuna, which is missing in .*\n  pip install 'optuna>=5.0,<6'"
        ):
            open_trials(plan)
    assert not (tmp_path / "run").exists()
