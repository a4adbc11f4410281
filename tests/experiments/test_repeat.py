"""Test training with several seeds: which runs are started, continued or skipped, and the tables."""

import json
import statistics
from pathlib import Path

import pytest

from paddle_ft.cli import main
from paddle_ft.config.load import load_config
from paddle_ft.experiments import repeat, repeat_results
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.errors import UserError
from paddle_ft.training import resume
from paddle_ft.training import run as training
from tests.support.tiny_classification import ROWS, overrides


def make_plans(folder, *settings, seeds=2, against=(), recipes=("distilbert_sst2",)):
    return repeat.make_plans(load_config, recipes, [*overrides(folder, ROWS), *settings], seeds, list(against))


def run_plans(plans):
    return repeat.run_plans(plans, training.train, resume.refuse_other_config)


def _spread(folder, split):
    """Return mean and deviation of the accuracy over the two runs, as the table shows them."""
    values = [RunDirectory(folder / f"seed-{seed}").results()["metrics"][split]["accuracy"] for seed in (2022, 2023)]
    return f"{statistics.fmean(values):.2f} ± {statistics.stdev(values):.2f}"


def result(accuracy, loss):
    return {"metrics": {"test": {"accuracy": accuracy, "loss": loss, "accuracy_ci": [1, 2], "confusion_matrix": [[1]]}},
            "baseline": {"name": "majority", "test": {"accuracy": 50.0, "loss": 0.7}}}  # fmt: skip


def test_mean_and_deviation_of_a_sample():
    spread = repeat_results.summarize([result(80.0, 0.5), result(84.0, 0.4), result(85.0, 0.6)])["test"]
    assert set(spread) == {"accuracy", "loss"}
    assert spread["accuracy"]["mean"] == 83
    assert spread["accuracy"]["deviation"] == pytest.approx((14 / 2) ** 0.5)
    assert (spread["accuracy"]["lowest"], spread["accuracy"]["highest"]) == (80, 85)
    assert spread["accuracy"]["baseline"] == 50
    assert repeat_results.summarize([result(80.0, 0.5)])["test"]["loss"]["deviation"] is None


def test_differences_are_taken_seed_by_seed():
    pairs = [(result(80.0, 0.5), result(82.0, 0.6)), (result(90.0, 0.5), result(91.0, 0.4)), (result(85.0, 0.5), result(84.0, 0.3))]
    difference = repeat_results.differences(pairs)["test"]
    assert difference["accuracy"]["values"] == [2, 1, -1] and difference["accuracy"]["better"] == 2
    assert difference["loss"]["better"] == 2  # lower is better: 0.4 and 0.3
    # the sums of 2, 1 and 1 with all signs: 4, 2, 2, 0, 0, -2, -2, -4, of which 6 of 8 are as far from 0 as 2
    assert difference["accuracy"]["p"] == 0.75 and difference["accuracy"]["pairs"] == 3
    assert difference["accuracy"]["error"] == pytest.approx((7 / 3) ** 0.5 / 3**0.5)
    swapped = repeat_results.differences([(second, first) for first, second in pairs])["test"]
    assert swapped["accuracy"]["better"] == 1 and swapped["loss"]["better"] == 1


def test_only_runs_of_the_same_seed_are_compared(tmp_path):
    """If the variant's first seed has not finished, only the later seeds are compared."""
    plans = make_plans(tmp_path, seeds=3, against=["model.pooling=lstm_attention"])
    accuracies = [[80.0, 90.0, 70.0], [None, 91.0, 74.0]]
    for plan, values in zip(plans, accuracies, strict=True):
        for config, accuracy in zip(plan.configs, values, strict=True):
            run = RunDirectory(config.output_dir)
            run.path.mkdir(parents=True)
            run.write_config("seed: 1\n")
            run.write_results({"status": "training"} if accuracy is None else {"status": "finished", **result(accuracy, 0.5)})
    text = repeat.write_tables(plans)
    content = json.loads((tmp_path / "run" / "results.json").read_text())
    assert content["seeds"] == [2022, 2023, 2024]
    assert content["differences"]["model.pooling=lstm_attention"]["test"]["accuracy"]["values"] == [1, 4]
    assert "over 2 pairs of runs with the same seed" in " ".join(text.split()) and content["status"] == "training"
    assert "Not all runs are finished" in text and "A sample: " not in text
    results = plans[0].configs[0].output_dir + "/results.json"
    Path(results).write_text(json.dumps({**json.loads(Path(results).read_text()), "sample": True}))
    assert "A sample: a small model and little data." in repeat.write_tables(plans)


def test_finished_seeds_are_not_run_again_and_others_are_resumed(tmp_path, monkeypatch):
    first = run_plans(make_plans(tmp_path))
    folder = tmp_path / "run"
    assert sorted(path.name for path in folder.iterdir()) == ["repeat.md", "report.html", "results.json", "seed-2022", "seed-2023"]
    content = json.loads((folder / "results.json").read_text())
    assert content["seeds"] == [2022, 2023]
    figures = content["runs"]["distilbert_sst2"]["test"]["accuracy"]
    accuracies = [RunDirectory(folder / f"seed-{seed}").results()["metrics"]["test"]["accuracy"] for seed in (2022, 2023)]
    assert figures["values"] == accuracies and figures["mean"] == sum(accuracies) / 2
    assert [RunDirectory(folder / f"seed-{seed}").results()["seed"] for seed in (2022, 2023)] == [2022, 2023]
    assert "distilbert_sst2, over 2 runs" in first and content["status"] == "finished"
    markdown, html = (folder / "repeat.md").read_text(), (folder / "report.html").read_text()
    row = f"| distilbert_sst2 | {_spread(folder, 'validation')} | {_spread(folder, 'test')} |"
    assert "| model | validation accuracy | test accuracy |" in markdown and row in markdown
    assert html.count("<img") == 2 and "distilbert_sst2, seed 2023" in html

    results = folder / "seed-2023" / "results.json"
    unfinished = json.loads(results.read_text())
    before = (folder / "seed-2022" / "results.json").stat().st_mtime_ns
    results.write_text(json.dumps({**unfinished, "status": "training"}))
    (folder / "seed-2022" / "report.html").unlink()  # as if it had been killed just before the end
    assert "distilbert_sst2, over 3 runs" in run_plans(make_plans(tmp_path, seeds=3))
    assert (folder / "seed-2022" / "report.html").exists()
    assert (folder / "seed-2022" / "results.json").stat().st_mtime_ns == before
    again = json.loads(results.read_text())
    assert again["status"] == "finished" and again["metrics"] == unfinished["metrics"]
    with pytest.raises(UserError, match="train.learning_rate: 0.003 then, 0.004 now"):
        run_plans(make_plans(tmp_path, "train.learning_rate=0.004"))


def test_a_variant_with_the_same_seeds(tmp_path):
    text = run_plans(make_plans(tmp_path, seeds=1, against=["model.pooling=lstm_attention"]))
    assert RunDirectory(tmp_path / "run" / "variant" / "seed-2022").results()["status"] == "finished"
    assert "model.pooling=lstm_attention minus distilbert_sst2, over 1 pair of runs with the same seed" in text
    content = json.loads((tmp_path / "run" / "results.json").read_text())
    runs = content["runs"]
    values = [runs[name]["test"]["loss"]["mean"] for name in ("distilbert_sst2", "model.pooling=lstm_attention")]
    assert content["differences"]["model.pooling=lstm_attention"]["test"]["loss"]["mean"] == pytest.approx(values[1] - values[0])


def test_the_default_folder_is_next_to_the_recipes_own_run():
    recipe, variant = repeat.make_plans(load_config, ["distilbert_sst2"], [], 3, ["model.pooling=lstm_attention"])
    assert [config.output_dir for config in recipe.configs] == [f"runs/distilbert_sst2_seeds/seed-{n}" for n in (2022, 2023, 2024)]
    assert variant.configs[0].output_dir == "runs/distilbert_sst2_seeds/variant/seed-2022"
    assert variant.configs[0].model.pooling == "lstm_attention"


def test_a_run_is_no_folder_for_seeds(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("")
    with pytest.raises(UserError, match="is a run itself; name a folder for all seeds with output_dir=ANOTHER"):
        make_plans(tmp_path)


def test_recipes_beside_each_other(tmp_path):
    """Both have the first one's seeds, and folders of their own."""
    plans = make_plans(tmp_path, "seed=7", recipes=("distilbert_sst2", "bert_sst2"), against=["train.learning_rate=0.1"])
    assert [(plan.title, plan.folder) for plan in plans] == [
        ("distilbert_sst2", tmp_path / "run"),
        ("train.learning_rate=0.1", tmp_path / "run" / "variant"),
        ("bert_sst2", tmp_path / "run" / "bert_sst2"),
    ]
    assert [[config.seed for config in plan.configs] for plan in plans] == [[7, 8]] * 3
    assert [plan.configs[0].train.learning_rate for plan in plans] == [0.003, 0.1, 0.003]
    assert plans[2].configs[1].output_dir == str(tmp_path / "run" / "bert_sst2" / "seed-8")
    folders = [plan.folder for plan in repeat.make_plans(load_config, ["distilbert_sst2", "bert_sst2"], [], 1)]
    assert list(map(str, folders)) == ["runs/distilbert_sst2_seeds", "runs/bert_sst2_seeds"]
    with pytest.raises(UserError, match="^--against seed=3: the command sets it for each run itself; a variant has the same"):
        repeat.make_plans(load_config, ["distilbert_sst2"], [], 2, ["train.learning_rate=0.1", "seed=3"])
    with pytest.raises(UserError, match="a recipe is named twice"):
        make_plans(tmp_path, recipes=("bert_sst2", "bert_sst2"))


def test_errors_name_the_flag(capsys):
    assert main(["repeat", "--config", "distilbert_sst2", "--beside", "bert_sst3"]) == 2
    assert "--beside bert_sst3: there is no such recipe. Did you mean bert_sst2?" in capsys.readouterr().err
    assert main(["repeat", "--config", "distilbert_sst2", "--seeds", "0"]) == 2
    assert "--seeds 0: it must be at least 1." in capsys.readouterr().err
    assert main(["repeat", "--config", "distilbert_sst2", "--devices", "cpu:x"]) == 2
    assert "--devices cpu:x: give GPU numbers" in capsys.readouterr().err
