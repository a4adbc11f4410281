"""Test the table and the settings of benchmarks/same_work.py. It trains in a Python with torch, which is not here."""

import json
import sys
from types import SimpleNamespace

import pytest

from paddle_ft.config.load import load_config
from tests.support.paths import ROOT

WORKS = ("mlm", "lcsts", "qqp", "sst2")


@pytest.fixture
def bench(monkeypatch):
    """Return the modules same_work, same_work_peer and works."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import same_work
    import same_work_peer
    import works

    return SimpleNamespace(run=same_work, peer=same_work_peer, works=works)


def store(folder, work: str, seed: int, ours: dict, peers: dict, rows: int = 0) -> None:
    """Write what a run of each tool stores."""
    run = {"rows": rows, "validation_limit": 0, "train_rows": 11000, "validation_rows": 1500, "steps": 344, "date": "2026-11-29",
           "threads": 2}  # fmt: skip
    for tool, metrics, versions in (("paddle_ft", ours, "paddlepaddle 3"), ("transformers", peers, "torch 2")):
        path = folder / work / str(seed) / f"{tool}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"metrics": metrics, **run, "versions": versions}))


def test_the_table_has_means_seeds_and_the_interval_of_the_difference(bench, tmp_path):
    """For three seeds Student's t has two degrees of freedom: 4.303 standard errors."""
    for seed, (ours, peers) in {2022: (77.0, 76.0), 2023: (78.0, 78.0), 2024: (79.0, 77.0)}.items():
        store(tmp_path, "qqp", seed, {"accuracy": ours, "f1": ours - 10}, {"accuracy": peers, "f1": peers - 70})
    lines = bench.run.table(tmp_path).splitlines()
    assert lines[2:] == [
        "| QQP | accuracy | 78.00 ± 1.00 (77.00, 78.00, 79.00) | 77.00 ± 1.00 (76.00, 78.00, 77.00) | +1.00 [-1.48, +3.48]"
        " | overlap |",
        "| QQP | f1 | 68.00 ± 1.00 (67.00, 68.00, 69.00) | 7.00 ± 1.00 (6.00, 8.00, 7.00) | +61.00 [+58.52, +63.48]"
        " | do not overlap |",
        "",
        "- QQP: 11,000 rows, 344 steps, 1,500 for validation, seeds 2022, 2023, 2024, 2026-11-29, 2 threads, fp32.",
        "- paddle_ft: paddlepaddle 3; transformers: torch 2.",
    ]


def test_the_quantiles_are_those_of_students_t(bench):
    from scipy.stats import t

    table = sys.modules["same_work_table"].T95
    assert table == {degrees: round(float(t.ppf(0.975, degrees)), 3) for degrees in range(1, 10)}


def test_a_small_difference_of_losses_does_not_look_like_none(bench, tmp_path):
    for seed, (ours, peers) in {2022: (6.6562, 6.6533), 2023: (6.6567, 6.6531), 2024: (6.6464, 6.6423)}.items():
        rouge = dict.fromkeys(("rouge1", "rouge2", "rougeL"), 0.0)
        store(tmp_path, "lcsts", seed, {"loss": ours, **rouge}, {"loss": peers, **rouge})
    assert (
        "| loss | 6.6531 ± 0.0058 (6.6562, 6.6567, 6.6464) | 6.6496 ± 0.0063 (6.6533, 6.6531, 6.6423) | +0.0035 [+0.0020, +0.0050]"
        in (bench.run.table(tmp_path))
    )


def test_a_seed_that_only_one_tool_has_is_left_out(bench, tmp_path):
    for seed in (2022, 2023):
        store(tmp_path, "sst2", seed, {"accuracy": 80.0 + seed % 10}, {"accuracy": 80.0})
    store(tmp_path, "sst2", 2024, {"accuracy": 90.0}, {"accuracy": 90.0})
    (tmp_path / "sst2" / "2024" / "transformers.json").unlink()
    assert "seeds 2022, 2023," in bench.run.table(tmp_path)
    (tmp_path / "sst2" / "2023" / "transformers.json").unlink()
    assert bench.run.table(tmp_path) == f"{tmp_path} has no work with two seeds of both tools."


def test_results_of_other_rows_are_not_continued(bench, tmp_path):
    store(tmp_path, "qqp", 2022, {}, {}, rows=500)
    path = tmp_path / "qqp" / "2022" / "paddle_ft.json"
    bench.run.check_rows(path, {"rows": 500, "validation_limit": 0})
    with pytest.raises(SystemExit, match=r"was made with \{'rows': 500\}, not \{'rows': 0\}: name another --output"):
        bench.run.check_rows(path, {"rows": 0, "validation_limit": 0})


def test_the_largest_difference_of_any_step_is_shown(bench):
    row = bench.run.exact_row(bench.works.WORKS["qqp"], {"paddle_ft": [0.7, 0.5, 0.4], "transformers": [0.7, 0.4, 0.4]})
    assert row == "| QQP | 3 | 0.70000 | 0.40000 | 0.40000 | 2.5e-01 |"
    with pytest.raises(ValueError, match="longer"):
        bench.run.exact_row(bench.works.WORKS["qqp"], {"paddle_ft": [0.7], "transformers": [0.7, 0.4]})


@pytest.mark.parametrize("name", WORKS)
def test_the_settings_of_a_work_are_settings_of_its_recipe(bench, name):
    """The numbers that both tools get are those of the configuration, after all overrides."""
    work = bench.works.WORKS[name]
    config = load_config(work.recipe, bench.works.overrides(work, SimpleNamespace(data="d", rows=9, validation_rows=4), "start", 3))
    train = config.train
    assert (train.train_batch_size, train.learning_rate, train.num_train_epochs, train.warmup_proportion, train.adam_epsilon) == (
        work.batch, work.learning_rate, work.epochs, work.warmup, work.epsilon,
    )  # fmt: skip
    assert (train.weight_decay, train.max_grad_norm, train.group_by_length) == (0.01, 1.0, work.grouped)
    assert (config.seed, config.model.pretrained, config.data.train) == (3, "start", f"d/{work.train}")
    assert (config.data.limit_train, config.data.limit_validation, config.data.columns) == (9, 4, work.fields)
    if work.kind == "masked_lm":
        assert (config.task.masking, config.task.mask_probability) == ("token", None)  # 0.15, as the other tool gets it


def test_both_tools_read_the_same_rows(bench, tmp_path):
    lines = {
        "qqp": 'id\tquestion1\tquestion2\tis_duplicate\n1\tHow "x?\tWhy y?\t0\n2\ta\tb\t1\n',
        "lcsts": "摘要\t正文，一\n短\t长\n",
        "mlm": '{"text": "one"}\n{"text": "two"}\n',
    }
    rows = {}
    for name, text in lines.items():
        work = bench.works.WORKS[name]
        path = tmp_path / work.train.replace("/", "-")
        path.write_text(text, encoding="utf-8")
        rows[name] = bench.peer.read_rows(path, work, 1)
        assert len(bench.peer.read_rows(path, work, 0)) == 2
    assert rows == {
        "qqp": [{"text": 'How "x?', "text_pair": "Why y?", "label": "0"}],
        "lcsts": [{"source": "正文，一", "target": "摘要"}],
        "mlm": [{"text": "one"}],
    }


def test_other_blocks_than_those_of_paddle_ft_are_refused(bench, tmp_path):
    path = tmp_path / "masked.json"
    path.write_text(json.dumps([{"input_ids": [5, 103, 7], "labels": [-100, 6, -100]}]))
    assert bench.peer.masked_validation(str(path), [{"input_ids": [5, 6, 7]}]) == [
        {"input_ids": [5, 103, 7], "labels": [-100, 6, -100], "attention_mask": [1, 1, 1]}
    ]
    with pytest.raises(SystemExit, match="into different blocks"):
        bench.peer.masked_validation(str(path), [{"input_ids": [5, 6, 8]}])


def test_what_a_work_needs_is_asked_for_at_once(bench, monkeypatch, capsys):
    for arguments, message in (
        (["qqp"], "qqp: --data, --minilm, --peer-python must be set, or --table"),
        (["mlm", "x"], "x: not a work; the works are mlm, lcsts, qqp, sst2"),
        (["mlm", "--exact"], "mlm: its masks are drawn anew in each step, so --exact is for the other works"),
        (["mlm", "--data", "/no", "--tiny", "/no", "--peer-python", "p"], "--data: /no is no directory"),
    ):
        monkeypatch.setattr(sys, "argv", ["same_work.py", *arguments])
        with pytest.raises(SystemExit, match="2"):
            bench.run.main()
        assert message in capsys.readouterr().err
