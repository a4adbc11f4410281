"""The page of a masked_lm run: guesses for masked words, by the model before and after training."""

from __future__ import annotations

import itertools
import re
from typing import Any

from paddle_ft.data.text import SPACELESS, regex_class
from paddle_ft.demo.blocks import Bars, Block, Columns, Note, Text
from paddle_ft.demo.fields import BadInput, Field, NumberField, TextField
from paddle_ft.demo.labels import Label
from paddle_ft.demo.page import DemoPage, LoadedRun, Reply
from paddle_ft.runs.fill_mask import task_before_training
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import print_info

WORDS_AROUND = 12  # words of an example before and after its mask
FEWEST_WORDS = 4  # words around the mask, in all
_SPACELESS = regex_class(SPACELESS)
_PIECE = re.compile(rf"[{_SPACELESS}]|[^\s{_SPACELESS}]+\s*|\s+")  # a word with the spaces after it, or a Chinese character
TEXT = Label("Text with {mask} where words are missing", "带有 {mask} 的文本（{mask} 处由模型填写）")
NO_MASK = Label("The text has no {mask}: put one where a word is to be guessed.",
                "文本中没有 {mask}：请在需要填词的位置写上 {mask}。")  # fmt: skip
BEFORE, AFTER = Label("before training", "训练前"), Label("after training", "训练后")
FROM_SCRATCH = Label("This run started from random weights, so there is no model before training to compare with.",
                     "本次训练从随机权重开始，没有可对比的训练前模型。")  # fmt: skip
UNREACHABLE = Label("The model before training is not reachable, so only the trained model answers: {reason}",
                    "无法取得训练前的模型，因此只显示训练后的结果：{reason}")  # fmt: skip


class MaskedLMPage(DemoPage):
    """Fill in masked words.

    Attributes:
        before: the task with the model before training, or None.
        why_no_before: why there is none.
    """

    title = Label("Fill the mask", "完形填空")
    button = Label("Fill in", "填空")

    def __init__(self, run: LoadedRun):
        super().__init__(run)
        self.before, self.why_no_before = None, FROM_SCRATCH
        if self.task.config.model.pretrained is not None:
            try:
                self.before = task_before_training(self.task)
            except UserError as error:
                self.why_no_before = UNREACHABLE.format(reason=str(error).splitlines()[0])
                print_info(f"{run.path}: {self.why_no_before.en}")

    @property
    def mask(self) -> str:
        """Return the model's mask token."""
        return self.task.tokenizer.mask_token

    def fields(self) -> tuple[Field, ...]:
        return (
            TextField("text", TEXT.format(mask=self.mask), lines=4),
            NumberField("top", Label("Guesses for each mask", "每处显示的候选数"), 5, 1, 20),
        )

    def example(self, row: dict[str, Any]) -> dict[str, str] | None:
        return {"text": cut_example(row["source"], self.mask, self.task.tokenizer.all_special_tokens)}

    def answer(self, values: dict[str, Any], reply: Reply) -> None:
        text = self.need_text(values, "text", TEXT.format(mask=self.mask))
        if self.mask not in text:
            raise BadInput(NO_MASK.format(mask=self.mask))
        (after,) = self.task.fill([text], values["top"], "")
        (before,) = self.before.fill([text], values["top"], "") if self.before else (None,)
        reply.check()
        blocks: list[Block] = []
        for number, guesses in enumerate(after):
            bars = Bars(AFTER, _names(guesses))
            if len(after) > 1:
                blocks.append(Note(Label(f"{self.mask} number {number + 1}", f"第 {number + 1} 个 {self.mask}")))
            blocks.append(Columns((Bars(BEFORE, _names(before[number])), bars)) if before else bars)
        filled = text
        for (token, _), *_ in after:
            filled = filled.replace(self.mask, token.strip().removeprefix("##"), 1)
        reply.show(
            Text(Label("Filled in", "填空结果"), filled, large=True),
            *blocks,
            *([] if before else [Note(self.why_no_before)]),
            *self.remarks(text),
        )


def _names(guesses: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    return tuple((token.strip() or repr(token), probability) for token, probability in guesses)


def cut_example(source: str, mask: str, special_tokens: list[str]) -> str:
    """Return a short text around one mask of a block of training text: around the mask with the most text at its sides.

    Args:
        source: the block, with its masks and special tokens. Several texts may be joined in it.
        mask: the mask token.
        special_tokens: all special tokens of the tokenizer.

    Returns:
        A text with exactly one mask, or "" if the block has none with enough text around it.
    """
    others = [re.escape(token) for token in special_tokens if token != mask]
    best, words_of_best = "", FEWEST_WORDS - 1
    for text in re.split("|".join(others), source) if others else [source]:
        parts = [_PIECE.findall(part) for part in text.split(mask)]
        for before, after in itertools.pairwise(parts):
            left, right = before[-WORDS_AROUND:], after[:WORDS_AROUND]
            while left and (left[0].startswith("##") or not left[0].strip()):  # the rest of a word that was cut off
                left = left[1:]
            if len(left) + len(right) > words_of_best:
                best, words_of_best = f"{''.join(left)}{mask}{''.join(right)}".strip(), len(left) + len(right)
    return best


PAGE = MaskedLMPage
