"""The page of a run: what can be typed in and what is shown. This one fits every task, those in pages/ fit one task better."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from paddle_ft.demo.blocks import Block, Facts, Note, Text
from paddle_ft.demo.fields import BadInput, Field, TextField
from paddle_ft.demo.labels import Label
from paddle_ft.demo.worker import Job
from paddle_ft.tasks.base import Task

LONGEST_EXAMPLE = 700
EXAMPLES = 5
TEXT = Label("Text", "文本")
PREVIEW_SECONDS = 0.1  # time between two previews of an answer


@dataclass
class LoadedRun:
    """A run with its model.

    Attributes:
        path: the run's directory, as it was named.
        task: its task, with the trained model.
        results: the content of results.json.
        predictions: rows of predictions-<split>.jsonl, of the test split if there is one.
    """

    path: str
    task: Task
    results: dict[str, Any] = field(default_factory=dict)
    predictions: list[dict[str, Any]] = field(default_factory=list)


class Reply:
    """The place where a page shows its answer.

    Attributes:
        shown: the blocks that are shown now.
    """

    def __init__(self, job: Job, wrap: Callable[[Sequence[Block]], Any]):
        """Begin with nothing.

        Args:
            job: the computation that the answer belongs to.
            wrap: turns the blocks of this page into what the job shows.
        """
        self._job, self._wrap = job, wrap
        self.shown: tuple[Block, ...] = ()
        self._next_preview = 0.0

    def show(self, *blocks: Block) -> None:
        """Show the answer, in place of what was shown before."""
        self.shown = blocks
        self._job.show(self._wrap(blocks))

    def preview(self, *blocks: Block) -> None:
        """Show the answer so far. Where previews follow each other very quickly, some are left out."""
        self.check()
        if time.monotonic() >= self._next_preview:
            self.show(*blocks)
            self._next_preview = time.monotonic() + PREVIEW_SECONDS

    def check(self) -> None:
        """Stop here if nobody waits for the answer any more. Long computations call this between their steps."""
        self._job.check()


class DemoPage:
    """A page for the run of any task: a text in, the prediction out.

    Attributes:
        title: name of the page.
        button: what the button says.
        run: the run.
        task: its task.
        references: text of an example -> what the data says its prediction should be.
    """

    title: ClassVar[Label] = Label("Predict", "预测")
    button: ClassVar[Label] = Label("Predict", "预测")

    def __init__(self, run: LoadedRun):
        self.run = run
        self.task: Any = run.task  # Any: the page of a task uses what only this task has
        self.references: dict[str, str] = {}
        self._examples = self._choose_examples()

    # -------------------------------------------------------------------------------- what a task's page declares
    def fields(self) -> tuple[Field, ...]:
        """Return the inputs. Pages of runs that are compared with each other must have the same ones."""
        return (TextField("text", TEXT, lines=5),)

    def example(self, row: dict[str, Any]) -> dict[str, str] | None:
        """Return values of some fields that are made from a prediction row, the main one first, or None."""
        text = row.get(self.task.required_fields[0], row.get("source"))
        return {"text": text} if isinstance(text, str) else None

    def answer(self, values: dict[str, Any], reply: Reply) -> None:
        """Compute an answer and show it.

        Args:
            values: name of a field -> its value. The fields have checked them.
            reply: where the answer is shown.

        Raises:
            BadInput: the visitor has to change something.
            UserError: likewise, with a message of the library.
        """
        text = self.need_text(values, "text")
        (row,) = self.task.predict([text], "")
        others = {name: value for name, value in row.items() if name != "prediction" and value != text}
        facts = Facts(tuple((Label.same(name.replace("_", " ")), str(value)) for name, value in others.items()))
        main = Text(Label("Prediction", "预测结果"), str(row["prediction"]), large=True)
        reply.show(main, *([facts] if others else []), *self.reference(text), *self.remarks(text))

    # -------------------------------------------------------------------------------- for all pages
    def examples(self) -> list[dict[str, str]]:
        """Return the examples to click, which come from the run's own predictions."""
        return self._examples

    def _choose_examples(self) -> list[dict[str, str]]:
        """Return examples of reasonable length, spread over the predictions."""
        found: dict[str, dict[str, str]] = {}
        for row in self.run.predictions:
            values = self.example(row)
            key = next(iter(values.values()), "") if values else ""
            if values and key.strip() and all(len(value) <= LONGEST_EXAMPLE for value in values.values()):
                found.setdefault(key, values)
                if self.task.reference_field in row:
                    self.references[" ".join(values.values())] = str(row[self.task.reference_field])
        rows = list(found.values())
        count = min(EXAMPLES, len(rows))
        return [rows[number * len(rows) // count] for number in range(count)]

    def need_text(self, values: dict[str, Any], name: str, label: Label = TEXT) -> str:
        """Return the text of a field without spaces around it.

        Args:
            values: name of a field -> its value.
            name: name of the field.
            label: what the page calls the field.

        Raises:
            BadInput: it is empty.
        """
        text = str(values[name] or "").strip()
        if not text:
            raise BadInput((EMPTY if self._examples else EMPTY_WITHOUT_EXAMPLES).format(name=label))
        return text

    def reference(self, *texts: str) -> list[Block]:
        """Return a block with what the data says about an example, or [] for a text of the visitor's own."""
        known = self.references.get(" ".join(texts))
        return [] if known is None else [Text(Label("In the data", "数据集中的答案"), known)]

    def remarks(self, text: str, limit: int | None = None) -> list[Block]:
        """Return remarks on how the model reads a text: tokens that it does not know, or that are cut off.

        Args:
            text: the text.
            limit: how many tokens the model reads, or None if nothing is cut off.
        """
        ids = self.task.fast_tokenizer.encode(text).ids
        unknown = ids.count(self.task.tokenizer.unk_token_id)
        blocks: list[Block] = []
        if unknown:
            blocks.append(Note(UNKNOWN.format(unknown=unknown, total=len(ids))))
        if limit is not None and len(ids) > limit:
            blocks.append(Note(CUT.format(limit=limit, total=len(ids))))
        return blocks


UNKNOWN = Label(
    "{unknown} of the {total} tokens are unknown to the model's vocabulary; it cannot tell them apart.",
    "共 {total} 个 token，其中 {unknown} 个不在模型词表中，模型无法区分它们。",
)
CUT = Label(
    "The text has {total} tokens; the model read the first {limit} only.",
    "文本共 {total} 个 token，模型只读取了前 {limit} 个。",
)
EMPTY = Label("“{name}” is empty: type a text or click an example.", "“{name}”为空：请输入文本，或点击一个示例。")
EMPTY_WITHOUT_EXAMPLES = Label("“{name}” is empty: type a text.", "“{name}”为空：请输入文本。")
