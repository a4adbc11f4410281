"""Masked language modelling: a text with some tokens hidden -> those tokens. Adapts a BERT to the texts of a field.

Source: the tutorial on fine-tuning a masked language model (DistilBERT on IMDb, PaddleNLP); Devlin et al. (2019), BERT.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from paddle_ft.data.batches import pad
from paddle_ft.data.blocks import BlockRows, cut_blocks, subsample
from paddle_ft.data.rows import Rows
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.base import Dataset, TaskOptions
from paddle_ft.tasks.masked_lm.masking import IGNORE, Masking, Vocabulary
from paddle_ft.tasks.shared.language_modeling import LanguageModel

FIXED_SEED = 2022  # of the masks of evaluation and the choice of blocks: the same in every run, whatever its seed
RATES = {"token": 0.15, "whole_word": 0.2}  # as in the tutorial, here and below
REPLACEMENTS = {"token": [0.8, 0.1, 0.1], "whole_word": [1.0, 0.0, 0.0]}


class Options(TaskOptions):
    """Masked language modelling: texts joined, cut into blocks, some tokens hidden."""

    name: Literal["masked_lm"] = Field(description="the task")
    chunk_size: int = Field(128, ge=4, description="tokens a block; texts are joined, special tokens between them, and cut")
    last_chunk: Literal["drop", "pad"] = Field("drop", description="what becomes of the shorter rest at the end")
    train_chunks: int | None = Field(None, ge=1, description="train on this many blocks, drawn once by a fixed seed (null: all)")
    eval_chunks: int | None = Field(None, ge=1, description="the same for validation and test")
    masking: Literal["token", "whole_word"] = Field("token", description="what is drawn: single tokens, or words with all pieces")
    mask_probability: float | None = Field(
        None, gt=0, lt=1, description="share of tokens (or words) to predict; null: 0.15, for whole words 0.2"
    )
    replacement: list[float] | None = Field(
        None, description="shares of these that become the mask token, a random one, or stay; null: 0.8, 0.1, 0.1, for whole"
        " words 1, 0, 0"
    )  # fmt: skip
    chinese_words: Literal["characters", "jieba"] = Field(
        "characters", description="whole words in Chinese: every character by itself, or words found by jieba"
    )

    @model_validator(mode="after")
    def _fits(self):
        shares = self.replacement
        if shares is not None and (len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6):
            raise ValueError(f"replacement: {shares} must be three shares that add up to 1: mask token, random token, unchanged")
        if self.chinese_words == "jieba" and self.masking != "whole_word":
            raise ValueError("chinese_words: jieba finds whole words: set masking to whole_word too")
        return self


class MaskedLM(LanguageModel):
    name = "masked_lm"
    head_type = "masked_lm"
    Options = Options

    def set_model(self, bundle) -> None:
        super().set_model(bundle)
        self.longest = bundle.architecture.longest_input(self.model.config)
        if self.tokenizer.mask_token_id is None:
            raise UserError("model: its tokenizer has no mask token, so it cannot be used for masked language modelling.")
        self.vocabulary = Vocabulary(self.fast_tokenizer, self.tokenizer.all_special_ids, self.tokenizer.mask_token_id)
        options = self.options
        to_mask, to_random, _ = options.replacement or REPLACEMENTS[options.masking]
        self.masking = Masking(self.vocabulary, options.mask_probability or RATES[options.masking], to_mask, to_random)

    # -------------------------------------------------------------------------------- data
    def encode(self, rows: Rows, split: str) -> Dataset:
        from paddle_ft.tokenization.encode import encode_texts

        options = self.options
        self._check_chunk_size()
        texts = [row["text"] for row in rows.rows]
        encoded = encode_texts(self.fast_tokenizer, texts, label=f"tokenise {split}", cache=self.config.data.cache)
        columns = {"ids": self._blocks(encoded.flat)}
        if options.masking == "whole_word":
            chinese = options.chinese_words == "jieba"
            columns["starts"] = self._blocks(self.vocabulary.word_starts(encoded.flat, chinese, f"words of {split}"))
        useful = [i for i, ids in enumerate(columns["ids"]) if not self.vocabulary.special[ids].all()]
        limit = options.train_chunks if split == "train" else options.eval_chunks
        chosen = [useful[i] for i in subsample(len(useful), limit, FIXED_SEED)]
        if not chosen:
            raise UserError(
                f"data.{split}: {len(encoded.flat)} tokens do not make one block of {options.chunk_size}: give more text, lower"
                " task.chunk_size, or set task.last_chunk=pad."
            )
        columns = {name: [blocks[i] for i in chosen] for name, blocks in columns.items()}
        info = {"rows": len(chosen), "texts": len(rows), "tokens": len(encoded.flat), "bad_rows": len(rows.bad)}
        lengths = np.array([len(ids) for ids in columns["ids"]])
        dataset = Dataset(split, BlockRows(self.fast_tokenizer, columns["ids"]), columns, lengths, info)
        return dataset if split == "train" else self._with_masks(dataset)

    def _check_chunk_size(self) -> None:
        size, positions = self.options.chunk_size, self.longest
        if size > positions:
            raise UserError(f"task.chunk_size: {size} tokens, but the model has only {positions} positions: lower it.")

    def _blocks(self, flat: np.ndarray) -> list[np.ndarray]:
        return cut_blocks(flat, self.options.chunk_size, keep_last=self.options.last_chunk == "pad")

    def _with_masks(self, dataset: Dataset) -> Dataset:
        """Draws masks once, each row's from a seed of its own, so that every evaluation asks for the same."""
        seen, labels = [], []
        for i in range(len(dataset)):
            one = self._masked(dataset, np.array([i]), np.random.default_rng([FIXED_SEED, i]))
            seen.append(one[0][0])
            labels.append(one[1][0])
        return replace(dataset, columns={**dataset.columns, "seen": seen, "labels": labels})

    def eval_dataset(self, dataset: Dataset) -> Dataset:
        """Return the data set itself if its masks are fixed; the training split gets fixed masks to be measured with."""
        return dataset if "labels" in dataset.columns else self._with_masks(dataset)

    def _masked(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        ids = pad([dataset.columns["ids"][i] for i in indices], self.tokenizer.pad_token_id)
        starts = dataset.columns.get("starts")
        if starts is not None:
            starts = pad([starts[i] for i in indices], 1).astype(bool)
        return self.masking(ids, starts, rng)

    def collate_fn(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """input_ids [b, s] with tokens hidden, attention_mask [b, s], positions [n] of the targets in the flattened batch,
        target_ids [n]."""
        if "labels" in dataset.columns:
            seen, labels = ([dataset.columns[name][i] for i in indices] for name in ("seen", "labels"))
        else:
            seen, labels = self._masked(dataset, indices, rng)
        width = {"multiple": self.config.train.pad_to_multiple_of, "most": self.longest}
        seen, labels = pad(seen, self.tokenizer.pad_token_id, **width), pad(labels, IGNORE, **width)
        positions = np.flatnonzero(labels.reshape(-1) != IGNORE)
        return {
            "input_ids": seen,
            "attention_mask": (np.arange(seen.shape[1]) < dataset.lengths[indices][:, None]).astype(np.int64),
            "positions": positions,
            "target_ids": labels.reshape(-1)[positions],
        }

    def train_tokens(self, train: Dataset) -> list[np.ndarray]:
        return [ids[~self.vocabulary.special[ids]] for ids in train.columns["ids"]]

    # -------------------------------------------------------------------------------- model
    def logits(self, batch: dict[str, Any]):
        record = self.bundle.architecture
        return record.masked_lm_logits(self.model, batch["input_ids"], batch["attention_mask"], batch["positions"])

    # -------------------------------------------------------------------------------- for people
    def shown_row(self, dataset: Dataset, row: int, guesses: np.ndarray, perplexity: float) -> dict[str, Any]:
        labels = dataset.columns["labels"][row]
        return {
            "source": self._text(dataset.columns["seen"][row]),
            "target": self._tokens(labels[labels != IGNORE]),
            "prediction": self._tokens(guesses),
            "perplexity": round(perplexity, 2),
        }

    def preview(self, dataset: Dataset, count: int = 2) -> str:
        blocks = []
        for i in range(min(count, len(dataset))):
            batch = self.collate_fn(dataset, np.array([i]), np.random.default_rng(0))
            blocks.append(
                f"input    {self._tokens(batch['input_ids'][0])}\n"
                f"targets  {self._tokens(batch['target_ids'])}  (at {', '.join(map(str, batch['positions']))})"
            )
        return "\n\n".join(blocks)

    def _text(self, ids) -> str:
        return self.fast_tokenizer.decode([int(i) for i in ids], skip_special_tokens=False)

    def _tokens(self, ids) -> str:
        return " ".join(self.vocabulary.tokens[int(i)] for i in ids)

    def fill(self, texts: list[str], top: int, label: str) -> list[list[list[tuple[str, float]]]]:
        """For every text, for each mask token in it: the `top` likeliest tokens with their probabilities.

        Raises UserError for a text without a mask token, or one longer than the model's positions.
        """
        import paddle
        import paddle.nn.functional as F

        from paddle_ft.system.progress import Progress

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
                pairs = zip(tokens.numpy(), values.numpy(), strict=True)
                results.append([[(self._one(t), float(p)) for t, p in zip(*pair, strict=True)] for pair in pairs])
                bar.update()
        return results

    def _one(self, token: int) -> str:
        """A token as text: without ##, with a space where a byte-level piece begins a word."""
        return self.vocabulary.tokens[token] if self.vocabulary.wordpiece else self.fast_tokenizer.decode([int(token)])

    def _check_fillable(self, text: str, length: int, masks: int) -> None:
        if not masks:
            raise UserError(f"{text!r} holds no {self.tokenizer.mask_token}: put it where a word is to be guessed.")
        if length > self.longest:
            raise UserError(f"{text[:60]!r}... has {length} tokens; the model has fewer positions.")

    def predict(self, texts: list[str], label: str) -> list[dict[str, Any]]:
        """Each text with its masks filled by the likeliest token."""
        rows = []
        for text, masks in zip(texts, self.fill(texts, 1, label), strict=True):
            filled = text
            for (token, _), *_ in masks:
                filled = filled.replace(self.tokenizer.mask_token, token.strip(), 1)
            rows.append({"source": text, "prediction": filled})
        return rows


