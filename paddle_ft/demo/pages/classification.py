"""The page of a classification run: the probability of every class, for a text or a pair of texts."""

from __future__ import annotations

from typing import Any

from paddle_ft.demo.blocks import Bars, Text
from paddle_ft.demo.fields import Field, TextField
from paddle_ft.demo.labels import Label
from paddle_ft.demo.page import DemoPage, Reply

FIRST, SECOND = Label("First text", "第一段文本"), Label("Second text", "第二段文本")
TEXT = Label("Text", "文本")
MOST_CLASSES = 20  # classes with a bar of their own


class ClassificationPage(DemoPage):
    """Classify a text, or a pair of texts if the run was trained with pairs."""

    title = Label("Classify", "文本分类")
    button = Label("Classify", "分类")

    @property
    def takes_pairs(self) -> bool:
        """Return whether the run was trained with pairs, by its predictions or else by its columns."""
        if self.run.predictions:
            return "text_pair" in self.run.predictions[0]
        return "text_pair" in (self.task.config.data.columns or {})

    def fields(self) -> tuple[Field, ...]:
        if self.takes_pairs:
            return TextField("text", FIRST, lines=2), TextField("text_pair", SECOND, lines=2)
        return (TextField("text", TEXT, lines=4),)

    def example(self, row: dict[str, Any]) -> dict[str, str] | None:
        return {name: row[name] for name in ("text", "text_pair") if name in row}

    def answer(self, values: dict[str, Any], reply: Reply) -> None:
        texts = [self.need_text(values, field.name, field.label) for field in self.fields()]
        (row,) = self.task.predict([tuple(texts) if self.takes_pairs else texts[0]], "")
        bars = sorted(row["probabilities"].items(), key=lambda item: -item[1])[:MOST_CLASSES]
        reply.show(
            Text(Label("Class", "类别"), row["prediction"], large=True),
            Bars(Label("Probabilities", "各类别概率"), tuple(bars)),
            *self.reference(*texts),
            *self.remarks(" ".join(texts), self.task.options.max_text_length),
        )


PAGE = ClassificationPage
