"""Base class of tasks that turn a text into a text with an encoder-decoder model: summarisation and lyrics."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from convert.fields import GENERATION
from paddle_ft.data.batches import IGNORE_INDEX, attention_mask, pad
from paddle_ft.data.rows import Rows
from paddle_ft.data.text import SPACELESS, regex_class
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.base import Dataset, EvalResult, EvalStep, Task

_SPACELESS = regex_class(SPACELESS)
_SPACE_BY_CJK = re.compile(rf"(?<=[{_SPACELESS}])\s+|\s+(?=[{_SPACELESS}])")


def shift_right(labels: np.ndarray, start: int, padding: int) -> np.ndarray:
    """Return the decoder's input for a batch of labels: the labels moved one position to the right.

    Args:
        labels: [b, t], target ids, -100 where there is no target.
        start: decoder_start_token_id, put at the first position.
        padding: pad_token_id, which replaces -100.

    Returns:
        [b, t]
    """
    shifted = np.empty_like(labels)
    shifted[:, 0] = start
    shifted[:, 1:] = labels[:, :-1]
    shifted[shifted == IGNORE_INDEX] = padding
    return shifted


def join_chinese(text: str) -> str:
    """Remove the spaces that the decoder of a BERT tokenizer puts around Chinese characters."""
    return _SPACE_BY_CJK.sub("", text).strip()


class Seq2Seq(Task):
    """Base class of tasks that turn a source text into a target text.

    The Options of a subclass must have max_source_length, max_target_length, min_target_length and ignore_pad_token_for_loss. Its
    `sections` must have "generation".
    """

    head_type = "seq2seq"
    required_fields = ("source", "target")
    reference_field = "target"

    def model_decisions(self) -> list[str]:
        """Return the settings of generation that the checkpoint has and that the configuration replaces."""
        own, section = self.model.generation_config, self.config.generation
        names = ("num_beams", "length_penalty", "no_repeat_ngram_size", "early_stopping")
        limits = {"min_length": self.options.min_target_length, "max_length": self.options.max_target_length}
        ours = {**{name: getattr(section, name) for name in names}, **limits, "repetition_penalty": 1.0, "do_sample": False}
        unset = {name: {None, value} for name, value in GENERATION.items()}  # what a checkpoint without settings has
        unset["max_length"] |= {0}  # PaddleNLP's, where generation_config.json has none
        replaced = [
            f"{name} {getattr(own, name)} (here {value})"
            for name, value in ours.items()
            if getattr(own, name, None) not in unset[name] | {value}
        ]
        said = f"the checkpoint's settings of generation are not used: {', '.join(replaced)}; those of `generation` and `task` are"
        return [said] if replaced else []

    def encode(self, rows: Rows, split: str) -> Dataset:
        limits = {"source": self.options.max_source_length, "target": self.options.max_target_length}
        columns, info = {}, {"rows": len(rows), "bad_rows": len(rows.bad)}
        for name, limit in limits.items():
            encoded = self.encode_texts(rows.texts(name), f"tokenise {split} {name}", limit)
            columns[name] = encoded
            info[f"truncated_{name}"] = encoded.truncated
            info[f"truncated_{name}_share"] = round(encoded.truncated / max(1, len(rows)), 4)
            self._check_length(name, limit, int(encoded.lengths.max(initial=0)))
        lengths = columns["source"].lengths + columns["target"].lengths
        return Dataset(split, rows.rows, columns, lengths, info)

    def _check_length(self, name: str, limit: int, longest: int) -> None:
        """Raise UserError if the longest encoded text has more tokens than the model has positions."""
        positions = self.model.config.max_position_embeddings
        if longest > positions:
            raise UserError(
                f"task.max_{name}_length: {limit} lets through a {name} of {longest} tokens, but the model has {positions}"
                " positions (max_position_embeddings). Lower it to that."
            )

    def collate_fn(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return a padded batch.

        Returns:
            input_ids: [b, s]
            attention_mask: [b, s], 1 for a token and 0 for padding.
            decoder_input_ids: [b, t]
            labels: [b, t], -100 where there is no target.
            target_positions: [n], indices of the targets in the flattened labels.
            target_ids: [n], the targets.
        """
        config = self.model.config
        multiple, max_length = self.config.train.pad_to_multiple_of, config.max_position_embeddings
        sources = [dataset.columns["source"][i] for i in indices]
        input_ids = pad(sources, config.pad_token_id, multiple, max_length)
        targets = [dataset.columns["target"][i] for i in indices]
        if self.options.ignore_pad_token_for_loss:
            labels = pad(targets, IGNORE_INDEX, multiple, max_length)
        else:  # padding is a target too, so there must be no more of it than the longest target needs
            labels = pad(targets, config.pad_token_id)
        flat = labels.reshape(-1)
        positions = np.flatnonzero(flat != IGNORE_INDEX)
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask([len(row) for row in sources], input_ids.shape[1]),
            "decoder_input_ids": shift_right(labels, config.decoder_start_token_id, config.pad_token_id),
            "labels": labels,
            "target_positions": positions,
            "target_ids": flat[positions],
        }

    def count_targets(self, batch: dict[str, np.ndarray]) -> int:
        return len(batch["target_positions"])

    def loss(self, batch: dict[str, Any]):
        """Return the summed cross-entropy. The vocabulary projection is computed only at the target positions."""
        import paddle.nn.functional as F

        logits = self.bundle.architecture.seq2seq_logits(self.model, batch)
        return F.cross_entropy(logits, batch["target_ids"], reduction="sum")

    def eval_step(self, batch: dict[str, Any], indices: np.ndarray) -> EvalStep:
        """Return for each row (negative log-likelihood, number of targets), and the sums of the batch."""
        import paddle.nn.functional as F

        logits = self.bundle.architecture.seq2seq_logits(self.model, batch)
        losses = F.cross_entropy(logits, batch["target_ids"], reduction="none").reshape([-1])
        row_of = batch["target_positions"].numpy() // batch["labels"].shape[1]
        nll = np.bincount(row_of, weights=losses.numpy(), minlength=len(indices))
        targets = np.bincount(row_of, minlength=len(indices))
        return EvalStep(list(zip(nll.tolist(), targets.tolist(), strict=True)), float(losses.sum()), len(row_of))

    def row_losses(self, dataset: Dataset, result: EvalResult) -> list[dict[str, float]]:
        if None in result.rows:  # a derived class that measures in its own way
            return []
        return [{"nll": round(nll, 6), "targets": targets} for nll, targets in result.rows]

    def eval_inputs(self, dataset: Dataset) -> list:
        source = dataset.columns["source"]
        return [source[i] for i in range(len(dataset))]

    def generate(self, inputs: list, label: str) -> list[str]:
        """Return a generated text for the token ids of each source, in order."""
        from paddle_ft.generation import generate_all

        options, batch_size = self.generation_options(), self.config.eval.eval_batch_size
        rows = generate_all(self.model, inputs, options, batch_size=batch_size, label=label, on_step=self.on_step)
        return self.texts(row[0] for row in rows)

    def texts(self, rows: Iterable[list[int]]) -> list[str]:
        """Decode generated token ids to texts."""
        return [join_chinese(text) for text in self.fast_tokenizer.decode_batch(list(rows), skip_special_tokens=True)]

    def generation_options(self):
        """Return the options of generation that the configuration sets.

        Lengths are one longer than in the task's options, because generation also counts decoder_start_token_id.

        Raises:
            UserError: the model has too few positions for max_target_length.
        """
        from paddle_ft.generation import GenerationOptions

        section, config, options = self.config.generation, self.model.config, self.options
        if options.max_target_length >= config.max_position_embeddings:
            positions = config.max_position_embeddings
            raise UserError(
                f"task.max_target_length: {options.max_target_length} tokens and the start token do not fit the model's {positions}"
                f" positions (max_position_embeddings), so they cannot be generated. Lower it to {positions - 1}."
            )
        return GenerationOptions(
            num_beams=section.num_beams,
            max_length=options.max_target_length + 1,
            min_length=options.min_target_length + 1 if options.min_target_length else 0,
            length_penalty=section.length_penalty,
            no_repeat_ngram_size=section.no_repeat_ngram_size,
            early_stopping=section.early_stopping,
            forced_bos_token_id=getattr(config, "forced_bos_token_id", None),
            forced_eos_token_id=getattr(config, "forced_eos_token_id", None),
        )

    def preview(self, dataset: Dataset, count: int = 2) -> str:
        blocks = []
        for i in range(min(count, len(dataset))):
            batch = self.collate_fn(dataset, np.array([i]), np.random.default_rng(i))
            row = dataset.rows[i]
            blocks.append(
                f"source        {row['source']}\n"
                f"target        {row['target']}\n"
                f"input_ids     {self.decode(batch['input_ids'][0])}\n"
                f"decoder input {self.decode(batch['decoder_input_ids'][0])}\n"
                f"labels        {self.decode(batch['labels'][0])}"
            )
        return "\n\n".join(blocks)

    def decode(self, ids) -> str:
        """Return the tokens of ids, special tokens included, as text for people. -100 becomes a dot."""
        tokens = ["·" if i == IGNORE_INDEX else self.fast_tokenizer.id_to_token(int(i)) for i in ids]
        return " ".join(str(token) for token in tokens)
