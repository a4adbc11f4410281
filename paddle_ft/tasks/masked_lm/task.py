"""Train a masked language model: predict the hidden tokens of a text. This adapts a model such as BERT to a domain.

Source: the tutorial on fine-tuning a masked language model (DistilBERT on IMDb, PaddleNLP); Devlin et al. (2019), BERT.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from convert.files import cache_folder
from paddle_ft.data.arrays import ArrayFile, ArrayWriter, cached_arrays, in_parts
from paddle_ft.data.batches import IGNORE_INDEX, attention_mask, pad
from paddle_ft.data.blocks import BlockRows, Blocks, cut_blocks, cut_texts, subsample
from paddle_ft.data.rows import Rows
from paddle_ft.system.cache import CacheEntry
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress
from paddle_ft.tasks.base import Dataset, TaskOptions
from paddle_ft.tasks.masked_lm.frequency import WordFrequencies, band_sums, describe_bands
from paddle_ft.tasks.masked_lm.masking import Masking, Vocabulary
from paddle_ft.tasks.shared.language_modeling import LanguageModel

FIXED_SEED = 2022  # seed of evaluation masks and of the choice of blocks, so that they are the same for all training seeds
MUCH = 0.01  # share of the tokens above which it is said that the last block is dropped
RATES = {"token": 0.15, "whole_word": 0.2}  # these and the shares below are from the tutorial
REPLACEMENTS = {"token": [0.8, 0.1, 0.1], "whole_word": [1.0, 0.0, 0.0]}


class Options(TaskOptions):
    """Masked language modelling: texts are joined and cut into blocks, and some tokens are hidden."""

    name: Literal["masked_lm"] = Field(description="the task")
    chunk_size: int = Field(
        128, ge=4, description="tokens in a block; texts are joined, with special tokens between them, and cut into blocks"
    )
    last_chunk: Literal["drop", "pad"] = Field("drop", description="what to do with the shorter last block")
    packing: bool = Field(
        False,
        description="true: each text is trained on by itself, in pieces of chunk_size where it is longer, with several in one"
        " sequence, none of which sees another; evaluation stays on blocks",
    )
    train_chunks: int | None = Field(None, ge=1, description="train on this many blocks, drawn once with a fixed seed (null: all)")
    eval_chunks: int | None = Field(None, ge=1, description="evaluate on this many blocks of validation and test (null: all)")
    masking: Literal["token", "whole_word"] = Field(
        "token", description="what is chosen for prediction: single tokens, or words with all their pieces"
    )
    mask_probability: float | None = Field(
        None, gt=0, lt=1, description="share of tokens (or words) to predict; null: 0.15, or 0.2 for whole words"
    )
    replacement: list[float] | None = Field(
        None, description="shares of the chosen tokens that become the mask token, become a random token, or stay;"
        " null: 0.8, 0.1, 0.1, or 1, 0, 0 for whole words"
    )  # fmt: skip
    chinese_words: Literal["characters", "jieba"] = Field(
        "characters", description="what is a whole word in Chinese: each character, or the words that jieba finds"
    )

    @model_validator(mode="after")
    def _check_masking(self):
        shares = self.replacement
        if shares is not None and (len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6):
            raise ValueError(f"replacement: {shares} must be three shares that add up to 1: mask token, random token, unchanged")
        if self.chinese_words == "jieba" and self.masking != "whole_word":
            raise ValueError("chinese_words: jieba is for whole words: set masking to whole_word too")
        return self


class MaskedLM(LanguageModel):
    """Predict the hidden tokens of blocks of text.

    Attributes:
        max_input_length: maximum number of tokens of the model's input.
        vocabulary: tables of the model's tokenizer.
        masking: draws the masks.
    """

    name = "masked_lm"
    demo_page = "masked_lm"
    head_type = "masked_lm"
    Options = Options
    _training_columns: dict[str, Any] | None = None
    _frequencies: WordFrequencies | None = None

    def set_model(self, bundle) -> None:
        super().set_model(bundle)
        self.max_input_length = bundle.architecture.longest_input(self.model.config)
        for role, number in (("mask", self.tokenizer.mask_token_id), ("padding", self.tokenizer.pad_token_id)):
            if number is None:
                raise UserError(f"model: its tokenizer has no {role} token, which masked language modelling needs.")
        self.vocabulary = Vocabulary(self.fast_tokenizer, self.tokenizer.all_special_ids, self.tokenizer.mask_token_id)
        options = self.options
        mask_share, random_share, _ = options.replacement or REPLACEMENTS[options.masking]
        self.masking = Masking(self.vocabulary, options.mask_probability or RATES[options.masking], mask_share, random_share)

    # -------------------------------------------------------------------------------- data
    def encode(self, rows: Rows, split: str) -> Dataset:
        options = self.options
        self._check_chunk_size()
        encoded = self.encode_texts(rows.texts("text"), f"tokenise {split}")
        lengths = encoded.lengths if options.packing and split == "train" else None
        columns = {"ids": self._blocks(encoded.flat, lengths)}
        if options.masking == "whole_word":
            self.vocabulary.check_words()
            if options.chinese_words == "jieba":
                columns["starts"] = self._blocks(self._find_chinese_words(encoded.flat, f"words of {split}"), lengths)
        maskable = np.flatnonzero(self._are_maskable(columns["ids"]))
        limit = options.train_chunks if split == "train" else options.eval_chunks
        block_indices = maskable[subsample(len(maskable), limit, FIXED_SEED)]
        if not len(block_indices):
            raise UserError(
                f"data.{split}: {len(encoded.flat)} tokens do not make one block of {options.chunk_size}: add text, lower"
                " task.chunk_size, or set task.last_chunk=pad."
            )
        columns = {name: blocks.choose(block_indices) for name, blocks in columns.items()}
        info = {"rows": len(block_indices), "texts": len(rows), "tokens": len(encoded.flat), "bad_rows": len(rows.bad)}
        dataset = Dataset(split, BlockRows(self.fast_tokenizer, columns["ids"]), columns, columns["ids"].lengths, info)
        left = len(encoded.flat) % options.chunk_size if options.last_chunk == "drop" else 0
        if left > MUCH * len(encoded.flat):
            dataset.decide(
                f"{split}: the last {left:,} of {len(encoded.flat):,} tokens make no block of {options.chunk_size} and are left out"
                " (task.last_chunk)"
            )
        if split != "train":
            return self._with_masks(dataset)
        self._training_columns, self._frequencies = columns, None
        return dataset

    def _word_frequencies(self) -> WordFrequencies | None:
        """Return how often the training text has each word, or None without training text. It is counted at the first call."""
        if self._frequencies is None and self._training_columns is not None:
            ids = self._training_columns["ids"].parts()
            words = self._training_columns.get("starts")
            divided = itertools.repeat(None) if words is None else (part for part, _ in words.parts())
            parts = ((ids, self._starts(ids, blocks, part)) for (ids, blocks), part in zip(ids, divided, strict=False))
            self._frequencies = WordFrequencies(parts)
        return self._frequencies

    def _starts(self, ids: np.ndarray, blocks: np.ndarray | int, words: np.ndarray | None) -> np.ndarray:
        """Return where words begin: where they do for masking, at special tokens, and at the blocks, which may divide one.

        Args:
            ids: [t], token ids.
            blocks: where blocks begin in them.
            words: [t], where words begin for masking, if the data set has that.
        """
        starts = (self.vocabulary.word_starts(ids) if words is None else words.astype(bool)) | self.vocabulary.special[ids]
        starts[blocks] = True
        return starts

    def _check_chunk_size(self) -> None:
        size, limit = self.options.chunk_size, self.max_input_length
        if size > limit:
            raise UserError(f"task.chunk_size: {size} tokens, but the model has only {limit} positions: lower it.")

    def _blocks(self, flat: np.ndarray | ArrayFile, lengths: np.ndarray | None) -> Blocks:
        """Cut a stream into blocks, or, with the lengths of its texts, each text into blocks of its own."""
        if lengths is not None:
            return cut_texts(flat, lengths, self.options.chunk_size)
        return cut_blocks(flat, self.options.chunk_size, keep_last=self.options.last_chunk == "pad")

    def _are_maskable(self, blocks: Blocks) -> np.ndarray:
        """Return for each block whether it has a token that is not special."""
        parts = [np.logical_or.reduceat(~self.vocabulary.special[ids], starts) for ids, starts in blocks.parts()]
        return np.concatenate([np.zeros(0, bool), *parts])

    def _find_chinese_words(self, flat: np.ndarray | ArrayFile, label: str) -> np.ndarray | ArrayFile:
        """Return where words begin [tokens], with the words that jieba finds in Chinese text. They are kept in the cache."""

        def fill(writer: ArrayWriter) -> None:
            done = writer.numbers.setdefault("tokens", 0)
            with Progress(len(flat), label, unit="token", initial=done) as progress:
                for starts in self.vocabulary.chinese_word_starts(flat, done):
                    writer.append(starts=starts)
                    writer.numbers["tokens"] += len(starts)
                    progress.update(len(starts))
                    writer.checkpoint(writer.numbers["tokens"], len(flat), "token")

        entry = None
        if self.config.data.cache:
            digest = hashlib.sha256(json.dumps(self.vocabulary.tokens).encode())
            for ids in in_parts(flat):
                digest.update(ids)
            key = {"format": 1, "words": digest.hexdigest(), "jieba": importlib.metadata.version("jieba")}
            entry = CacheEntry(cache_folder() / "words", key, "The division into words", label)
        arrays, _ = cached_arrays(entry, {"starts": "uint8"}, fill)
        return arrays["starts"]

    def _with_masks(self, dataset: Dataset) -> Dataset:
        """Return the data set with fixed masks. Each row has its own seed, so every evaluation uses the same masks."""
        masked_ids, labels, bands, frequencies = [], [], [], self._word_frequencies()
        for i in range(len(dataset)):
            row_ids, row_labels = self._mask_rows(dataset, np.array([i]), np.random.default_rng([FIXED_SEED, i]))
            masked_ids.append(row_ids[0])
            labels.append(row_labels[0])
            if frequencies is not None:
                ids, words = (dataset.columns[name][i] if name in dataset.columns else None for name in ("ids", "starts"))
                starts = self._starts(ids, 0, words)
                bands.append(frequencies.bands(ids, starts, np.flatnonzero(row_labels[0] != IGNORE_INDEX)))
        columns = {**dataset.columns, "masked_ids": masked_ids, "labels": labels}
        return replace(dataset, columns=columns if frequencies is None else columns | {"bands": bands})

    def eval_dataset(self, dataset: Dataset) -> Dataset:
        """Return the data set with fixed masks. Only the training split does not have them already."""
        return dataset if "labels" in dataset.columns else self._with_masks(dataset)

    def _mask_rows(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return newly masked rows and their labels, both [b, s]."""
        ids = pad([dataset.columns["ids"][i] for i in indices], self.tokenizer.pad_token_id)
        starts = None
        if "starts" in dataset.columns:
            starts = pad([dataset.columns["starts"][i] for i in indices], 1).astype(bool)
        elif self.options.masking == "whole_word":
            starts = self.vocabulary.word_starts(ids)
        return self.masking(ids, starts, rng)

    def collate_fn(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return a padded batch. If the data set has no fixed masks, new ones are drawn from `rng`.

        Returns:
            input_ids: [b, s], with masked tokens replaced.
            attention_mask: [b, s], 1 for a token and 0 for padding.
            positions: [n], indices of the targets in the flattened batch.
            target_ids: [n], the targets.
            bands: [n], how frequent their words are (frequency.BANDS), if that is known.
        """
        masked_ids, labels = self.rows_and_labels(dataset, indices, rng)
        width = {"multiple": self.config.train.pad_to_multiple_of, "max_length": self.max_input_length}
        masked_ids, labels = pad(masked_ids, self.tokenizer.pad_token_id, **width), pad(labels, IGNORE_INDEX, **width)
        positions = np.flatnonzero(labels.reshape(-1) != IGNORE_INDEX)
        bands = dataset.columns.get("bands")
        return {
            "input_ids": masked_ids,
            "attention_mask": attention_mask(dataset.lengths[indices], masked_ids.shape[1]),
            "positions": positions,
            "target_ids": labels.reshape(-1)[positions],
            **({} if bands is None else {"bands": np.concatenate([bands[i] for i in indices])}),
        }

    def rows_and_labels(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> tuple[list, list]:
        if "labels" in dataset.columns:
            return [dataset.columns["masked_ids"][i] for i in indices], [dataset.columns["labels"][i] for i in indices]
        masked_ids, labels = self._mask_rows(dataset, indices, rng)
        return list(masked_ids), list(labels)

    def train_tokens(self, train: Dataset) -> Iterator[np.ndarray]:
        return (ids[~self.vocabulary.special[ids]] for ids, _ in train.columns["ids"].parts())

    # -------------------------------------------------------------------------------- model
    def logits(self, batch: dict[str, Any]):
        record = self.bundle.architecture
        return record.masked_lm_logits(self.model, batch["input_ids"], batch["attention_mask"], batch["positions"])

    def target_details(self, batch: dict[str, Any], in_row: np.ndarray, nll: np.ndarray, right: np.ndarray) -> Any:
        return band_sums(batch["bands"].numpy()[in_row], nll, right).tolist() if "bands" in batch else None

    def detail_figures(self, details: list[Any]) -> dict[str, Any]:
        return {} if None in details else {"by_frequency": describe_bands(np.sum(details, axis=0))}

    # -------------------------------------------------------------------------------- for people
    def prediction_row(self, dataset: Dataset, row: int, predicted: np.ndarray, perplexity: float) -> dict[str, Any]:
        labels = dataset.columns["labels"][row]
        return {
            "source": self.fast_tokenizer.decode(dataset.columns["masked_ids"][row].tolist(), skip_special_tokens=False),
            "target": self.join_tokens(labels[labels != IGNORE_INDEX]),
            "prediction": self.join_tokens(predicted),
            "perplexity": round(perplexity, 2),
        }

    def preview_targets(self, batch: dict[str, np.ndarray]) -> str:
        return f"{self.join_tokens(batch['target_ids'])}  (at {', '.join(map(str, batch['positions']))})"

    def fill(self, texts: list[str], top: int, label: str) -> list[list[list[tuple[str, float]]]]:
        """Return the most likely tokens for every mask token of every text.

        Args:
            texts: texts with mask tokens.
            top: number of tokens to return for each mask.
            label: name of the progress bar.

        Returns:
            For each text, for each of its masks, (token, probability), most likely first.

        Raises:
            UserError: a text has no mask token, or more tokens than the model has positions.
        """
        import paddle
        import paddle.nn.functional as F

        results = []
        self.model.eval()
        with paddle.no_grad(), Progress(len(texts), label, unit="text") as bar:
            for text in texts:
                ids = np.array([self.fast_tokenizer.encode(text).ids])
                positions = np.flatnonzero(ids[0] == self.vocabulary.mask_id)
                self._check_fillable(text, ids.shape[1], len(positions))
                batch = {"input_ids": ids, "attention_mask": np.ones_like(ids), "positions": positions}
                logits = self.logits({name: paddle.to_tensor(value) for name, value in batch.items()})
                values, tokens = paddle.topk(F.softmax(logits.astype("float32")), min(top, logits.shape[-1]))
                masks = zip(tokens.numpy(), values.numpy(), strict=True)
                results.append([[(self._token_text(t), float(p)) for t, p in zip(*mask, strict=True)] for mask in masks])
                bar.update()
        return results

    def _token_text(self, token: int) -> str:
        """Return a token as text. A word piece keeps its ##. A byte-level token that begins a word begins with a space."""
        return self.vocabulary.tokens[token] if self.vocabulary.wordpiece else self.fast_tokenizer.decode([int(token)])

    def _check_fillable(self, text: str, length: int, masks: int) -> None:
        if not masks:
            raise UserError(f"{text!r} has no {self.tokenizer.mask_token}: put one where a word is to be guessed.")
        if length > self.max_input_length:
            raise UserError(f"{text[:60]!r}... has {length} tokens, but the model has only {self.max_input_length} positions.")

    def predict(self, texts: list[str], label: str) -> list[dict[str, Any]]:
        """Return each text with every mask replaced by its most likely token."""
        rows = []
        for text, masks in zip(texts, self.fill(texts, 1, label), strict=True):
            filled = text
            for (token, _), *_ in masks:
                filled = filled.replace(self.tokenizer.mask_token, token.strip(), 1)
            rows.append({"source": text, "prediction": filled})
        return rows
