"""Test that exports of tiny trained models predict what the models predict, and that a wrong export is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import paddle_ft
from convert.outputs import torch_is_installed
from paddle_ft.export import export, programs, settings, to_hf, to_onnx
from paddle_ft.export.check import VerificationError
from paddle_ft.export.export import export_run
from paddle_ft.export.metrics import measure
from paddle_ft.export.runner import load
from paddle_ft.export.runner.tasks import InputError
from paddle_ft.export.samples import choose_samples, held_out_rows, random_samples
from paddle_ft.runs.inference import open_run
from paddle_ft.system.errors import FTError, UserError
from paddle_ft.tasks.shared.evaluate import evaluate
from tests.support import tiny_classification, tiny_demo

# Texts of different lengths for each run, as `predict` takes them. They share a batch, which is padded.
TEXTS = {
    "summarization": ["the news of the day", "the fox"],
    "sentences": ["a good film", "we hated this film because it was a poor story", "fine"],
    "questions": [("how old are you", "what is your age"), ("where do you live", "age"), ("how", "")],
    "lyrics": ["<style:pop>fish", "<style:folk>the bird in the tree\nsings a song to me"],
    "masked_lm": ["the [MASK] film playing", "a [MASK]", "the good [MASK] playing the [MASK] ."],
    "causal_lm": ["the fisher and", "the king and the fox and the", "the"],
}
slow = pytest.mark.slow
CASES = [
    ("questions", "onnx"), ("masked_lm", "inference"), ("summarization", "onnx"), ("causal_lm", "onnx"),
    *(pytest.param(*case, marks=slow) for case in (
        ("questions", "inference"), ("sentences", "onnx"), ("sentences", "inference"), ("masked_lm", "onnx"),
        ("summarization", "inference"), ("causal_lm", "inference"), ("lyrics", "onnx"), ("lyrics", "inference"))),
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a function that gives the directory of a task's run, which is trained at the first call."""
    made = {}

    def directory(name):
        if name not in made:
            made[name] = tiny_demo.copy_of(name, tmp_path_factory)
        return made[name]

    return directory


def check_latency(line: str, figures: dict) -> None:
    """Check that a line has both times and their ratio, in this order."""
    ours, theirs = figures["latency_ms"], figures["model_latency_ms"]
    ratio = f"{ours / theirs:.2f} times the dynamic model's"
    assert line == f"latency: {ours:.3g} ms, {ratio} {theirs:.3g} ms (medians, a batch of {figures['inputs']})"


STEPS = ("loading", "tracing", "converting", "putting", "verifying", "measuring")  # the first words of what an export says


def start(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run run.py of an export in an empty folder, where paddle_ft cannot be imported."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(folder / "run.py"), *arguments]
    return subprocess.run(command, cwd=folder.parent, env=environment, capture_output=True, text=True, timeout=120)


def predictions(rows):
    return [row["prediction"] for row in rows]


def predicted_by(path: Path, texts: list) -> list[str]:
    """Return the predictions of the run itself."""
    return predictions(paddle_ft.load_run(path).predict(texts))


@pytest.mark.parametrize(("name", "to"), CASES)
def test_an_export_predicts_what_the_run_predicts(run, tmp_path, name, to):
    path = run(name)
    exported = export_run(str(path), to, str(tmp_path / "export"))
    expected = paddle_ft.load_run(path).predict(TEXTS[name])
    actual = load(exported.path).predict(TEXTS[name])
    assert predictions(actual) == predictions(expected)
    assert [set(row) for row in actual] == [set(row) for row in expected]
    if "probability" in expected[0]:
        assert [row["probability"] for row in actual] == pytest.approx([row["probability"] for row in expected], abs=2e-5)
    facts = json.loads((exported.path / "export.json").read_text())["verification"]
    assert facts == exported.figures and facts["equal"] == facts["inputs"] > 1 and facts["origin"] == "texts of validation"
    verified, latency, size = exported.lines
    assert f"{facts['equal']} of {facts['inputs']} predictions equal" in verified
    assert f"largest difference of logits {facts['difference']:.2g} (" in verified
    check_latency(latency, facts)
    sizes = [sum(file.stat().st_size for file in files if file.is_file()) / 1e6 for files in (
        exported.path.rglob("*"), (file for file in (path / "best").rglob("*") if file.parent.name != "trainer"))]  # fmt: skip
    assert size == f"size: {sizes[0]:.3g} MB, of the run's model: {sizes[1]:.3g} MB"
    assert not list(tmp_path.glob(".*")), "the temporary folder is left"


def test_the_runner_needs_neither_paddle_ft_nor_paddlenlp(run, tmp_path):
    folder = export_run(str(run("questions")), "onnx", str(tmp_path / "export")).path
    done = start(folder, "how old are you", "--pair", "what is your age")
    assert done.returncode == 0, done.stderr
    assert predictions([json.loads(done.stdout)]) == predicted_by(run("questions"), TEXTS["questions"][:1])
    modules = "import sys; sys.path.insert(0, sys.argv[1]); from runner import load; load(sys.argv[1]).predict([('a', 'b')]);"
    code = modules + "print(*{name.split('.')[0] for name in sys.modules} & {'paddle_ft', 'paddlenlp', 'paddle', 'convert'})"
    loaded = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (loaded.returncode, loaded.stdout.strip()) == (0, ""), loaded.stderr


def test_wrong_input_of_the_runner_is_answered_with_one_message(run, tmp_path):
    folder = export_run(str(run("masked_lm")), "inference", str(tmp_path / "export")).path
    model = load(folder)
    with pytest.raises(InputError, match=r"has no \[MASK\]"):
        model.predict(["the film"])
    with pytest.raises(InputError, match="single texts, not pairs"):
        model.predict([("the [MASK]", "film")])
    with pytest.raises(InputError, match="positions"):
        model.predict(["[MASK] " * 200])
    done = start(folder, "the film")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: 'the film' has no [MASK]") and done.stderr.count("\n") == 1, "no warning of a library"
    for arguments, message in [
        (("the [MASK]", "--threads", "0"), "--threads 0: it must be at least 1"),
        (("the [MASK]", "a\udcff"), r"text 2, 'a\xff': this text is not UTF-8"),
        (("\udce9" + "a" * 100,), rf"text 1, '\xe9{'a' * 55}...': this text is not UTF-8"),
        ((), "there is no text: give one, or lines on the standard input"),
        (("the [MASK]", "--\x1b[31m\u202e"), r"unrecognized arguments: --\x1b[31m\u202e"),
    ]:
        done = start(folder, *arguments)
        assert done.returncode == 2 and done.stderr.splitlines()[-1] == f"run.py: error: {message}"
    (folder / "export.json").write_text("{")
    done = start(folder, "the [MASK]")
    assert done.returncode == 2 and done.stderr.startswith("error: this export is damaged: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("beams", [1, 3])
@slow
def test_beam_and_greedy_search_give_the_same_ids(run, tmp_path, beams):
    from paddle_ft.export.check import compare
    from paddle_ft.export.samples import Samples

    path = run("summarization")
    task = open_run(str(path), {**export.AS_DEFINED, "generation.num_beams": beams, "generation.no_repeat_ngram_size": 2})
    lines, _ = export._export_graphs(task, tmp_path, "onnx", False, None)
    assert "predictions equal" in lines[0]
    rng = np.random.default_rng(0)
    ids = [rng.integers(5, len(task.tokenizer), length).tolist() for length in rng.integers(3, 20, 32)]
    check = compare(task, load(tmp_path), Samples(ids, None, None, "random ids"))
    assert check.equal == check.inputs == 32
    check.require_equal()


@pytest.mark.parametrize("model_type", ["bert", "ernie", "roberta"])
@slow
def test_other_encoders_are_exported(tmp_path, model_type):
    pairs = tiny_classification.PAIRS
    path = tiny_classification.train(tmp_path / "run", pairs, model_type).path
    folder = export_run(str(path), "onnx", str(tmp_path / "export")).path
    assert predictions(load(folder).predict(TEXTS["questions"])) == predicted_by(path, TEXTS["questions"])


@slow
def test_the_lstm_head_is_exported_for_paddle_alone(tmp_path):
    path = tiny_classification.train(tmp_path / "run", tiny_classification.PAIRS, "distilbert", "model.pooling=lstm_attention").path
    folder = export_run(str(path), "inference", str(tmp_path / "export")).path
    assert predictions(load(folder).predict(TEXTS["questions"])) == predicted_by(path, TEXTS["questions"])
    with pytest.raises(FTError, match=r"pd_op\.rnn.*--to inference"):
        export_run(str(path), "onnx", str(tmp_path / "other"))
    with pytest.raises(UserError, match="LSTM attention head"):
        export_run(str(path), "hf", str(tmp_path / "other"))


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name == "masked_lm" else slow) for name in TEXTS])
def test_the_metrics_of_a_float32_export_are_those_of_the_run(run, tmp_path, name):
    """So a difference with 8 bits is what the 8 bits cost."""
    task = open_run(str(run(name)), export.AS_DEFINED)
    split, rows = held_out_rows(task, 4)
    expected = evaluate(task, task.encode(rows, split), "evaluate").metrics
    folder = export_run(str(run(name)), "inference", str(tmp_path / "export")).path
    measured = measure(task, load(folder), rows, split, "measure")
    assert split == "validation" and len(rows.rows) == 4 and "loss" in measured
    assert measured == pytest.approx({name: expected[name] for name in measured}, rel=1e-4)


@slow
def test_int8_says_what_it_costs(run, tmp_path, capsys):
    exported = export_run(str(run("masked_lm")), "onnx", str(tmp_path / "export"), int8=True, limit=6)
    steps = [line for line in capsys.readouterr().err.splitlines() if line.split()[0] in STEPS]
    assert steps == [
        f"loading {run('masked_lm')}", "tracing the model", "converting model to ONNX",
        "putting the weights of all graphs into one file",
        "verifying on texts of validation", "measuring on validation, in float32 and with 8 bits", "measuring the latency",
    ]  # fmt: skip
    facts = json.loads((exported.path / "export.json").read_text())
    assert facts["precision"] == "int8"
    assert facts["int8"]["rows"] <= 6 and facts["int8"]["float32"]["perplexity"] != facts["int8"]["int8"]["perplexity"]
    assert any(f"perplexity {facts['int8']['float32']['perplexity']:.4g} ->" in line for line in exported.lines)


@pytest.mark.parametrize("name", ["sentences", *(
    pytest.param(name, marks=slow) for name in ("questions", "masked_lm", "summarization", "lyrics", "causal_lm")
)])  # fmt: skip
def test_a_checkpoint_for_transformers_is_verified(run, tmp_path, name, capsys):
    """Where torch is installed, transformers computes the same predictions. The environment of the tests has none."""
    exported = export_run(str(run(name)), "hf", str(tmp_path / "export"))
    assert (exported.path / "config.json").is_file() and (exported.path / "model.safetensors").is_file()
    assert "layers and outputs equal" in exported.lines[0]
    said = capsys.readouterr().err
    steps = ("loading ", "writing the checkpoint for transformers\n", "comparing all layers")
    assert all(f"\n{step}" in f"\n{said}" for step in steps)
    if torch_is_installed():
        count = exported.figures["inputs"]
        assert count > 1 and f"padded inputs, texts of validation: {count} of {count} equal" in exported.lines[1]
        check_latency(exported.lines[2], exported.figures)
    else:
        assert exported.lines[1] == "predictions and latency: not compared, because torch and transformers are not installed"
    with pytest.raises(UserError, match="already exists"):
        export_run(str(run(name)), "hf", str(tmp_path / "export"))
    assert export_run(str(run(name)), "hf", str(tmp_path / "export"), overwrite=True).path == exported.path


# ---------------------------------------------------------------------------------------------------- refusals
def change_last_weight(path: Path, size: int) -> None:
    """Change the bytes at the end of a file of weights."""
    content = bytearray(path.read_bytes())
    content[-size:] = np.full(size // 4, 3.0, "float32").tobytes()
    path.write_bytes(content)


@pytest.mark.parametrize("to", ["inference", "onnx"])
def test_an_export_with_wrong_weights_is_refused(run, tmp_path, monkeypatch, to):
    module, name = (programs, "save_programs") if to == "inference" else (to_onnx, "convert_programs")
    write = getattr(module, name)

    def write_wrongly(content, folder, *rest):
        files = write(content, folder, *rest)
        folder = folder if to == "inference" else content
        change_last_weight(folder / ("model.pdiparams" if to == "inference" else "weights.bin"), 256)
        return files

    monkeypatch.setattr(module, name, write_wrongly)
    with pytest.raises(VerificationError, match="logits differs from the model's by") as caught:
        export_run(str(run("sentences")), to, str(tmp_path / "export"))
    assert caught.value.exit_code == 1
    assert not list(tmp_path.iterdir()), "something is kept"


def test_a_checkpoint_for_transformers_with_wrong_weights_is_refused(run, tmp_path, monkeypatch):
    convert = to_hf.to_hf

    def convert_wrongly(source, folder, **options):
        report = convert(source, folder, **options)
        change_last_weight(folder / "model.safetensors", 256)
        return report

    monkeypatch.setattr(to_hf, "to_hf", convert_wrongly)
    with pytest.raises(VerificationError, match=r"nothing is kept: [\w.]+ differs from the model's by [1-9]"):
        export_run(str(run("sentences")), "hf", str(tmp_path / "export"))
    assert not list(tmp_path.iterdir()), "something is kept"


@pytest.mark.parametrize("name", TEXTS)
def test_the_batch_of_the_verification_is_padded(run, name):
    """Otherwise a graph that reads padding would pass."""
    task = open_run(str(run(name)))
    for samples in (choose_samples(task), random_samples(task, "the reason")):
        lengths = [len(ids) for ids in samples.ids]
        assert len(lengths) > 1 and min(lengths) < max(lengths), (samples.origin, lengths)


def test_an_export_with_another_search_is_refused(run, tmp_path, monkeypatch):
    wrong = settings.runner_settings

    def other_search(task):
        content = wrong(task)
        return {**content, "generation": {**content["generation"], "max_new_tokens": 2}}

    monkeypatch.setattr(settings, "runner_settings", other_search)
    with pytest.raises(VerificationError, match="predictions differ"):
        export_run(str(run("causal_lm")), "inference", str(tmp_path / "export"))
    assert not list(tmp_path.iterdir())


def test_an_operator_that_cannot_be_converted_is_named():
    output = "converting encoder\nconverting decoder_next\nThere are operators not supported yet: pd_op.rnn, pd_op.while,\n"
    message = to_onnx.describe_failure(output, "encoder")
    assert "the graph decoder_next (operators: pd_op.rnn, pd_op.while)" in message
    assert "--to inference" in message and "--to hf" in message


def test_random_ids_stand_in_for_data_that_is_gone(run, tmp_path, monkeypatch):
    def gone(task, split):
        raise UserError("rows.jsonl does not exist")

    monkeypatch.setattr("paddle_ft.export.samples.read_local_split", gone)
    exported = export_run(str(run("sentences")), "inference", str(tmp_path / "export"))
    assert "random ids (rows.jsonl does not exist)" in exported.lines[0]
    with pytest.raises(UserError, match=r"rows\.jsonl does not exist"):
        export_run(str(run("sentences")), "onnx", str(tmp_path / "other"), int8=True)
    assert not (tmp_path / "other").exists()
