"""Test what the user of a model that writes nothing is told, in the training and after it."""

import pytest

from paddle_ft import cli
from paddle_ft.reporting.tables import summary
from paddle_ft.tasks.shared.seq2seq import Seq2Seq
from tests.support import tiny_runs

ADVICE = (
    "predictions are empty, because the model ends every text at once. After few training steps this is usual: train longer."
    " Otherwise look at the examples that train.py --check prints: are the targets right? Then try another train.learning_rate."
    " To see what it would write: task.min_target_length=8."
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a run whose model writes nothing."""
    monkeypatch.setattr(Seq2Seq, "generate", lambda task, inputs, label: [" "] * len(inputs))
    return tiny_runs.train(tmp_path, "train.max_steps=2", "eval.before_training=false").path


def test_empty_texts_are_reported_with_what_to_do(capsys, run):
    errors = capsys.readouterr().err.splitlines()
    assert next(line for line in errors if line.startswith("step 2, ")).endswith("(best so far); all predictions are empty")
    assert [line for line in errors if "ends every text" in line] == [f"validation and test: all 16 {ADVICE}"]
    shown = [line for line in summary(run).splitlines() if line.startswith("  prediction ")]
    assert shown == ["  prediction (empty)"] * 3
    (run / "new.txt").write_text("今天北京\n", encoding="utf-8")
    assert cli.main(["predict", str(run), "--input", str(run / "new.txt")]) == 0
    assert capsys.readouterr().err.splitlines()[-2] == f"{run}: all 1 {ADVICE}"
    assert cli.main(["evaluate", str(run), "--split", "validation"]) == 0
    assert f"validation: all 8 {ADVICE}\n" in capsys.readouterr().err
    (run / "new.txt").write_text("", encoding="utf-8")
    cli.main(["predict", str(run), "--input", str(run / "new.txt")])
    assert "empty, because" not in capsys.readouterr().err


def test_the_advice_makes_the_model_write(tmp_path, capsys):
    run = tiny_runs.train(tmp_path, "train.max_steps=1", "eval.before_training=false").path
    (run / "new.txt").write_text("今天北京\n", encoding="utf-8")
    capsys.readouterr()
    assert cli.main(["predict", str(run), "--input", str(run / "new.txt"), "task.min_target_length=8"]) == 0
    output, errors = capsys.readouterr()
    assert output.strip() and "ends every text" not in errors
