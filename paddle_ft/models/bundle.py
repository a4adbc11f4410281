"""A name becomes a model and a tokenizer: the one room that imports PaddleNLP's model classes.

Names are resolved in this order: a directory, a PaddleNLP built-in name (bart-base), a Hugging Face id (org/name), which the
converter turns into a Paddle checkpoint once. From scratch, `model.config` gives the sizes and the tokenizer the vocabulary.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddle_ft.models.build import check_vocabulary, from_scratch, input_embedding, load_pretrained, resize_vocabulary, tie_head
from paddle_ft.models.classes import MODEL_CLASSES
from paddle_ft.models.resolve import builtin_files, read_config, resolve
from paddle_ft.tokenization.build import character_tokenizer, new_tokenizer, wordpiece_tokenizer
from paddle_ft.tokenization.load import load_tokenizer

__all__ = [
    "MODEL_CLASSES", "Loaded", "builtin_files", "character_tokenizer", "from_scratch", "input_embedding", "load",
    "load_pretrained", "load_tokenizer", "new_tokenizer", "read_config", "reload", "resize_vocabulary", "resolve", "save",
    "tie_head", "wordpiece_tokenizer",
]  # fmt: skip


@dataclass
class Loaded:
    """A model, its PaddleNLP tokenizer, the same tokenizer in Rust for whole data sets, and its files.

    The files are kept in memory, name -> bytes: PaddleNLP's own save copies them from where they were loaded, which fails
    hours later if that folder has gone.
    """

    model: Any
    tokenizer: Any
    fast_tokenizer: Any
    tokenizer_files: dict[str, bytes]


def load(
    kind: str,
    section,
    folder: Path,
    texts: Callable[[], Iterable[str]],
    special_tokens: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
) -> Loaded:
    """Loads or builds what the `model` section names.

    Args:
        kind: what the task needs, a key of MODEL_CLASSES.
        section: the configuration's model section.
        folder: a directory of this run where a tokenizer built from texts is written.
        texts: called for the training texts, if a tokenizer has to be built from them.
        special_tokens: what is added to the vocabulary, as the tokenizer's add_special_tokens takes it.
        settings: what the task sets in the model's configuration (classes, head of a classifier).

    Raises: UserError if there is no such model or it does not fit the task.
    """
    known = 0  # tokens that the model has learned
    if section.pretrained is not None:
        directory = resolve(section.pretrained, kind)
        tokenizer_directory = directory if section.tokenizer is None else resolve(section.tokenizer, kind, weights=False)
        tokenizer = load_tokenizer(tokenizer_directory)
        model = load_pretrained(kind, directory, settings)
        check_vocabulary(model, tokenizer, section.pretrained)
        tie_head(model)
        known = len(tokenizer)
        if special_tokens:
            tokenizer.add_special_tokens(special_tokens)
            resize_vocabulary(model, len(tokenizer), known)
    else:
        if section.tokenizer is not None:
            tokenizer = load_tokenizer(resolve(section.tokenizer, kind, weights=False))
        else:
            tokenizer = new_tokenizer(kind, texts(), folder, section.new_vocabulary)
        if special_tokens:
            tokenizer.add_special_tokens(special_tokens)
        model = from_scratch(kind, section.config, tokenizer, settings)
        tie_head(model, from_scratch=True)
    if section.lora is not None:
        from paddle_ft.models import lora

        lora.add(model, section.lora, new_tokens=len(tokenizer) > known)
    return _with_fast_tokenizer(model, tokenizer, folder)


def reload(kind: str, directory: Path) -> Loaded:
    """Loads what `save` wrote, with its adapters where the training goes on from it. Raises UserError if there is no model."""
    from paddle_ft.models import lora

    model = load_pretrained(kind, directory)
    tie_head(model)
    if (adapters := directory / "trainer" / lora.FILE).is_file():
        lora.restore(model, adapters)
    with tempfile.TemporaryDirectory() as folder:
        return _with_fast_tokenizer(model, load_tokenizer(directory), Path(folder))


def _with_fast_tokenizer(model, tokenizer, folder: Path) -> Loaded:
    from paddle_ft.tokenization.encode import fast_tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(str(folder))
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    return Loaded(model, tokenizer, fast_tokenizer(folder), files)


def save(loaded: Loaded, directory: Path) -> None:
    """Writes a directory that plain PaddleNLP loads: weights as safetensors (adapters merged), configuration, tokenizer."""
    from paddle_ft.models import lora

    loaded.model.save_pretrained(str(directory), safe_serialization=True, state_dict=lora.merged_state(loaded.model))
    for name, content in loaded.tokenizer_files.items():
        (directory / name).write_bytes(content)
