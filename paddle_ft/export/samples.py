"""Choose the inputs that an export is verified with: texts of the run's validation data, of different lengths.

If the data is not on this machine, random ids stand in for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from paddle_ft.data.rows import Rows
from paddle_ft.export.graphs import kind_of
from paddle_ft.runs.inference import read_local_rows, read_local_split
from paddle_ft.system.errors import UserError
from paddle_ft.tokenization.encode import cut_pair

COUNT = 8  # texts in the padded batch


@dataclass(frozen=True)
class Samples:
    """Inputs of the verification.

    Attributes:
        ids: token ids of each input, of different lengths.
        second_starts: where the second text of each pair begins in its ids; None for single texts.
        texts: the texts, as `predict` takes them; None for random ids.
        origin: where they come from, for people.
    """

    ids: list[list[int]]
    second_starts: list[int] | None
    texts: list[Any] | None
    origin: str


def held_out_rows(task: Any, limit: int | None = None) -> tuple[str, Rows]:
    """Return the name and the first rows of the run's validation split, or of its test split if there is no validation.

    Args:
        task: the task with its model.
        limit: number of rows; None: all.

    Raises:
        UserError: the data is not on this machine, or has no such split.
    """
    for split in ("validation", "test"):
        if rows := read_local_split(task, split):
            return split, replace(rows, rows=rows.rows[:limit])
    split_rows = read_local_rows(task)  # the task may split the training data itself
    held_out = next((name for name in ("validation", "test") if split_rows.get(name)), None)
    if held_out is None:
        raise UserError("the run has neither validation nor test data")
    return held_out, replace(split_rows[held_out], rows=split_rows[held_out].rows[:limit])


def choose_samples(task: Any) -> Samples:
    """Return the inputs for a task with its model."""
    try:
        split, rows = held_out_rows(task)
    except UserError as error:
        return random_samples(task, str(error).splitlines()[0])
    texts = _TEXTS[kind_of(task.name)](task, rows.rows)
    if isinstance(texts[0], str):
        return Samples([list(_encode(task, text).ids) for text in texts], None, texts, f"texts of {split}")
    pairs = [cut_pair(task.fast_tokenizer.encode(*pair), task.options.max_text_length) for pair in texts]
    return Samples([ids for ids, _ in pairs], [start for _, start in pairs], texts, f"texts of {split}")


def _encode(task: Any, text: str) -> Any:
    """Return the encoding of a single text as `predict` reads it."""
    tokenizer, options = task.fast_tokenizer, task.options
    if task.name == "lyrics":
        text = task._source(text)
    elif task.name == "causal_lm":
        from paddle_ft.tasks.causal_lm import EOS

        text = task.example({"text": text}).removesuffix(EOS)
    limit = getattr(options, "max_source_length", None) or getattr(options, "max_text_length", None)
    if limit is not None:
        tokenizer.enable_truncation(limit)
    try:
        return tokenizer.encode(text)
    finally:
        tokenizer.no_truncation()


def _spread(rows: Sequence[Any], length: Callable[[Any], int]) -> list[Any]:
    """Return up to COUNT rows of different lengths, from the shortest to the longest of the first few hundred."""
    ordered = sorted(rows[:400], key=length)
    return [ordered[i] for i in np.unique(np.linspace(0, len(ordered) - 1, COUNT).round().astype(int))]


def _classification_texts(task: Any, rows: Sequence[dict[str, str]]) -> list[Any]:
    texts: list[Any] = [(row["text"], row["text_pair"]) if "text_pair" in row else row["text"] for row in rows]
    return _spread(texts, lambda text: len(text) if isinstance(text, str) else len(text[0] + text[1]))


def _masked_texts(task: Any, rows: Sequence[dict[str, str]]) -> list[str]:
    """Return the beginnings of texts, of different lengths, with a mask token in the middle."""
    texts = []
    for number, row in enumerate(_spread([row for row in rows if row["text"].strip()], lambda row: len(row["text"]))):
        words, space = (row["text"].split(), " ") if len(row["text"].split()) > 3 else (list(row["text"].strip()), "")
        words = [word for word in words if task.tokenizer.mask_token not in word][: 4 + 2 * number]
        words[len(words) // 2] = task.tokenizer.mask_token
        texts.append(space.join(words))
    return texts


def _sources(task: Any, rows: Sequence[dict[str, str]]) -> list[str]:
    sources = [row["source"] for row in rows]
    if task.name == "lyrics":
        from paddle_ft.tasks.lyrics.pairs import SEPARATOR

        sources = [source.replace(SEPARATOR, "\n") for source in sources]
    return _spread(sources, len)


def _beginnings(task: Any, rows: Sequence[dict[str, str]]) -> list[str]:
    """Return the beginnings of texts, of different lengths."""
    return [row["text"].strip()[: 12 + 10 * number] for number, row in enumerate(_spread(rows, lambda row: len(row["text"])))]


_TEXTS: dict[str, Callable[[Any, Sequence[dict[str, str]]], list[Any]]] = {
    "classification": _classification_texts, "masked_lm": _masked_texts, "seq2seq": _sources, "causal_lm": _beginnings,
}  # fmt: skip


def random_samples(task: Any, reason: str) -> Samples:
    """Return random ids of different lengths, and why there is no text."""
    rng = np.random.default_rng(0)
    special = set(task.tokenizer.all_special_ids)
    ordinary = [i for i in range(len(task.tokenizer)) if i not in special]
    longest = min(32, task.model.config.max_position_embeddings // 2)
    lengths = np.linspace(2, longest, COUNT).round().astype(int)
    ids = [[int(i) for i in rng.choice(ordinary, length)] for length in lengths]
    if task.name == "masked_lm":
        for row in ids:
            row[len(row) // 2] = task.tokenizer.mask_token_id
    return Samples(ids, None, None, f"random ids ({reason})")
