"""The page of a causal_lm run: write a text that begins with the visitor's words, shown while it is written."""

from __future__ import annotations

from typing import Any

from paddle_ft.demo.blocks import Note, Text
from paddle_ft.demo.fields import BadInput, Field, NumberField, TextField
from paddle_ft.demo.labels import Label
from paddle_ft.demo.page import DemoPage, Reply
from paddle_ft.metrics.text import word_spans

LENGTH = 120  # tokens, at first
PROMPT_WORDS = 8  # words of an example
TOP_P = 0.95
BEGINNING = Label("Beginning of the text (may be empty)", "文本的开头（可为空）")
LONGEST = Label("Longest text, in tokens", "最多生成的 token 数")
TEMPERATURE = Label("Temperature (0: always the likeliest token)", "温度（0：总取概率最大的 token）")
SEED = Label("Seed (another number, another text)", "随机种子（换一个数，换一段文本）")
STORY = Label("Text", "文本")
TOO_LONG = Label("The beginning has {tokens} tokens; with room for at least one more, the model takes {limit}. Shorten it.",
                 "开头共 {tokens} 个 token，模型最多接受 {limit} 个（至少留一个位置续写）。请缩短。")  # fmt: skip
METADATA = {"genres": ("genre", Label("Genres", "体裁")), "title": ("title", Label("Title", "标题")),
            "author": ("author", Label("Author", "作者"))}  # fmt: skip
FINISHED = Label("{tokens} tokens; the model ended the text itself.", "共 {tokens} 个 token，由模型自行结束。")
AT_LIMIT = Label("{tokens} tokens: the length that was asked for.", "共 {tokens} 个 token，达到设定的长度。")


class CausalLMPage(DemoPage):
    """Write a text."""

    title = Label("Write a story", "写故事")
    button = Label("Write", "开始写")

    def fields(self) -> tuple[Field, ...]:
        positions = self.task.model.config.max_position_embeddings
        metadata = [METADATA[name] for name in self.task.options.metadata]
        return (
            TextField("prompt", BEGINNING, lines=3),
            *(TextField(name, label) for name, label in metadata),
            NumberField("length", LONGEST, min(LENGTH, positions // 2), 1, positions // 2),
            NumberField("temperature", TEMPERATURE, 0.8, 0, 2, 0.1),
            NumberField("seed", SEED, 1, 0, 9999),
        )

    def example(self, row: dict[str, Any]) -> dict[str, str] | None:
        spans = word_spans(row["source"])[:PROMPT_WORDS]
        return {"prompt": row["source"][: spans[-1][1]]} if spans else None

    def answer(self, values: dict[str, Any], reply: Reply) -> None:
        task = self.task
        given = {name: (values.get(name) or "").strip() or None for name in ("prompt", "genre", "title", "author")}
        flags = {**given, "stop_token": None, "length": values["length"], "run": self.run.path, "seed": values["seed"]}
        tokens = len(task.fast_tokenizer.encode(task.prompt(flags)).ids)
        room = task.model.config.max_position_embeddings - tokens
        if room < 1:
            raise BadInput(TOO_LONG.format(tokens=tokens, limit=task.model.config.max_position_embeddings - 1))
        flags["length"] = min(values["length"], room)
        search: dict[str, Any] = {"num_return_sequences": 1}
        if values["temperature"]:
            search |= {"do_sample": True, "temperature": values["temperature"], "top_p": TOP_P, "seed": values["seed"]}
        pieces: list[str] = []

        def show_piece(piece: str) -> None:
            pieces.append(piece)
            reply.preview(Text(STORY, "".join(pieces), large=True))

        (row,) = task.generate_texts(flags, search, show_piece)
        end = FINISHED if row["stopped"] else AT_LIMIT
        note = Note(end.format(tokens=row["tokens"]))
        reply.show(Text(STORY, row["text"], large=True), note, *self.remarks(given["prompt"] or ""))


PAGE = CausalLMPage
