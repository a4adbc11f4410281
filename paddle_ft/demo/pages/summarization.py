"""The page of a summarization run: beams and lengths, and what the summary copies from its source."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from paddle_ft.demo.blocks import Note, Text
from paddle_ft.demo.fields import BadInput, Field, NumberField, TextField
from paddle_ft.demo.labels import Label
from paddle_ft.demo.page import DemoPage, Reply
from paddle_ft.metrics.copying import find_copies

SOURCE = Label("Text to summarise", "待摘要的文本")
COPIED = Label("{share:.0f} % of the summary's words (in Chinese: characters) are copied from the text, in runs of two or more"
               " (marked).",
               "摘要中 {share:.0f}% 的字（英文：词）是从原文中连续照抄的（两个以上，已标出）。")  # fmt: skip
NOTHING_WRITTEN = Label("The model wrote nothing for this text.", "模型没有为该文本写出任何内容。")
LENGTHS = Label("The shortest length ({shortest}) is above the longest ({longest}).",
                "最短长度（{shortest}）大于最长长度（{longest}）。")  # fmt: skip
BEAMS = Label("Beams (1: greedy search)", "束宽（1：贪心搜索）")
LONGEST = Label("Longest summary, in tokens", "摘要最长 token 数")
SHORTEST = Label("Shortest summary, in tokens", "摘要最短 token 数")


class SummarizationPage(DemoPage):
    """Summarise a text."""

    title = Label("Summarise", "文本摘要")
    button = Label("Summarise", "生成摘要")

    def fields(self) -> tuple[Field, ...]:
        options, section = self.task.options, self.task.config.generation
        positions = self.task.model.config.max_position_embeddings
        longest = max(options.max_target_length, min(256, positions - 1))
        return (
            TextField("text", SOURCE, lines=8),
            NumberField("num_beams", BEAMS, section.num_beams, 1, max(8, section.num_beams)),
            NumberField("max_length", LONGEST, options.max_target_length, 4, longest),
            NumberField("min_length", SHORTEST, options.min_target_length, 0, longest),
        )

    def example(self, row: dict[str, Any]) -> dict[str, str] | None:
        return {"text": row["source"]}

    def answer(self, values: dict[str, Any], reply: Reply) -> None:
        from paddle_ft.generation import generate_all

        source, task = self.need_text(values, "text", SOURCE), self.task
        longest, shortest = values["max_length"], values["min_length"]
        if shortest > longest:
            raise BadInput(LENGTHS.format(shortest=shortest, longest=longest))
        limit = task.options.max_source_length
        encoded = task.encode_texts([source], "", limit, cache=False)
        options = replace(  # one more than asked for, because generation also counts decoder_start_token_id
            task.generation_options(),
            num_beams=values["num_beams"], max_length=longest + 1, min_length=shortest + 1 if shortest else 0,
        )  # fmt: skip
        (rows,) = generate_all(task.model, [encoded[0]], options, 1, "", reply.check)
        (summary,) = task.texts(rows[:1])
        if not summary:
            reply.show(Note(NOTHING_WRITTEN), *self.remarks(source, limit))
            return
        copies = find_copies(summary, source)
        reply.show(
            Text(Label("Summary", "摘要"), summary, tuple(copies.in_text), large=True),
            *self.reference(source),
            Text(Label("Text", "原文"), source, tuple(copies.in_source)),
            Note(COPIED.format(share=100 * copies.share)),
            *self.remarks(source, limit),
        )


PAGE = SummarizationPage
