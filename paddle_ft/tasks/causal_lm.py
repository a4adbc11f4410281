"""Train a causal language model such as GPT-2: predict each next token of a text, and write new texts of the same kind.

Source: the tutorial on fine-tuning GPT-2 on book summaries (PaddleNLP); Radford et al. (2019), Language Models are
Unsupervised Multitask Learners.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from paddle_ft.data.batches import IGNORE_INDEX, attention_mask, pad
from paddle_ft.data.blocks import BlockRows, cut_blocks
from paddle_ft.data.row_texts import RowTexts
from paddle_ft.data.rows import Rows
from paddle_ft.models.request import ModelRequest
from paddle_ft.system.cache import code_digest
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import print_info
from paddle_ft.tasks.base import Dataset, Flag, TaskOptions
from paddle_ft.tasks.shared.language_modeling import LanguageModel

BOS, EOS, PAD = "<BOS>", "<EOS>", "<PAD>"
SPLIT_SEED = 2022  # seed for splitting the texts, so that runs with different seeds have the same splits
HEADINGS = {"genres": "Genres", "title": "Title", "author": "Author"}
LENGTH = 300  # maximum number of tokens that `generate` writes, as in the tutorial
MAX_WRITTEN = 100_000  # examples of a split that are copied into the run's directory
CONTINUATION_LENGTH = 60  # number of tokens that `predict` adds to a text


class Options(TaskOptions):
    """Causal language modelling: <BOS> text <EOS>."""

    name: Literal["causal_lm"] = Field(description="the task")
    max_text_length: int = Field(
        1024, ge=4, description="maximum tokens of an example or packed block; longer texts are cut and counted"
    )
    packed: bool = Field(
        False, description="false: each text is an example; true: texts are joined and cut into blocks, so that no text is lost"
    )
    packing: bool = Field(
        False, description="train on several texts in one sequence, none of which sees another: the same losses with less padding"
    )
    metadata: list[Literal["genres", "title", "author"]] = Field(
        default_factory=list, description="put these before each text ('Title: ...'), so that generate --title etc. can be used"
    )
    validation_share: float = Field(
        0.2, ge=0, lt=1, description="share of the texts to validate on, if neither data.validation nor data.test is set"
    )
    test_share: float = Field(
        0.1, ge=0, lt=1, description="share of the texts to test on, if neither data.validation nor data.test is set"
    )

    @model_validator(mode="after")
    def _check_packing(self):
        if self.packed and self.packing:
            raise ValueError("packed joins texts, and packing keeps them apart: set one of them")
        return self


class CausalLM(LanguageModel):
    """Predict the next token of texts.

    Attributes:
        examples: split -> the texts of its examples, as they are trained on.
    """

    name = "causal_lm"
    demo_page = "causal_lm"
    head_type = "causal_lm"
    Options = Options
    optional_fields = ("genres", "title", "author")
    preview_length = 40
    generation_flags = (
        Flag("prompt", str, "TEXT", f'beginning of the text (default: "{BOS}"), also after --title etc.'),
        Flag("stop_token", str, "TOKEN", f'token that ends a text (default: "{EOS}")'),
        Flag("length", int, "N", f"maximum number of tokens (default: {LENGTH} if they fit)"),
        Flag("genre", str, "NAMES", "genres to prompt with, for runs trained with task.metadata"),
        Flag("title", str, "TITLE", "title to prompt with, for runs trained with task.metadata"),
        Flag("author", str, "NAME", "author to prompt with, for runs trained with task.metadata"),
    )

    def __init__(self, config):
        super().__init__(config)
        self.examples: dict[str, Sequence[str]] = {}

    # -------------------------------------------------------------------------------- model
    def model_request(self, train: Rows | None) -> ModelRequest:
        return replace(super().model_request(train), special_tokens={"bos_token": BOS, "eos_token": EOS, "pad_token": PAD})

    def logits(self, batch: dict[str, Any]):
        return self.bundle.architecture.causal_lm_logits(self.model, batch["input_ids"], batch["positions"])

    # -------------------------------------------------------------------------------- data
    def prepare_rows(self, rows: dict[str, Rows]) -> dict[str, Rows]:
        """Split the training texts at random with a fixed seed if no other split is set."""
        if list(rows) != ["train"]:
            return rows
        all_rows, options = rows["train"], self.options
        order = np.random.default_rng(SPLIT_SEED).permutation(len(all_rows))
        num_test = round(options.test_share * len(all_rows))
        num_validation = round(options.validation_share * len(all_rows))
        held_out = num_test + num_validation
        indices = {"train": order[held_out:], "validation": order[num_test:held_out], "test": order[:num_test]}
        if not len(indices["train"]):
            raise UserError(f"task.validation_share, task.test_share: of {len(all_rows)} texts, none is left to train on.")
        all_rows.decide(
            f"no data is named for validation and test: of {len(all_rows):,} texts, {num_validation:,} are drawn for validation and"
            f" {num_test:,} for test (task.validation_share, task.test_share)"
        )
        bad = {"train": all_rows.bad}
        return {
            split: replace(all_rows, rows=all_rows.select(split_indices), bad=bad.get(split, []))
            for split, split_indices in indices.items()
            if len(split_indices)
        }

    def example(self, row: dict[str, str]) -> str:
        """Return a row's text with <BOS>, headings and <EOS>. A <BOS> or <EOS> that the text already has is not repeated."""
        text = row["text"].strip().removeprefix(BOS).removesuffix(EOS).strip()
        headings = "".join(f"{HEADINGS[name]}: {row[name]}. " for name in self.options.metadata if row.get(name))
        return f"{BOS}{headings}{'Summary: ' if self.options.metadata else ''}{text}{EOS}"

    def encode(self, rows: Rows, split: str) -> Dataset:
        options, positions = self.options, self.model.config.max_position_embeddings
        if options.max_text_length > positions:
            raise UserError(
                f"task.max_text_length: {options.max_text_length} tokens, but the model has only {positions} positions: lower it."
            )
        texts = self.examples[split] = RowTexts(rows.rows, self.example, self._examples_depend_on())
        limit = None if options.packed else options.max_text_length
        encoded = self.encode_texts(texts, f"tokenise {split}", limit)
        info = {"rows": len(rows), "texts": len(rows), "tokens": len(encoded.flat), "bad_rows": len(rows.bad)}
        if not options.packed:
            info |= {"truncated_text": encoded.truncated, "truncated_text_share": round(encoded.truncated / len(rows), 4)}
            return Dataset(split, rows.rows, {"ids": encoded}, encoded.lengths, info)
        blocks = cut_blocks(encoded.flat, options.max_text_length, keep_last=True)
        blocks = blocks.choose(blocks.lengths > 1)  # a single token predicts nothing
        rows_of_blocks = BlockRows(self.fast_tokenizer, blocks)
        return Dataset(split, rows_of_blocks, {"ids": blocks}, blocks.lengths, {**info, "rows": len(blocks)})

    def _examples_depend_on(self) -> Any:
        """Return what `example` makes an example of besides the row, or None if a derived class makes it in its own way."""
        if type(self).example is not CausalLM.example:
            return None
        return {"example": code_digest(__file__), "metadata": self.options.metadata}

    def run_files(self) -> dict[str, str]:
        """Return the examples of each split, one on each line, at most MAX_WRITTEN."""
        names = {"train": "train", "validation": "valid", "test": "test"}
        for split, texts in self.examples.items():
            if len(texts) > MAX_WRITTEN:
                print_info(f"texts/{names[split]}.txt has the first {MAX_WRITTEN:,} of the {len(texts):,} texts of {split}")
        return {
            f"{names[split]}.txt": "".join(" ".join(text.splitlines()) + "\n" for text in texts[:MAX_WRITTEN])
            for split, texts in self.examples.items()
        }

    def collate_fn(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return a batch padded on the right.

        Returns:
            input_ids: [b, s]
            attention_mask: [b, s], 1 for a token and 0 for padding, for counting; the model needs none.
            positions: [n], indices into the flattened batch of tokens that are followed by another token.
            target_ids: [n], the tokens that follow.
        """
        ids, labels = self.rows_and_labels(dataset, indices, rng)
        multiple, max_length = self.config.train.pad_to_multiple_of, self.model.config.max_position_embeddings
        flat = pad(labels, IGNORE_INDEX, multiple, max_length).reshape(-1)
        positions = np.flatnonzero(flat != IGNORE_INDEX)
        ids = pad(ids, self.tokenizer.pad_token_id, multiple, max_length)
        mask = attention_mask(dataset.lengths[indices], ids.shape[1])
        return {"input_ids": ids, "attention_mask": mask, "positions": positions, "target_ids": flat[positions]}

    def rows_and_labels(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> tuple[list, list]:
        ids = [dataset.columns["ids"][i] for i in indices]
        labels = [np.append(row[1:], IGNORE_INDEX) for row in ids]
        for row in labels:
            row[row == self.tokenizer.pad_token_id] = IGNORE_INDEX
        return ids, labels

    def train_tokens(self, train: Dataset) -> Iterator[np.ndarray]:
        return (np.delete(ids, starts) for ids, starts in train.columns["ids"].parts())

    # -------------------------------------------------------------------------------- for people
    def prediction_row(self, dataset: Dataset, row: int, predicted: np.ndarray, perplexity: float) -> dict[str, Any]:
        return {"source": dataset.rows[row]["text"], "tokens": len(predicted), "perplexity": round(perplexity, 2)}

    def predict(self, texts: list[str], label: str) -> list[dict[str, Any]]:
        """Return each text with its greedy continuation. If text and continuation are too long, the text's beginning is cut."""
        from paddle_ft.generation import GenerationOptions, generate_all

        positions = self.model.config.max_position_embeddings
        length = min(CONTINUATION_LENGTH, positions // 2)
        starts = [self.example({"text": text}).removesuffix(EOS) for text in texts]
        prompts = [self.fast_tokenizer.encode(start).ids[length - positions :] for start in starts]
        options = GenerationOptions(max_new_tokens=length)
        outputs = generate_all(self.model, prompts, options, self.config.eval.eval_batch_size, label, self.on_step)
        return [{"source": text, "prediction": self._text(ids)} for text, (ids, *_) in zip(texts, outputs, strict=True)]

    def _text(self, ids) -> str:
        return self.fast_tokenizer.decode([int(i) for i in ids], skip_special_tokens=True).strip()

    # -------------------------------------------------------------------------------- python -m paddle_ft generate
    def prompt(self, flags: dict[str, Any]) -> str:
        """Return the prompt in the form of a training text: the metadata, then the text of --prompt.

        Args:
            flags: values of generation_flags by name, None if not set.

        Raises:
            UserError: metadata is empty, or the run was not trained with it.
        """
        trained = self.options.metadata
        metadata = {"genres": flags["genre"], "title": flags["title"], "author": flags["author"]}
        metadata = {name: value for name, value in metadata.items() if value is not None}
        for name, value in metadata.items():
            if name not in trained:
                reason = f"it was trained with {', '.join(trained)}" if trained else "it was trained without metadata"
                raise UserError(f"{_flag(name)} does not fit this run: {reason}. Train with task.metadata='[genres, title]'.")
            if not value.strip():
                raise UserError(f"{_flag(name)} is empty: leave it out, or name one.")
        if not metadata:
            return BOS if flags["prompt"] is None else flags["prompt"]
        if text := (flags["prompt"] or "").removeprefix(BOS).strip():
            return self.example({"text": text, **metadata}).removesuffix(EOS)
        names = [name for name in trained if name in metadata]
        headings = "".join(f"{HEADINGS[name]}: {metadata[name]}. " for name in names)
        is_last = names[-1] == trained[-1]  # otherwise the model may add the remaining metadata itself
        return BOS + (f"{headings}Summary:" if is_last else headings.rstrip())

    def generate_texts(
        self, flags: dict[str, Any], search: dict[str, Any], show: Callable[[str], None] | None
    ) -> Iterator[dict[str, Any]]:
        from paddle_ft.generation import GenerationOptions, generate_all, stream

        if show and max(search["num_return_sequences"], search.get("num_beams", 1)) > 1:
            raise UserError(
                "--stream shows one text as it is written, token by token: leave out --num-return and --beams (--top-k, --top-p and"
                " --temperature can be used), or leave out --stream."
            )
        prompt, stop_token = self.prompt(flags), EOS if flags["stop_token"] is None else flags["stop_token"]
        stop = self.fast_tokenizer.encode(stop_token).ids
        if len(stop) != 1:
            raise UserError(f"--stop-token {stop_token!r}: the model reads this as {len(stop)} tokens; use one, such as {EOS}.")
        ids = self.fast_tokenizer.encode(prompt).ids
        room = self.model.config.max_position_embeddings - len(ids)
        length = max(1, min(LENGTH, room)) if flags["length"] is None else flags["length"]
        if length > room:
            raise UserError(
                f"--length {length}: the prompt has {len(ids)} tokens, and the model has {len(ids) + room} positions for both."
                + (f" At most {room} fit." if room > 0 else " Shorten the prompt.")
            )
        settings = GenerationOptions(max_new_tokens=length, eos_token_id=stop[0], **search)
        if show:
            outputs = [[*ids, *self._show(ids, stream(self.model, ids, settings), show)]]
        else:
            outputs = generate_all(self.model, [ids], settings, 1, "generate", self.on_step)[0]
        for output in outputs:
            stopped = output[-1] == stop[0]
            yield {"prompt": prompt, "text": self._text(output), "tokens": len(output) - len(ids), "stopped": stopped}

    def _show(self, prompt: list[int], tokens: Iterator[int], show: Callable[[str], None]) -> list[int]:
        """Show the text while its tokens are generated, and return them. A character of several tokens is shown with the last."""
        ids, shown = [], ""
        for token in tokens:
            ids.append(token)
            if self.on_step is not None:
                self.on_step()
            text = self._text([*prompt, *ids])
            if not text.endswith("\ufffd"):
                show(text[len(shown) :])
                shown = text
        return ids


def _flag(name: str) -> str:
    return f"--{'genre' if name == 'genres' else name}"


TASK = CausalLM
