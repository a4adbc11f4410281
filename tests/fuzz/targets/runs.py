"""Fuzz the directory of a run: the report, the model card, the summary, a comparison, a resumed training, the model in use."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from hypothesis import strategies as st

from paddle_ft.config.load import load_config
from paddle_ft.reporting import card, page
from paddle_ft.reporting.tables import summary
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.integrity import CHECKSUMS, seal
from paddle_ft.system.world import World
from tests.fuzz.mutation import mutated_files
from tests.fuzz.target import Files, Target, write_files
from tests.support.old_runs import read_old_run

SEAL = "SEAL"  # a file of this name: the checksums fit the damaged checkpoint, as if the damage had been written on purpose
LOGS = ("config.yaml", "metrics.jsonl", "results.json", "predictions-test.jsonl", "predictions-validation.jsonl",
        "best/config.json")  # fmt: skip
STATE = ("config.yaml", "metrics.jsonl", "results.json", "last/trainer/state.json", "last/trainer/checksums.json",
         "last/trainer/optimizer.safetensors", "last/config.json")  # fmt: skip
WORDS = (b'"step": ', b'"event": "train"', b'"event": "eval"', b'"metrics"', b'"best"', b'"data"', b"NaN", b"-Infinity")


def _some(files: dict[str, bytes], names: tuple[str, ...]) -> dict[str, bytes]:
    return {name: files[name] for name in names if name in files}


def _without_last(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if not name.startswith("last/")}


def report(folder: Path) -> None:
    """Write the report, the card and the summary. The plots, which take most of the time, have a target of their own."""
    with mock.patch.object(page, "plot_run", lambda run: {}):
        page.write_report(folder)
    card.write_card(folder)
    summary(folder)


def report_with_plots(folder: Path) -> None:
    """Write the report with its plots."""
    assert page.write_report(folder).read_text(encoding="utf-8").rstrip().endswith("</html>")


def compare_with_intact(folder: Path) -> None:
    """Compare a run with the same one before it was damaged, and show it as text and as Markdown."""
    from paddle_ft.experiments.compare import compare
    from paddle_ft.experiments.comparison_page import comparison_document
    from paddle_ft.reporting.document import to_markdown, to_text

    with tempfile.TemporaryDirectory() as name:
        write_files(Path(name), _compared())
        for paths in ([name, str(folder)], [str(folder), name]):
            document = comparison_document(compare(paths, samples=100))
            assert to_text(document) and to_markdown(document)


@cache
def _compared() -> Files:
    """Return the files of a finished run, with losses, which the version that made it did not write."""
    files = _some(read_old_run("finished"), LOGS)
    rows = files["predictions-test.jsonl"].splitlines()
    return {**files, "losses-test.jsonl": b'{"nll": 0.5, "targets": 1}\n' * len(rows)}


@cache
def _trained():
    """Return the configuration, the model and the optimizer of the run `classification`."""
    import paddle

    from paddle_ft.models.bundle import reload_bundle

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, read_old_run("classification"))
        model = reload_bundle("sequence_classification", folder / "last").model
        config = load_config(str(folder / "config.yaml"))
    return config, model, paddle.optimizer.AdamW(parameters=model.parameters())


def resume(folder: Path) -> None:
    """Find the checkpoint to resume at, and restore the state of the training and of the optimizer."""
    from paddle_ft.training.loop import TrainLoop
    from paddle_ft.training.resume import find_start

    config, model, optimizer = _trained()
    _seal_if_asked(folder / "last")
    run = RunDirectory(folder)
    start = find_start(config, run, World())
    if start.checkpoint is None:
        return
    run.results()
    task = SimpleNamespace(config=config, best_metric="accuracy", model=model)
    loop = TrainLoop(task, SimpleNamespace(optimizer=optimizer, scaler=None), None, run, None)
    loop.resume(start.checkpoint)
    assert loop.state.step >= 0 and run.events() is not None
    loop._close_window()


def use(folder: Path) -> None:
    """Load the model of a run and classify a text."""
    from paddle_ft.runs.inference import open_run, predict_texts

    _seal_if_asked(folder / "best")
    task = open_run(str(folder))
    rows = predict_texts(task, ["a good film"], "predict", "the test")
    assert len(rows) == 1 and json.dumps(rows)


def _seal_if_asked(checkpoint: Path) -> None:
    if (checkpoint.parent / SEAL).exists() and checkpoint.is_dir():
        (checkpoint / "trainer" / CHECKSUMS).unlink(missing_ok=True)
        seal(checkpoint)


def _sealed(files):
    """Return inputs in which the checksums of the checkpoint fit, mostly."""
    return st.builds(lambda files, seal: {**files, SEAL: b""} if seal else files, files, st.integers(0, 3).map(bool))


_REPORTS = st.deferred(lambda: mutated_files([_some(read_old_run("finished"), LOGS), _some(read_old_run("lora"), LOGS)], WORDS))
_COMPARED = st.deferred(lambda: mutated_files([_compared()], WORDS))
_STATES = st.deferred(lambda: _sealed(mutated_files([_some(read_old_run("classification"), STATE)], WORDS)))
_MODELS = st.deferred(lambda: _sealed(mutated_files([_without_last(read_old_run("classification"))])))


def _old_run(name: str, changes: dict[str, bytes]) -> Callable[[], Files]:
    """Return what makes the files of an old run with some of them exchanged, and with the checksums that fit them."""
    return lambda: {**read_old_run(name), **changes, SEAL: b""}


def _with_value(name: str, path: str, key: str, value: object) -> Callable[[], Files]:
    """Return what makes the files of an old run with one value of a JSON file exchanged."""
    return lambda: _old_run(name, {path: json.dumps({**json.loads(read_old_run(name)[path]), key: value}).encode()})()


# What was found. Each is one changed file of an old run.
REPORTED = {
    "results-are-a-list": _old_run("finished", {"results.json": b"[]"}),
    "no-predictions": _old_run("finished", {"predictions-test.jsonl": b"{"}),
    "train-is-a-text": _with_value("finished", "results.json", "train", "x"),
    "a-number-beyond-floats": _with_value("finished", "results.json", "seconds", 10**400),
    "architectures-are-a-number": _with_value("finished", "best/config.json", "architectures", 5),
    "a-model-that-is-a-list": _old_run("finished", {"best/config.json": b"[1]"}),
    "a-section-that-is-a-text": _old_run("finished", {"config.yaml": b"data: x"}),
    "half-a-surrogate-pair": _with_value("finished", "best/config.json", "model_type", "\ud800"),
}
RESUMED = {
    "checksums-are-a-list": lambda: {**read_old_run("classification"), "last/trainer/checksums.json": b"[]"},
    "a-state-without-a-step": _old_run("classification", {"last/trainer/state.json": b"{}"}),
    "a-state-with-an-unknown-entry": _with_value("classification", "last/trainer/state.json", "new", 1),
    "world-size-is-null": _with_value("classification", "last/trainer/state.json", "world_size", None),
    "a-window-without-sums": _with_value("classification", "last/trainer/state.json", "window", {}),
    "an-optimizer-that-is-no-safetensors": _old_run("classification", {"last/trainer/optimizer.safetensors": b"x"}),
    "an-optimizer-of-another-model": lambda: _old_run(
        "classification", {"last/trainer/optimizer.safetensors": read_old_run("lora")["last/trainer/optimizer.safetensors"]}
    )(),
}
USED = {
    "more-tokens-than-embeddings": lambda: _old_run(
        "classification", {"best/vocab.txt": read_old_run("classification")["best/vocab.txt"] + b"one\ntwo\nthree\n" * 9}
    )(),
    "a-tokenizer-without-unk": _old_run("classification", {"best/vocab.txt": b"a\nb\n"}),
    "special-tokens-are-a-list": _old_run("classification", {"best/special_tokens_map.json": b"[]"}),
    "a-switch-that-is-a-number": _with_value("classification", "best/config.json", "fuse", -1),
    "a-dropout-that-is-a-text": _with_value("classification", "best/config.json", "hidden_dropout_prob", "x"),
    "a-model-of-a-terabyte": _with_value("classification", "best/config.json", "hidden_size", 10**9),
}

TARGETS = (
    Target("run_report", report, _REPORTS, examples=REPORTED),
    Target("run_compare", compare_with_intact, _COMPARED, share=0.2),
    Target("run_plots", report_with_plots, _REPORTS, share=0.02),
    Target("run_resume", resume, _STATES, examples=RESUMED, prepare=_trained),
    Target("run_model", use, _MODELS, examples=USED, prepare=_trained, seconds=20.0),
)
