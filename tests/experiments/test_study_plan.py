"""Test the runs that a study consists of: their settings, seeds, folders and commands."""

import pytest

from paddle_ft.experiments.study_file import read_study
from paddle_ft.experiments.study_plan import make_plan, value_label
from paddle_ft.system.errors import UserError
from tests.support.pages import files_on_page
from tests.support.studies import STUDY, tiny_plan, write_study


def plan_of(name, *overrides, sample=False, seeds=None):
    return make_plan(read_study(name, sample), overrides, seeds)


def test_domain_adaptation():
    plan = plan_of("domain_adaptation")
    assert plan.seeds == [2022, 2023, 2024, 2025, 2026] and plan.labels == ["100", "500", "2,000", "all"]
    assert len(plan.runs) == 1 + 5 * 4 * 2 and plan.runs[0].recipe == "distilbert_imdb_mlm"
    assert [run.label for run in plan.runs[:4]] == [
        "adapted, seed 2022", "classifier, original, 100, seed 2022", "classifier, adapted, 100, seed 2022",
        "classifier, original, 500, seed 2022",
    ]  # fmt: skip
    original, adapted = plan.runs[1], plan.runs[-1]
    assert original.config.model.pretrained == "distilbert/distilbert-base-uncased" and original.config.data.limit_train == 100
    assert original.config.train.num_train_epochs == 30 and adapted.config.train.num_train_epochs == 3
    assert adapted.label == "classifier, adapted, all, seed 2026" and adapted.config.data.limit_train is None
    assert adapted.config.model.pretrained == "runs/study_domain_adaptation/adapted/seed-2022/best"
    assert (adapted.config.seed, adapted.config.output_dir) == (
        2026, "runs/study_domain_adaptation/classifier/adapted/all/seed-2026",
    )  # fmt: skip
    assert adapted.needs == (plan.runs[0].path,) and original.needs == ()


def test_noise_and_size():
    plan = plan_of("noise")
    assert plan.series == ["1 line", "2 lines", "3 lines"] and plan.labels == ["0", "0.15", "0.25", "0.35"]
    assert len(plan.runs) == 3 * 4 * 3
    tasks = {(run.config.task.context_lines, run.config.task.noise) for run in plan.runs}
    assert tasks == {(lines, noise) for lines in (1, 2, 3) for noise in (0, 0.15, 0.25, 0.35)}
    assert plan.runs[-1].config.output_dir == "runs/study_noise/lyrics/3-lines/0.35/seed-2024"
    plan = plan_of("size")
    assert plan.series == ["bart_lcsts"] and [run.config.data.limit_train for run in plan.runs[:4]] == [1000, 5000, 20000, 100000]
    assert len(plan.runs) == 4 * 3 and plan.runs[0].config.output_dir == "runs/study_size/summaries/1000/seed-2022"


@pytest.mark.parametrize("name", ["domain_adaptation", "noise", "size"])
def test_the_samples_are_small(name):
    plan = plan_of(name, sample=True)
    assert len(plan.seeds) == 2 and len(plan.runs) <= 16
    assert str(plan.folder) == f"runs/study_{name}_sample"
    assert all(run.config.sample and str(run.config.data.source).startswith("sample:") for run in plan.runs)
    assert all("--sample" in run.command(sample=True) for run in plan.runs)


def test_settings_for_all_runs_for_a_stage_and_for_the_folder():
    plan = plan_of(
        "domain_adaptation", "model.pretrained=TINY", "adapted.train.learning_rate=0.1", "output_dir=here", "seed=5", seeds=2
    )
    adapted, original, from_adapted = plan.runs[:3]
    assert plan.seeds == [5, 6] and str(adapted.path) == "here/adapted/seed-5"
    assert (adapted.config.model.pretrained, original.config.model.pretrained) == ("TINY", "TINY")
    assert from_adapted.config.model.pretrained == "here/adapted/seed-5/best"  # what a series sets counts
    assert (adapted.config.train.learning_rate, original.config.train.learning_rate) == (0.1, 2e-5)
    assert from_adapted.overrides == (
        "model.pretrained=here/adapted/seed-5/best", "data.limit_train=100", "train.num_train_epochs=30", "seed=5",
        "output_dir=here/classifier/adapted/100/seed-5",
    )  # fmt: skip


def test_a_stage_with_every_seed_gives_each_run_the_checkpoint_of_its_seed(tmp_path):
    text = STUDY.replace("recipe: distilbert_imdb_mlm", "recipe: distilbert_imdb_mlm\n    every_seed: true")
    plan = make_plan(read_study(str(write_study(tmp_path, text))), ["output_dir=here"])
    assert [run.label for run in plan.runs[:2]] == ["adapted, seed 2022", "adapted, seed 2023"]
    found = {run.seed: run.config.model.pretrained for run in plan.measured if run.series == "adapted"}
    assert found == {2022: "here/adapted/seed-2022/best", 2023: "here/adapted/seed-2023/best"}


@pytest.mark.parametrize(("override", "expected"), [
    ("data.limit_train=5", r"command line: data.limit_train=5: this study varies data.limit_train itself \(.*mine.yaml:14\)\."),
    ("classifier.seed=5", "command line: classifier.seed=5: it cannot be set for one stage; set seed for the whole study."),
    ("train.learning_rat=5", r"train.learning_rat: there is no such key \(command line: train.learning_rat=5\)\. Did you mean"),
    ("classifier.task.chunk_size=5", r"task.chunk_size: there is no such key \(command line: classifier.task.chunk_size=5\)"),
    ("rate", "an override looks like section.key=value"),
])  # fmt: skip
def test_wrong_settings_are_refused(tmp_path, override, expected):
    with pytest.raises(UserError, match=expected):
        tiny_plan(tmp_path, None, override)


def test_a_wrong_setting_in_the_file_is_named_with_its_line(tmp_path):
    path = write_study(tmp_path, STUDY.replace("scratch: {}", "scratch: {train.learning_rate: fast}"))
    with pytest.raises(UserError) as caught:
        make_plan(read_study(str(path)))
    assert f"train.learning_rate: 'fast' is not allowed ({path}:12): must be a number." in str(caught.value)
    path = write_study(tmp_path, STUDY.replace("[4, null]", "[4, five]"))
    with pytest.raises(UserError) as caught:
        make_plan(read_study(str(path)))
    assert f"data.limit_train: 'five' is not allowed ({path}:14): must be a whole number." in str(caught.value)


def test_series_with_the_same_folder_are_refused(tmp_path):
    path = write_study(tmp_path, STUDY.replace("scratch: {}", '"adapted!": {}'))
    with pytest.raises(UserError, match="mine.yaml:8: two of its series or values of x have the same name for a folder."):
        make_plan(read_study(str(path)))


def test_series_do_not_change_a_mapping_of_the_others(tmp_path):
    text = STUDY.replace(
        "data.test: none}", "data.test: none, model.pretrained: null, model.config: {model_type: distilbert, num_hidden_layers: 1}}"
    )
    text = text.replace("scratch: {}", "deep: {model.config.num_hidden_layers: 4}\n      flat: {}")
    plan = make_plan(read_study(str(write_study(tmp_path, text))))
    layers = {(run.series, run.x): run.config.model.config["num_hidden_layers"] for run in plan.measured if run.series != "adapted"}
    assert layers == {("deep", 0): 4, ("deep", 1): 4, ("flat", 0): 1, ("flat", 1): 1}
    flat = next(run for run in plan.measured if run.series == "flat")
    assert "'model.config={model_type: distilbert, num_hidden_layers: 1}'" in flat.command(sample=False)


def test_a_misspelled_stage_on_the_command_line_is_named(tmp_path):
    with pytest.raises(UserError) as caught:
        tiny_plan(tmp_path, None, "clasifier.train.learning_rate=0.1")
    assert str(caught.value) == (
        "command line: clasifier.train.learning_rate=0.1: there is no stage or section clasifier. Did you mean classifier?"
        " Stages: adapted, classifier."
    )


def test_the_folder_may_not_be_a_run(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "config.yaml").write_text("")
    with pytest.raises(UserError, match="is a run itself; name a folder for all runs of the study with output_dir=ANOTHER"):
        tiny_plan(tmp_path)


def test_values_of_x_as_texts():
    assert [value_label(value) for value in (None, 2000, 0.25, 2e-5, "linear", True)] == [
        "all",
        "2,000",
        "0.25",
        "2e-05",
        "linear",
        "true",
    ]


def test_the_study_on_the_page_is_one(tmp_path):
    [text] = files_on_page("docs/studies.md").values()
    path = write_study(tmp_path, text)
    plan = make_plan(read_study(str(path)))
    assert [len(plan.runs), plan.series, plan.labels] == [18, ["first token", "recurrent"], ["1e-05", "2e-05", "5e-05"]]
    assert len(make_plan(read_study(str(path), sample=True)).runs) == 12
