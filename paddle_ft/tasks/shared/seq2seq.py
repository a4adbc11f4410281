"""Text to text with an encoder-decoder: what summarisation and lyrics share. Not a task of its own."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from paddle_ft.data.batches import IGNORE_INDEX, longest_first, pad
from paddle_ft.data.rows import Rows
from paddle_ft.data.text import SPACELESS, regex_class
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress
from paddle_ft.tasks.base import Dataset, Task

_SPACELESS = regex_class(SPACELESS)
_SPACE_BY_CJK = re.compile(rf"(?<=[{_SPACELESS}])\s+|\s+(?=[{_SPACELESS}])")


def shift_right(labels: np.ndarray, start: int, padding: int) -> np.ndarray:
    """Decoder input of a batch of labels: what stands one place to the left, `start` first, no -100 left in it.

    Args:
        labels: [b, t] target ids, -100 where there is no target.
        start: decoder_start_token_id.
        padding: pad_token_id, in place of -100.

    Returns: [b, t]
    """
    shifted = np.empty_like(labels)
    shifted[:, 0] = start
    shifted[:, 1:] = labels[:, :-1]
    shifted[shifted == IGNORE_INDEX] = padding
    return shifted


def join_chinese(text: str) -> str:
    """Takes out the spaces that a BERT tokenizer's decoder puts between Chinese characters."""
    return _SPACE_BY_CJK.sub("", text).strip()


class Seq2Seq(Task):
    """Encoder-decoder tasks: fields source and target.

    Options of a subclass must have max_source_length, max_target_length, min_target_length, ignore_pad_token_for_loss.
    """

    kind = "seq2seq"
    fields = ("source", "target")
    sections = {}  # subclasses add generation

    def encode(self, rows: Rows, split: str) -> Dataset:
        limits = {"source": self.options.max_source_length, "target": self.options.max_target_length}
        columns, info = {}, {"rows": len(rows), "bad_rows": len(rows.bad)}
        for name, limit in limits.items():
            texts = [row[name] for row in rows.rows]
            encoded = self._encode_texts(texts, limit, f"tokenise {split} {name}")
            columns[name] = encoded
            info[f"truncated_{name}"] = encoded.truncated
            info[f"truncated_{name}_share"] = round(encoded.truncated / max(1, len(rows)), 4)
            self._check_positions(name, limit, int(encoded.lengths.max(initial=0)))
        lengths = columns["source"].lengths + columns["target"].lengths
        return Dataset(split, rows.rows, columns, lengths, info)

    def _check_positions(self, name: str, limit: int, longest: int) -> None:
        positions = self.model.config.max_position_embeddings
        if longest > positions:
            raise UserError(
                f"task.max_{name}_length: {limit} lets through a {name} of {longest} tokens, but the model has {positions}"
                " positions (max_position_embeddings). Lower it to that."
            )

    def _encode_texts(self, texts: list[str], limit: int, label: str):
        from paddle_ft.tokenization.encode import encode_texts

        return encode_texts(self.fast_tokenizer, texts, max_length=limit, label=label, cache=self.config.data.cache)

    def collate(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """input_ids [b, s], attention_mask [b, s], labels [b, t] (-100 where no target), decoder_input_ids [b, t],
        target_positions [n]: places of the targets in the flattened labels, target_ids [n]: what stands there."""
        config = self.model.config
        multiple, most = self.config.train.pad_to_multiple_of, config.max_position_embeddings
        input_ids = pad([dataset.columns["source"][i] for i in indices], config.pad_token_id, multiple, most)
        targets = [dataset.columns["target"][i] for i in indices]
        padding = IGNORE_INDEX if self.options.ignore_pad_token_for_loss else config.pad_token_id
        labels = pad(targets, padding)
        flat = labels.reshape(-1)
        positions = np.flatnonzero(flat != IGNORE_INDEX)
        return {
            "input_ids": input_ids,
            "attention_mask": _mask([dataset.columns["source"][i] for i in indices], input_ids.shape[1]),
            "decoder_input_ids": shift_right(labels, config.decoder_start_token_id, config.pad_token_id),
            "labels": labels,
            "target_positions": positions,
            "target_ids": flat[positions],
        }

    def count_targets(self, batch: dict[str, np.ndarray]) -> int:
        return len(batch["target_positions"])

    def loss(self, batch: dict[str, Any]):
        """Sum of the cross-entropy over target positions; the vocabulary projection is computed for those alone."""
        import paddle
        import paddle.nn.functional as F

        hidden = self.model.bart(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            decoder_input_ids=batch["decoder_input_ids"],
        )[0]
        hidden = hidden.reshape([-1, hidden.shape[-1]]).index_select(batch["target_positions"])
        logits = paddle.matmul(hidden, self.model.lm_head_weight, transpose_y=True) + self.model.final_logits_bias
        return F.cross_entropy(logits, batch["target_ids"], reduction="sum")

    def mean_loss(self, dataset: Dataset, label: str) -> float:
        """Loss a target token over a data set: exact, not a mean of batch means."""
        import paddle

        total, count = 0.0, 0
        rng = np.random.default_rng(0)
        mine = self.world.mine(len(dataset))
        self.model.eval()
        with paddle.no_grad(), Progress(len(mine), label, unit="rows") as bar:
            for places in longest_first(dataset.lengths[mine], self.config.eval.eval_batch_size):
                indices = mine[places]
                batch = self.collate(dataset, indices, rng)
                total += float(self.loss({name: paddle.to_tensor(value) for name, value in batch.items()}))
                count += self.count_targets(batch)
                bar.update(len(indices))
        self.model.train()
        total, count = self.world.total([total, count])
        return total / max(1, count)

    def generate(self, encoded, label: str) -> list[str]:
        """Generates a text for every encoded source, in order."""
        from paddle_ft.generation import generate_all

        rows = generate_all(
            self.model,
            [encoded[i] for i in self.world.mine(len(encoded))],
            self.generation_options(),
            batch_size=self.config.eval.eval_batch_size,
            label=label,
        )
        texts = self.fast_tokenizer.decode_batch([row[0] for row in rows], skip_special_tokens=True)
        return self.world.gather([join_chinese(text) for text in texts], len(encoded))

    def generation_options(self):
        """Lengths count the target's special tokens; generation counts decoder_start_token_id besides."""
        from paddle_ft.generation import GenerationOptions

        section, config, options = self.config.generation, self.model.config, self.options
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
            batch = self.collate(dataset, np.array([i]), np.random.default_rng(i))
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
        """Ids to text with the special tokens shown, -100 as a dot."""
        tokens = ["·" if i == IGNORE_INDEX else self.fast_tokenizer.id_to_token(int(i)) for i in ids]
        return " ".join(str(token) for token in tokens)


def _mask(rows: list[np.ndarray], width: int) -> np.ndarray:
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for i, row in enumerate(rows):
        mask[i, : len(row)] = 1
    return mask
