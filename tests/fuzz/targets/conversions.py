"""Fuzz whole checkpoints: their configuration, weights, tokenizer and records, adapters, and both directions of a conversion."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

import convert
from convert.families import load_families
from convert.open_hf import open_hf
from convert.plan_to_paddle import plan_to_paddle
from convert.request import Request
from convert.tensors import open_weights
from convert.tokenizers.files import SETTINGS, VOCABULARIES, tokenizer_files
from convert.tokenizers.to_hf import write_hf_tokenizer
from convert.tokenizers.to_paddle import write_paddle_tokenizer
from tests.fuzz.mutation import mutated_files, mutated_json_text, quickly_mutated
from tests.fuzz.target import Files, Target, read_files, write_files
from tests.support.checkpoints import archive_files

MEGABYTES = 300
CHECKPOINTS = {
    "bert": "masked_lm", "distilbert": "sequence_classification", "gpt2": "causal_lm", "t5": "seq2seq", "albert": "pretraining",
    "bart": "seq2seq", "roberta": "multiple_choice", "electra": "masked_lm", "ernie": "base", "mbart": "sequence_classification",
}  # fmt: skip
TOKENIZERS = ("bert-added-tokens", "bert-tokenizer-json", "bart", "gpt2", "t5", "albert", "roberta-prefix-space")
WORDS = (b"model_type", b"num_labels", b"id2label", b"architectures", b'"bert"', b"layer_norm_eps", b"num_hidden_layers", b"1e308")


@functools.cache
def checkpoints() -> dict[str, Files]:
    """Return the files of a checkpoint of each family, without its reference outputs."""
    return {family: parts(archive_files(family, folder)) for family, folder in CHECKPOINTS.items()}


def parts(files: Files) -> Files:
    unneeded = ("reference_outputs.safetensors", "gradients.safetensors", "generation.json")
    return {name: content for name, content in files.items() if name not in unneeded}


@functools.cache
def paddle_checkpoints() -> list[Files]:
    """Return the files of the converted checkpoints."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for family, files in checkpoints().items():
            write_files(Path(folder) / family, files)
            convert.to_paddle(Path(folder) / family, Path(folder) / f"{family}-paddle", progress=False)
            results.append(read_files(Path(folder) / f"{family}-paddle"))
    return results


@functools.cache
def tokenizers() -> list[Files]:
    """Return the files of tokenizers, with the configuration of a model that says which kind it is."""
    needed = (*VOCABULARIES, *SETTINGS, "config.json")
    found = [archive_files("tokenizers", name) for name in TOKENIZERS]
    return [{name: content for name, content in files.items() if name in needed} for files in found]


@functools.cache
def adapters() -> list[Files]:
    """Return adapters with their models, which they name."""
    results = []
    for name, family, base in (("bert_classifier", "bert", "base"), ("gpt2_conv1d", "gpt2", "causal_lm-prefixless")):
        adapter = {file: content for file, content in archive_files("adapters", name).items() if file.startswith("adapter/")}
        settings = {**json.loads(adapter["adapter/adapter_config.json"]), "base_model_name_or_path": "base"}
        adapter["adapter/adapter_config.json"] = json.dumps(settings).encode()
        results.append(adapter | {f"base/{file}": content for file, content in parts(archive_files(family, base)).items()})
    return results


# --------------------------------------------------------------------------------------------------------------------- targets
@functools.cache
def families():
    return load_families()


def open_and_plan(folder: Path) -> None:
    """Make the plan of a conversion. An accepted checkpoint has a value for every parameter."""
    checkpoint = open_hf(folder, families(), Request())
    plan = plan_to_paddle(checkpoint)
    assert sum(len(tensor.names) for tensor in plan.writes) >= len(checkpoint.weights.tensors) - len(plan.ignored) > 0


def contents(directory: Path) -> dict[str, tuple]:
    return {name: (tensor.dtype, tensor.shape, tensor.read().tobytes()) for name, tensor in open_weights(directory).tensors.items()}


def there_and_back(folder: Path) -> None:
    """Convert to Paddle and back. What is accepted comes back bit for bit."""
    (folder / "out").mkdir()
    convert.to_paddle(folder / "source", folder / "out" / "paddle", progress=False)
    convert.to_hf(folder / "out" / "paddle", folder / "out" / "back", progress=False)
    assert contents(folder / "out" / "back") == contents(folder / "source")
    before, after = (json.loads((folder / name / "config.json").read_text()) for name in ("source", "out/back"))
    for name, value in before.items():
        if value or name != "architectures":  # an empty list of classes is filled in
            assert json.dumps(after[name]) == json.dumps(value), f"{name} of config.json was changed or lost"


def back(folder: Path) -> None:
    (folder / "out").mkdir()
    convert.to_hf(folder / "source", folder / "out" / "back", progress=False)
    assert contents(folder / "out" / "back")


def tokenizer_there_and_back(folder: Path) -> None:
    """Convert a tokenizer. What is accepted loads, and its files come back as they were."""
    from tokenizers import Tokenizer

    family = families()["bert"]
    for path in ("out/paddle/kept", "out/back"):
        (folder / path).mkdir(parents=True)
    report, _ = write_paddle_tokenizer(folder / "source", folder / "out" / "paddle", folder / "out" / "paddle" / "kept", family)
    if report["kind"] == "none":
        return
    Tokenizer.from_file(str(folder / "out" / "paddle" / "tokenizer.json")).encode("A text, 天气 😀 [MASK]")
    write_hf_tokenizer(folder / "out" / "paddle", folder / "out" / "back", folder / "out" / "paddle" / "kept")
    for path in tokenizer_files(folder / "source"):
        assert (folder / "out" / "back" / path.name).read_bytes() == path.read_bytes(), path.name


def merge_an_adapter(folder: Path) -> None:
    (folder / "out").mkdir()
    convert.to_paddle(folder / "adapter", folder / "out" / "paddle", progress=False)
    assert contents(folder / "out" / "paddle")


# ---------------------------------------------------------------------------------------------------------------------- inputs
def changed(make: Callable[[], Iterable[Files]], folder: str = "") -> SearchStrategy[Files]:
    """Return the files that `make` returns, in a folder, with one or two of them changed."""

    def inside(files: Files) -> Files:
        return {f"{folder}{name}": content for name, content in files.items()}

    return st.deferred(lambda: mutated_files(list(make()), WORDS)).map(inside)


@st.composite
def with_changed_config(draw) -> Files:
    """Return a checkpoint with a changed config.json: other values, or other bytes."""
    files = dict(draw(st.sampled_from(sorted(checkpoints().values(), key=len))))
    config = files["config.json"]
    changes = mutated_json_text(config, most=3) if draw(st.integers(0, 3)) else quickly_mutated([config], WORDS)
    return files | {"config.json": draw(changes)}


TARGETS = (
    Target("conversion_config", open_and_plan, with_changed_config(), megabytes=MEGABYTES),
    Target("conversion_both_ways", there_and_back, changed(lambda: checkpoints().values(), "source/"), megabytes=MEGABYTES),
    Target("conversion_back", back, changed(paddle_checkpoints, "source/"), megabytes=MEGABYTES),
    Target("conversion_tokenizer", tokenizer_there_and_back, changed(tokenizers, "source/"), megabytes=MEGABYTES),
    Target("conversion_adapter", merge_an_adapter, changed(adapters), megabytes=MEGABYTES),
)
