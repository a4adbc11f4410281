"""Write lyrics with an encoder-decoder model such as BART: predict the next line of a song, and feed it back for a whole song.

Source: Sinclair (2020), Teaching BART to Rap, and the tutorial that ported it to PaddleNLP. Words of the source are masked as in
BART's pretraining (Lewis et al., 2020), also in fine-tuning.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from pydantic import Field

from paddle_ft.config.schema import GenerationSection
from paddle_ft.data.row_texts import RowTexts
from paddle_ft.data.rows import Rows
from paddle_ft.metrics.paired import RowCounts
from paddle_ft.models.request import ModelRequest
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import print_info
from paddle_ft.tasks.base import Dataset, EvalResult, Flag, Scores, TaskOptions
from paddle_ft.tasks.lyrics import pairs
from paddle_ft.tasks.lyrics.noise import mask_words
from paddle_ft.tasks.lyrics.pairs import join_source, prefix_token, split_source
from paddle_ft.tasks.lyrics.prepare import FIELDS, Prepared, prepare_songs
from paddle_ft.tasks.lyrics.scores import line_counts, score_lines
from paddle_ft.tasks.lyrics.songs import describe_ways
from paddle_ft.tasks.shared.seq2seq import Seq2Seq


class Options(TaskOptions):
    """Lyrics: a line -> the next line. Lengths are in tokens and include special tokens."""

    name: Literal["lyrics"] = Field(description="the task")
    context_lines: int = Field(
        1, ge=1, le=32, description="a source has up to this many lines, joined by a separator token; 1: the previous line only"
    )
    noise: float = Field(
        0.25, ge=0, lt=1, description="share of the source's words that training masks, never the last word of a line; 0: none"
    )
    style: Literal["genre", "artist"] = Field("genre", description="the column, or folder level, that only and prefix use")
    only: str | list[str] | None = Field(
        None, description="train only on songs of this genre or artist, or of these (null: all songs)"
    )
    prefix: bool = Field(False, description="put a token for the genre or artist before every source")
    validation_share: float = Field(
        0.1, ge=0, lt=1, description="share of the songs to validate on, if neither data.validation nor data.test is set"
    )
    test_share: float = Field(
        0.1, ge=0, lt=1, description="share of the songs to test on, if neither data.validation nor data.test is set"
    )
    generated_lines: int = Field(
        500, ge=1, description="lines generated in an evaluation, spread evenly over the rows; the loss uses all rows"
    )
    max_source_length: int = Field(64, ge=4, description="maximum tokens of a source; longer ones are cut and counted")
    max_target_length: int = Field(48, ge=4, description="maximum tokens of a line, in training and in generation")
    min_target_length: int = Field(0, ge=0, description="minimum number of tokens that generation writes")
    ignore_pad_token_for_loss: bool = Field(True, description="leave padding out of the loss (label -100)")


class Lyrics(Seq2Seq):
    """Write the next line of a song.

    Attributes:
        training_lines: the lines of the training songs without repetitions, for the originality of generated lines. None if a
            finished run is evaluated without its training data.
        styles: the prefix tokens of the training songs.
        songs_by: split as it was read -> by what its songs were told apart.
    """

    name = "lyrics"
    Options = Options
    sections = {"generation": GenerationSection}
    required_fields, optional_fields = FIELDS[:1], FIELDS[1:]
    best_metric = "perplexity"
    file_source = "songs"
    demo_page = "lyrics"
    generates_by_chance = True  # because of the noise
    generation_flags = (
        Flag("seed_line", str, "LINE", "first line of the song"),
        Flag("lines", int, "N", "number of lines to write (default: 8)"),
        Flag("noise", float, "P", "share of the words to mask in lines that are fed back (default: as in training)"),
        Flag("genre", str, "NAME", "genre or artist, for a run trained with task.prefix"),
    )
    training_lines: Sequence[str] | None = None
    songs_by: Mapping[str, str] = MappingProxyType({})
    _originality_index: Any = None

    # -------------------------------------------------------------------------------- songs to pairs
    def prepare_rows(self, rows: dict[str, Rows]) -> dict[str, Rows]:
        """Turn songs into pairs of lines. If only data.train is set, its songs are split, and no song or pair is in two splits."""
        return self._use(prepare_songs(rows, self.options, self.config.data))

    def prepare_split(self, rows: Rows, split: str) -> Rows:
        if split != "train":
            print_info("originality is not computed: it needs the training lines")
        return self._use(prepare_songs({split: rows}, self.options, self.config.data, alone=True))[split]

    def _use(self, prepared: Prepared) -> dict[str, Rows]:
        self.styles, self.songs_by = prepared.styles, {**self.songs_by, **prepared.songs_by}
        if prepared.training_lines is not None:
            self.training_lines, self._originality_index = prepared.training_lines, None
        return prepared.rows

    def facts(self) -> dict[str, Any]:
        return {"songs_told_apart_by": describe_ways(self.songs_by)}

    def model_request(self, train: Rows | None) -> ModelRequest:
        separator = [pairs.SEPARATOR] if self.options.context_lines > 1 else []
        tokens = [*separator, *self.styles]
        return replace(super().model_request(train), special_tokens={"additional_special_tokens": tokens} if tokens else {})

    def set_model(self, bundle) -> None:
        super().set_model(bundle)
        if self.tokenizer.mask_token_id is None:
            raise UserError("model: its tokenizer has no mask token, which the noise of the lyrics task needs.")

    # -------------------------------------------------------------------------------- features
    def encode(self, rows: Rows, split: str) -> Dataset:
        dataset = super().encode(rows, split)
        dataset.info |= rows.info
        if split == "train" and self.options.noise:
            dataset.columns["parts"] = RowTexts(rows.rows, lambda row: split_source(row["source"]))
        return dataset

    def collate_fn(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the batch of Seq2Seq.collate_fn. In training, words of the sources are masked at random."""
        parts = dataset.columns.get("parts")
        if parts is not None:
            texts = [
                join_source(mask_words(lines, self.options.noise, self.tokenizer.mask_token, rng), prefix)
                for prefix, lines in (parts[i] for i in indices)
            ]
            sources = dict(zip(indices, self.source_ids(texts), strict=True))
            dataset = replace(dataset, columns={"source": sources, "target": dataset.columns["target"]})
        return super().collate_fn(dataset, indices, rng)

    def source_ids(self, texts: list[str]) -> list[list[int]]:
        """Return the token ids of sources. Sources longer than max_source_length lose tokens before the end token."""
        limit = self.options.max_source_length
        rows = [encoding.ids for encoding in self.fast_tokenizer.encode_batch_fast(texts)]
        return [ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]] for ids in rows]

    # -------------------------------------------------------------------------------- measuring
    def eval_dataset(self, dataset: Dataset) -> Dataset:
        """Return the data set without noise."""
        return replace(dataset, columns={name: dataset.columns[name] for name in ("source", "target")})

    def eval_inputs(self, dataset: Dataset) -> list:
        return [dataset.columns["source"][i] for i in self._generated_rows(dataset)]

    def scores(self, dataset: Dataset, result: EvalResult) -> Scores:
        """Return the loss and perplexity of all real next lines, and the metrics of the generated lines."""
        from paddle_ft.metrics.perplexity import perplexity

        loss, scores = result.loss, self.score(result.texts, [dataset.rows[i] for i in self._generated_rows(dataset)])
        scores.metrics = {"loss": round(loss, 6), "perplexity": round(perplexity(loss, 1), 4), **scores.metrics}
        return scores

    def row_counts(self, predictions: list[dict[str, Any]], facts: dict[str, Any]) -> list[RowCounts]:
        return [line_counts(predictions)]

    def _generated_rows(self, dataset: Dataset) -> np.ndarray:
        """Return the numbers of the rows for which an evaluation generates a line [generated_lines], evenly spread."""
        count = min(len(dataset), self.options.generated_lines)
        return np.linspace(0, len(dataset) - 1, count).round().astype(int)

    def score(self, texts: list[str], rows: list[dict[str, str]]) -> Scores:
        """Return the metrics of generated lines, one for each row {"source", "target"}; see scores.score_lines."""
        return score_lines(texts, rows, self.config, self._index_training_lines())

    def _index_training_lines(self):
        """Return the n-gram index of the training lines, or None without training lines. It is built at the first call."""
        from paddle_ft.metrics.originality import OriginalityIndex

        if self.training_lines is None:
            return None
        if self._originality_index is None:
            self._originality_index = OriginalityIndex(self.training_lines)
        return self._originality_index

    def baselines(self, dataset: Dataset, train: Dataset) -> dict[str, Scores]:
        """Return the scores of random training lines, and of repeating the source's last line."""
        rng = np.random.default_rng(pairs.SPLIT_SEED)
        rows = [dataset.rows[i] for i in self._generated_rows(dataset)]
        random_lines = [self.training_lines[i] for i in rng.integers(len(self.training_lines), size=len(rows))]
        copied_lines = [split_source(row["source"])[1][-1] for row in rows]
        return {"random line": self.score(random_lines, rows), "line copied": self.score(copied_lines, rows)}

    # -------------------------------------------------------------------------------- writing
    def generation_options(self, **search):
        """Return the options of generation. Without `search` they are those of the configuration.

        Args:
            search: keywords of GenerationOptions that replace the configuration's search. What they do not set is greedy search.
        """
        options = super().generation_options()
        if not search:
            return options
        greedy = {"num_beams": 1, "length_penalty": 1.0, "no_repeat_ngram_size": 0, "early_stopping": False}
        return replace(options, **{**greedy, **search})

    def predict(self, texts: list[str], label: str) -> list[dict[str, Any]]:
        """Return the next line of each text.

        If a text has several lines (a JSON string with \\n), the earlier ones are context. In a run with task.prefix each text must
        begin with the token of a genre or artist of the training songs, such as "<style:hip-hop>".

        Raises:
            UserError: a text does not begin with such a token in a run with task.prefix.
        """
        outputs = self.generate(self.source_ids([self._source(text) for text in texts]), label)
        return [{"source": text, "prediction": output} for text, output in zip(texts, outputs, strict=True)]

    def _source(self, text: str) -> str:
        """Return a text of `predict` as a source: its last context_lines lines, after the prefix token."""
        prefix, lines = split_source("\n".join(line.strip() for line in text.splitlines() if line.strip()), "\n")
        if self.options.prefix and self.fast_tokenizer.token_to_id(prefix) is None:
            raise UserError(
                f"--input: {text!r} has no genre, and this run was trained with task.prefix: begin the text with one of"
                f" {', '.join(self.known_prefixes())}"
            )
        return join_source(lines[-self.options.context_lines :], prefix)

    def known_prefixes(self) -> list[str]:
        """Return the tokens of the genres or artists of the training songs, which only a run with task.prefix has."""
        return sorted(token for token in self.fast_tokenizer.get_vocab() if token.startswith("<style:"))

    def generate_texts(
        self, flags: dict[str, Any], search: dict[str, Any], show: Callable[[str], None] | None
    ) -> Iterator[dict[str, Any]]:
        """Yield a row {"seed_line", "lines", "text"} for each song."""
        from paddle_ft.tasks.lyrics.songwriter import SongWriter

        count = 8 if flags["lines"] is None else flags["lines"]
        noise = self.options.noise if flags["noise"] is None else flags["noise"]
        seed_line = (flags["seed_line"] or "").strip()
        if not seed_line:
            problem = "missing" if flags["seed_line"] is None else "empty"
            example = '--seed-line "I woke up in the morning"'
            raise UserError(f"--seed-line is {problem}: give the first line of the song, e.g. {example}.")
        if count < 1 or not 0 <= noise < 1:
            raise UserError(f"--lines {count}, --noise {noise}: lines must be at least 1, noise from 0 to below 1.")
        if set(search) == {"num_return_sequences"}:
            section = self.config.generation
            search |= {"num_beams": section.num_beams, "early_stopping": section.early_stopping}
        seed = self.config.seed if flags["seed"] is None else flags["seed"]
        prefix = self._prefix(flags["genre"], flags["run"], seed_line)
        writer = SongWriter(self, search, noise, prefix, seed, self.on_step)
        for lines in writer.write(seed_line, count, show):
            yield {"seed_line": seed_line, "lines": lines, "text": "\n".join([seed_line, *lines])}

    def _prefix(self, genre: str | None, run: str, seed_line: str) -> str:
        """Return the prefix token for --genre. Raise UserError if the run needs a genre and has none, or an unknown one."""
        if not self.options.prefix:
            if genre is not None:
                raise UserError("--genre: this run was trained without task.prefix, so it knows no genres.")
            return ""
        known = self.known_prefixes()
        token = prefix_token(genre or "")
        if token not in known:
            names = [prefix.removeprefix("<style:").removesuffix(">") for prefix in known]
            problem = f"--genre {genre}: unknown" if genre else "--genre is missing"
            command = f"python -m paddle_ft generate {shlex.quote(run)} --seed-line {shlex.quote(seed_line)} --genre {names[-1]}"
            raise UserError(f"{problem}: this run was trained with {', '.join(names)}; name one of them, e.g.\n  {command}")
        return token
