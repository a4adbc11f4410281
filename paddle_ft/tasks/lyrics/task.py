"""Lyrics with BART: a line of a song -> the next line; songs are written by feeding each line back.

Source: Sinclair (2020), Teaching BART to Rap, and the tutorial that brought it to PaddleNLP; Lewis et al. (2020), BART, whose
noise (words replaced by <mask>) is kept up in fine-tuning.
"""

from __future__ import annotations

import difflib
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import Field

from paddle_ft.config.schema import GenerationSection
from paddle_ft.data.rows import Rows
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import say
from paddle_ft.tasks.base import Dataset, Flag, Scores, TaskOptions
from paddle_ft.tasks.lyrics import pairs as lyrics
from paddle_ft.tasks.shared.seq2seq import Seq2Seq, join_chinese


class Options(TaskOptions):
    """Lyrics: a line -> the next line. Lengths are in tokens, special tokens included."""

    name: Literal["lyrics"] = Field(description="the task")
    context_lines: int = Field(1, ge=1, le=32, description="lines a source has at most, joined by a separator token; 1: the last")
    noise: float = Field(0.25, ge=0, lt=1, description="share of the source words masked in training, never a line's last; 0: off")
    style: Literal["genre", "artist"] = Field("genre", description="what only and prefix go by: this column or folder level")
    only: str | list[str] | None = Field(None, description="train on songs of this genre or artist alone, or of these (null: all)")
    prefix: bool = Field(False, description="put a token for the genre or artist before every source")
    validation_share: float = Field(0.1, ge=0, lt=1, description="of the songs, where no validation and test data are given")
    test_share: float = Field(0.1, ge=0, lt=1, description="likewise")
    generated_lines: int = Field(500, ge=1, description="lines generated in an evaluation, spread evenly; the loss is of all rows")
    max_source_length: int = Field(64, ge=4, description="tokens of a source; longer ones are cut and counted")
    max_target_length: int = Field(48, ge=4, description="tokens of a line, in training and generation")
    min_target_length: int = Field(0, ge=0, description="generation writes at least this many tokens")
    ignore_pad_token_for_loss: bool = Field(True, description="padding is no target (label -100)")


class Lyrics(Seq2Seq):
    name = "lyrics"
    Options = Options
    sections = {"generation": GenerationSection}
    fields = ("lyrics",)
    optional_fields = ("genre", "artist", "title")
    best_metric = "perplexity"
    generates_by_chance = True  # the noise
    generation_flags = (
        Flag("seed_line", str, "LINE", "line that the song goes on from"),
        Flag("lines", int, "N", "number of lines to write (default: 8)"),
        Flag("noise", float, "P", "share of the words masked in lines fed back (default: as trained)"),
        Flag("genre", str, "NAME", "genre or artist, for a run trained with task.prefix"),
    )
    originals: list[str] | None = None  # the training lines; None where they cannot be had

    # -------------------------------------------------------------------------------- songs to pairs
    def arrange(self, rows: dict[str, Rows]) -> dict[str, Rows]:
        """Songs to pairs of lines. Where there is one source alone, its songs are split, and no pair is in two splits."""
        songs = {split: self._chosen(loaded, split) for split, loaded in rows.items()}
        alone = list(rows) == ["train"]
        if alone:
            songs = lyrics.split_songs(songs["train"], (self.options.validation_share, self.options.test_share))
            rows = {split: replace(rows["train"], bad=rows["train"].bad if split == "train" else []) for split in songs}
        pairing, arranged = lyrics.Pairing(self.options.context_lines), {}
        for split in [split for split in ("train", "validation", "test") if songs.get(split)]:
            pairing = pairing if alone else lyrics.Pairing(self.options.context_lines)
            arranged[split] = self._paired(rows[split], songs[split], split, pairing)
        self.styles = sorted({song["prefix"] for song in songs["train"]} - {""})
        return arranged

    def arrange_one(self, rows: Rows, split: str) -> Rows:
        if split != "train":
            say("originality is left out: it is measured against the training lines")
        return self._paired(rows, self._chosen(rows, split), split, lyrics.Pairing(self.options.context_lines))

    def _paired(self, rows: Rows, songs: list[dict[str, str]], split: str, pairing: lyrics.Pairing) -> Rows:
        found, counts = pairing(songs, f"pairs of {split}")
        say(f"{split}: {lyrics.describe(counts, len(found))}")
        if not found:
            raise UserError(f"data.{split}: {lyrics.why_none(counts)}")
        if split == "train":
            self.originals = pairing.lines
        return replace(rows, rows=found, info=counts)

    def _chosen(self, loaded: Rows, split: str) -> list[dict[str, str]]:
        """The songs to use, each {"lyrics", "prefix"}. Raises UserError if `only` or `prefix` find no genre to go by."""
        options, style = self.options, self.options.style
        if not (options.only or options.prefix):
            return [{"lyrics": row["lyrics"], "prefix": ""} for row in loaded.rows]
        there = Counter(_plain(row.get(style) or "") for row in loaded.rows)
        unknown = there.pop("", 0)
        if not there or (options.prefix and unknown):
            raise UserError(
                f"data.{split}: {unknown} of {len(loaded):,} songs have no {style}, which task.only and task.prefix go by. Map"
                f" it with data.columns={{{style}: COLUMN}}; for .txt files it is the folder they are in."
            )
        wanted = [_plain(one) for one in ([options.only] if isinstance(options.only, str) else options.only or there)]
        for one in wanted:
            if one not in there:
                near = difflib.get_close_matches(one, there, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                known = ", ".join(f"{name} ({count:,})" for name, count in there.most_common(20))
                raise UserError(f"task.only: no song of {split} has the {style} {one!r}.{hint} There is {known}.")
        songs = [(row["lyrics"], _plain(row.get(style) or "")) for row in loaded.rows]
        prefix = lyrics.prefix_token if options.prefix else lambda style: ""
        return [{"lyrics": text, "prefix": prefix(name)} for text, name in songs if name in wanted]

    def special_tokens(self, train: Rows | None) -> dict[str, Any]:
        separator = [lyrics.SEPARATOR] if self.options.context_lines > 1 else []
        added = [*separator, *self.styles]
        return {"additional_special_tokens": added} if added else {}

    def _use(self, loaded) -> None:
        super()._use(loaded)
        if self.tokenizer.mask_token_id is None:
            raise UserError("model: its tokenizer has no mask token, with which the noise of lyrics is made.")

    # -------------------------------------------------------------------------------- features
    def encode(self, rows: Rows, split: str) -> Dataset:
        dataset = super().encode(rows, split)
        dataset.info |= rows.info
        if split == "train" and self.options.noise:
            dataset.columns["parts"] = [lyrics.parts(row["source"]) for row in rows.rows]
        return dataset

    def collate(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """As for any text to text; in training words of the source are masked, drawn afresh from `rng`."""
        parts = dataset.columns.get("parts")
        if parts is not None:
            texts = [
                lyrics.join(lyrics.mask_words(lines, self.options.noise, self.tokenizer.mask_token, rng), prefix)
                for prefix, lines in (parts[i] for i in indices)
            ]
            sources = dict(zip(indices, self.source_ids(texts), strict=True))
            dataset = replace(dataset, columns={"source": sources, "target": dataset.columns["target"]})
        return super().collate(dataset, indices, rng)

    def source_ids(self, texts: list[str]) -> list[list[int]]:
        """Token ids of a few sources, cut to max_source_length before the end token."""
        limit = self.options.max_source_length
        rows = [encoding.ids for encoding in self.fast_tokenizer.encode_batch_fast(texts)]
        return [ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]] for ids in rows]

    # -------------------------------------------------------------------------------- measuring
    def evaluate(self, dataset: Dataset, label: str) -> Scores:
        """Loss of all real next lines, and what can be said of generated ones. Sources are without noise."""
        from paddle_ft.metrics.perplexity import perplexity

        columns = {name: dataset.columns[name] for name in ("source", "target")}
        loss = self.mean_loss(replace(dataset, columns=columns), f"{label}: loss")
        places = self._shown(dataset)
        texts = self.generate([dataset.columns["source"][i] for i in places], f"{label}: generate")
        scores = self.score(texts, [dataset.rows[i] for i in places])
        scores.metrics = {"loss": round(loss, 6), "perplexity": round(perplexity(loss, 1), 4), **scores.metrics}
        return scores

    def _shown(self, dataset: Dataset) -> np.ndarray:
        count = min(len(dataset), self.options.generated_lines)
        return np.linspace(0, len(dataset) - 1, count).round().astype(int)

    def score(self, texts: list[str], rows: list[dict[str, str]]) -> Scores:
        """Rhyme with the line before, originality and variety of lines; beside them the rhyme of the real next lines."""
        from paddle_ft.metrics.bootstrap import confidence_interval
        from paddle_ft.metrics.distinct import distinct
        from paddle_ft.metrics.originality import originality
        from paddle_ft.metrics.rhyme import rhymes

        before = [lyrics.parts(row["source"])[1][-1] for row in rows]
        rhyming = [rhymes(text, line) for text, line in zip(texts, before, strict=True)]
        real = [rhymes(row["target"], line) for row, line in zip(rows, before, strict=True)]
        metrics: dict[str, Any] = {"rhyme": _percent(rhyming), "rhyme_of_real_lines": _percent(real)}
        intervals, tellings = {"rhyme": 100.0 * np.array(rhyming)}, [{}] * len(texts)
        if self.originals is not None:
            figures, origins = originality(texts, self._index())
            metrics |= figures
            intervals["max_bleu"] = [origin.bleu for origin in origins]
            tellings = [self._told(origin) for origin in origins]
        for name, values in intervals.items():
            interval = confidence_interval(values, self.config.seed, self.config.eval.bootstrap_samples)
            metrics[f"{name}_ci"] = [round(end, 4) for end in interval]
        metrics |= {"distinct1": distinct(texts, 1), "distinct2": distinct(texts, 2), "generated_lines": len(texts)}
        predictions = [
            {"source": row["source"], "target": row["target"], "prediction": text, **telling, "rhymes": rhyme}
            for row, text, telling, rhyme in zip(rows, texts, tellings, rhyming, strict=True)
        ]
        return Scores(metrics, predictions)

    def _told(self, origin) -> dict[str, Any]:
        """Where a generated line comes from."""
        return {
            "originality": round(100 - origin.bleu, 2),  # against the training line most like it
            "nearest_training_line": "" if origin.line is None else self.originals[origin.line],
            "longest_copy": origin.copied,
            "exact_copy": origin.exact,
        }

    def _index(self):
        """The n-grams of the training lines, indexed once."""
        from paddle_ft.metrics.originality import OriginalityIndex

        if getattr(self, "_indexed", None) is None or self._indexed.lines is not self.originals:
            self._indexed = OriginalityIndex(self.originals)
        return self._indexed

    def baseline(self, dataset: Dataset, train: Dataset) -> tuple[str, Scores]:
        """A random training line."""
        rng = np.random.default_rng(lyrics.SPLIT_SEED)
        rows = [dataset.rows[i] for i in self._shown(dataset)]
        return "random line", self.score([self.originals[i] for i in rng.integers(len(self.originals), size=len(rows))], rows)

    def other_baselines(self, dataset: Dataset, train: Dataset) -> dict[str, Scores]:
        """The source's last line said again."""
        rows = [dataset.rows[i] for i in self._shown(dataset)]
        return {"line copied": self.score([lyrics.parts(row["source"])[1][-1] for row in rows], rows)}

    # -------------------------------------------------------------------------------- writing
    def generation_options(self, **search):
        """Those of the configuration; with `search` instead of its way of choosing tokens."""
        options = super().generation_options()
        if not search:
            return options
        plain = {"num_beams": 1, "length_penalty": 1.0, "no_repeat_ngram_size": 0, "early_stopping": False}
        return replace(options, **{**plain, **search})

    def texts(self, rows: list[list[int]]) -> list[str]:
        return [join_chinese(text) for text in self.fast_tokenizer.decode_batch(rows, skip_special_tokens=True)]

    def predict(self, texts: list[str], label: str) -> list[dict[str, Any]]:
        """The next line of each text. Lines of a text that has several (a JSON string with \\n) are its context; of a run with
        task.prefix the genre's token stands before them. Raises UserError where it does not."""
        outputs = self.generate(self.source_ids([self._source(text) for text in texts]), label)
        return [{"source": text, "prediction": output} for text, output in zip(texts, outputs, strict=True)]

    def _source(self, text: str) -> str:
        prefix, lines = lyrics.parts("\n".join(line.strip() for line in text.splitlines() if line.strip()), "\n")
        if self.options.prefix and self.fast_tokenizer.token_to_id(prefix) is None:
            raise UserError(
                f"--input: {text!r} has no genre, and this run was trained with task.prefix: begin the text with one of"
                f" {', '.join(self._known_prefixes())}"
            )
        return lyrics.join(lines[-self.options.context_lines :], prefix)

    def _known_prefixes(self) -> list[str]:
        return sorted(token for token in self.fast_tokenizer.get_vocab() if token.startswith("<style:"))

    def generate_texts(
        self, flags: dict[str, Any], search: dict[str, Any], show: Callable[[str], None] | None
    ) -> Iterator[dict[str, Any]]:
        """A song a row: {"seed_line", "lines", "text"}."""
        from paddle_ft.tasks.lyrics.songwriter import SongWriter

        count = 8 if flags["lines"] is None else flags["lines"]
        noise = self.options.noise if flags["noise"] is None else flags["noise"]
        seed_line = (flags["seed_line"] or "").strip()
        if not seed_line:
            raise UserError('--seed-line is missing: give the line to go on from, e.g. --seed-line "I woke up in the morning".')
        if count < 1 or not 0 <= noise < 1:
            raise UserError(f"--lines {count}, --noise {noise}: lines must be at least 1, noise from 0 to below 1.")
        if set(search) == {"num_return_sequences"}:
            section = self.config.generation
            search |= {"num_beams": section.num_beams, "early_stopping": section.early_stopping}
        seed = self.config.seed if flags["seed"] is None else flags["seed"]
        writer = SongWriter(self, search, noise, self._prefix(flags["genre"], flags["run"], seed_line), seed)
        for lines in writer.write(seed_line, count, show):
            yield {"seed_line": seed_line, "lines": lines, "text": "\n".join([seed_line, *lines])}

    def _prefix(self, genre: str | None, run: str, seed_line: str) -> str:
        """The token for --genre. Raises UserError for one the model does not know, and for a missing one."""
        if not self.options.prefix:
            if genre is not None:
                raise UserError("--genre: this run was trained without task.prefix, it knows no genres.")
            return ""
        known = self._known_prefixes()
        token = lyrics.prefix_token(genre or "")
        if token not in known:
            names = [one.removeprefix("<style:").removesuffix(">") for one in known]
            missing = f"--genre {genre}: unknown" if genre else "--genre is missing"
            command = f"python -m paddle_ft generate {shlex.quote(run)} --seed-line {shlex.quote(seed_line)} --genre {names[-1]}"
            raise UserError(f"{missing}: this run was trained with {', '.join(names)}, and writes one of them, e.g.\n  {command}")
        return token


def _plain(style: str) -> str:
    return " ".join(style.lower().split())


def _percent(values: list[bool]) -> float:
    return round(100 * float(np.mean(values)), 4)


