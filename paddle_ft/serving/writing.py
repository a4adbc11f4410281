"""Say what /generate takes for a task, and write the texts.

A task with `generate_texts` of its own takes the flags of the command `generate`. Other encoder-decoder tasks, such as
summarization, take a text and lengths. The remaining tasks do not write texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from paddle_ft.runs.write_texts import generate_rows, search_options
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.base import Flag, Task
from paddle_ft.tasks.shared.seq2seq import Seq2Seq

SEQ2SEQ_FIELDS = (
    Flag("text", str, "TEXT", "the text to read; required"),
    Flag("max_length", int, "N", "maximum number of tokens (default: the run's task.max_target_length)"),
    Flag("min_length", int, "N", "minimum number of tokens (default: the run's task.min_target_length)"),
)


def writes_by_flags(task: type[Task]) -> bool:
    """Return whether a task has `generate_texts` of its own."""
    return task.generate_texts is not Task.generate_texts


def writing_fields(task: type[Task]) -> tuple[Flag, ...] | None:
    """Return what /generate takes for a task besides how tokens are chosen, or None if the task does not write texts."""
    if writes_by_flags(task):
        return task.generation_flags
    return SEQ2SEQ_FIELDS if issubclass(task, Seq2Seq) else None


def write(task: Task, path: str, values: dict[str, Any], show: Callable[[str], None] | None) -> list[dict[str, Any]]:
    """Return a row for each text, with the text under "text".

    Args:
        task: the run's task with its model.
        path: the run's directory, for messages.
        values: the fields of the request; None for those that are not set.
        show: called with each piece of the text while it is written, or None. The pieces make up the text.

    Raises:
        UserError: the fields contradict each other, or do not fit the run.
    """
    pieces = None if show is None else _Pieces(show)
    if writes_by_flags(type(task)):
        rows = list(generate_rows(task, path, values, pieces))
    else:
        assert isinstance(task, Seq2Seq)
        rows = _write_from_source(task, values, pieces)
    if pieces is not None:
        pieces.finish(rows[0]["text"])
    return rows


class _Pieces:
    """Pass on the pieces of a text, so that together they are the text: without line breaks at its end, and with its last token."""

    def __init__(self, show: Callable[[str], None]):
        self._show, self._shown, self._held = show, "", ""

    def __call__(self, piece: str) -> None:
        text = self._held + piece
        body = text.rstrip("\n")
        self._held = text[len(body) :]
        if body:
            self._shown += body
            self._show(body)

    def finish(self, text: str) -> None:
        """Show what is still missing of the whole text."""
        if text.startswith(self._shown) and text != self._shown:
            self._show(text[len(self._shown) :])


def _write_from_source(task: Seq2Seq, values: dict[str, Any], show: _Pieces | None) -> list[dict[str, Any]]:
    from paddle_ft.generation import generate_all, stream

    source = values["text"]
    if not (source or "").strip():
        raise UserError(f"text is {'missing' if source is None else 'empty'}: give the text that is to be read.")
    options = _options(task, values)
    (ids,) = task.encode_texts([source], "", task.options.max_source_length, cache=False)
    if show is None:
        (rows,) = generate_all(task.model, [ids], options, 1, "", task.on_step)
        rows = [row[1:] for row in rows]  # without decoder_start_token_id
    else:
        if options.num_beams > 1 or options.num_return_sequences > 1:
            raise UserError(
                f"stream: a text is shown token by token, which a search with {options.num_beams} beams cannot do. Set beams to 1,"
                " use top_k, top_p or temperature, or leave stream out."
            )
        rows = [_show(task, stream(task.model, ids, options), show)]
    return [{"source": source, "text": text, "tokens": len(row)} for row, text in zip(rows, task.texts(rows), strict=True)]


def _options(task: Seq2Seq, values: dict[str, Any]) -> Any:
    """Return the run's options of generation, with what the request sets."""
    search = search_options(values, task.config.seed, beams=task.generation_options().num_beams)
    search.pop("early_stopping", None)  # as the run has it
    if search.get("do_sample"):
        search["num_beams"] = 1
    if values["max_length"] is not None:  # one more, because generation also counts decoder_start_token_id
        search["max_length"] = values["max_length"] + 1
    if values["min_length"] is not None:
        search["min_length"] = values["min_length"] + 1 if values["min_length"] else 0
    most = task.model.config.max_position_embeddings - 1
    if values["max_length"] is not None and values["max_length"] > most:
        raise UserError(f"max_length {values['max_length']} is above {most}, the most tokens that this run's model can write.")
    options = task.generation_options()
    longest = search.get("max_length", options.max_length) - 1
    shortest = search.get("min_length", options.min_length) - 1
    if shortest > longest:
        raise UserError(f"min_length {shortest} is above max_length {longest}.")
    return replace(options, **search)


def _show(task: Seq2Seq, tokens: Iterator[int], show: _Pieces) -> list[int]:
    """Show the text while its tokens are generated, and return them. A character of several tokens is shown with the last."""
    ids: list[int] = []
    shown = ""
    for token in tokens:
        ids.append(token)
        if task.on_step is not None:
            task.on_step()
        (text,) = task.texts([ids])
        if text.startswith(shown) and not text.endswith("\ufffd"):
            show(text[len(shown) :])
            shown = text
    return ids
