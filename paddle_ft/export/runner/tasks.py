"""Turn texts into predictions with exported graphs, for each kind of model."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from .decoders import generate, pad
from .runtime import Graph, open_graph

Text = str | tuple[str, str]


class InputError(ValueError):
    """A text that the model cannot take. The message says why."""


class Encoded:
    """The ids of a text or of a pair of texts, and where the second text of a pair begins; None for a single text."""

    def __init__(self, ids: list[int], second: int | None):
        self.ids, self.second = ids, second

    def __len__(self) -> int:
        return len(self.ids)


class Model:
    """An exported model.

    Attributes:
        settings: content of export.json.
        tokenizer: its tokenizer.
        graphs: its graphs by name.
    """

    def __init__(self, settings: dict[str, Any], tokenizer: Tokenizer, graphs: dict[str, Graph]):
        self.settings, self.tokenizer, self.graphs = settings, tokenizer, graphs

    def predict(self, texts: Sequence[Text]) -> list[dict[str, Any]]:
        """Return a dictionary with the prediction of each text, in order. Raise InputError for a text that cannot be read."""
        if pair := next((text for text in texts if not isinstance(text, str) and not self.settings["takes_pairs"]), None):
            raise InputError(f"this model takes single texts, not pairs: {pair[1]!r}")
        encoded = [self.encode(text) for text in texts]
        order = sorted(range(len(texts)), key=lambda i: -len(encoded[i]))  # texts of similar length share a batch
        rows: list[Any] = [None] * len(texts)
        size = self.settings["batch_size"]
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            for i, row in zip(chosen, self.predict_batch([texts[i] for i in chosen], [encoded[i] for i in chosen]), strict=True):
                rows[i] = row
        return rows

    def encode(self, text: Any) -> Any:
        """Return a text, or a pair of texts, as the tokenizer's encoding."""
        return self.tokenizer.encode(*text) if isinstance(text, tuple) else self.tokenizer.encode(text)

    def predict_batch(self, texts: list[Any], encoded: list[Any]) -> list[dict[str, Any]]:
        """Return the predictions of one batch."""
        raise NotImplementedError


class Classifier(Model):
    """Predict the class of a text or of a pair of texts."""

    def encode(self, text: Any) -> Encoded:
        """Return the ids of a text or a pair, cut to settings["truncate"]. Of a pair the longer text is cut first.

        The tokenizer's own truncation cuts so too, but also makes every combination of what it cuts off of a pair's texts.
        """
        encoding = super().encode(text)
        texts = encoding.sequence_ids  # of each token: 0, 1, or None for a special token
        ids, limit = list(encoding.ids), self.settings["truncate"]
        if limit and len(ids) > limit:
            first, second = texts.count(0), texts.count(1)
            room = max(0, limit - texts.count(None))
            shorter = min(first, second, room // 2)
            ends = [0, 0]
            ends[0] = (texts.index(0) if first else 0) + (shorter if first <= second else room - shorter)
            ends[1] = (texts.index(1) if second else 0) + (room - shorter if first <= second else shorter)
            kept = [place for place, number in enumerate(texts) if number is None or place < ends[number]]
            ids, texts = [ids[place] for place in kept], [texts[place] for place in kept]
        if encoding.n_sequences < 2:
            return Encoded(ids, None)
        return Encoded(ids, texts.index(1) if 1 in texts else len(ids) - 1)  # an empty second text has its closing token

    def predict_batch(self, texts: list[Any], encoded: list[Any]) -> list[dict[str, Any]]:
        labels, rows = self.settings["labels"], []
        for text, logits in zip(texts, self.logits(encoded), strict=True):
            exponents = np.exp(logits.astype(np.float64) - logits.max())
            values = exponents / exponents.sum()
            probabilities = {name: round(float(value), 6) for name, value in zip(labels, values, strict=True)}
            names = {"text": text} if isinstance(text, str) else {"text": text[0], "text_pair": text[1]}
            best = int(values.argmax())
            rows.append({**names, "prediction": labels[best], "probability": probabilities[labels[best]],
                         "probabilities": probabilities})  # fmt: skip
        return rows

    def logits(self, encoded: list[Any]) -> np.ndarray:
        """Return the logits [b, classes] of a batch of encodings."""
        ids, mask = pad([encoding.ids for encoding in encoded], self.settings["pad_token_id"])
        types = np.zeros_like(ids)
        for number, encoding in enumerate(encoded):
            if encoding.second is not None:
                types[number, encoding.second : len(encoding)] = 1
        (logits,) = self.graphs["model"](input_ids=ids, attention_mask=mask, token_type_ids=types)
        return logits


class MaskedLanguageModel(Model):
    """Fill each mask token of a text with the likeliest token."""

    def encode(self, text: Any) -> Any:
        encoding = self.tokenizer.encode(text)
        if self.settings["mask_token_id"] not in encoding.ids:
            raise InputError(f"{text!r} has no {self.settings['mask_token']}: put one where a word is to be guessed.")
        if len(encoding) > self.settings["max_input_length"]:
            raise InputError(f"{text[:60]!r}... has {len(encoding)} tokens, but the model has only"
                             f" {self.settings['max_input_length']} positions.")  # fmt: skip
        return encoding

    def predict_batch(self, texts: list[Any], encoded: list[Any]) -> list[dict[str, Any]]:
        ids, mask = pad([encoding.ids for encoding in encoded], self.settings["pad_token_id"])
        positions = np.flatnonzero(ids.reshape(-1) == self.settings["mask_token_id"]).astype(np.int64)
        (logits,) = self.graphs["model"](input_ids=ids, attention_mask=mask, positions=positions)
        filled = list(texts)
        for position, token in zip(positions, logits.argmax(axis=1), strict=True):
            row = position // ids.shape[1]
            filled[row] = filled[row].replace(self.settings["mask_token"], self._token_text(int(token)).strip(), 1)
        return [{"source": text, "prediction": prediction} for text, prediction in zip(texts, filled, strict=True)]

    def _token_text(self, token: int) -> str:
        """Return a token as text. A word piece keeps its ##."""
        return str(self.tokenizer.id_to_token(token)) if self.settings["wordpiece"] else self.tokenizer.decode([token])


class Generator(Model):
    """Write a text for a text."""

    def encode(self, text: Any) -> Any:
        return self.source_ids(text)

    def source_ids(self, text: str) -> list[int]:
        """Return the ids that the model reads for a text."""
        raise NotImplementedError

    def predict_batch(self, texts: list[Any], encoded: list[Any]) -> list[dict[str, Any]]:
        outputs = [self.text(ids) for ids in generate(self.graphs, encoded, self.settings)]
        return [{"source": text, "prediction": output} for text, output in zip(texts, outputs, strict=True)]

    def text(self, ids: list[int]) -> str:
        """Return generated ids as text."""
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()


class Seq2Seq(Generator):
    """Write a text with an encoder-decoder model."""

    def source_ids(self, text: str) -> list[int]:
        if lines := self.settings["lines"]:  # the next line of a song: earlier lines are separated by a token
            shown = "\n".join(line.strip() for line in text.splitlines() if line.strip())
            prefix, end, rest = shown.partition(">") if shown.startswith("<style:") else ("", "", shown)
            if lines["prefixes"] and prefix + end not in lines["prefixes"]:
                raise InputError(f"{text!r} has no genre: begin it with one of {', '.join(lines['prefixes'])}")
            text = prefix + end + lines["separator"].join(rest.strip().split("\n")[-lines["context"] :])
        return list(self.tokenizer.encode(text).ids)

    def text(self, ids: list[int]) -> str:
        letters = self.settings["spaceless"]  # the decoder of a BERT tokenizer puts spaces around Chinese characters
        return re.sub(rf"(?<=[{letters}])\s+|\s+(?=[{letters}])", "", self.tokenizer.decode(ids, skip_special_tokens=True)).strip()


class CausalLM(Generator):
    """Continue a text."""

    def source_ids(self, text: str) -> list[int]:
        bos, eos = self.settings["bos_token"], self.settings["eos_token"]
        text = text.strip().removeprefix(bos).removesuffix(eos).strip()
        room = self.settings["max_input_length"] - self.settings["generation"]["max_new_tokens"]
        return list(self.tokenizer.encode(self.settings["prompt"].format(text=text)).ids)[-room:]


MODELS: dict[str, type[Model]] = {
    "classification": Classifier, "masked_lm": MaskedLanguageModel, "seq2seq": Seq2Seq, "causal_lm": CausalLM,
}  # fmt: skip


def load_model(directory: Any, threads: int | None = None) -> Model:
    """Return the model of an export. `threads` is the number of threads to compute with, None the library's choice."""
    directory = Path(directory)
    settings = json.loads((directory / "export.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    if settings["truncate"] and settings["kind"] != "classification":  # a classifier cuts by itself
        tokenizer.enable_truncation(settings["truncate"])
    graphs = {name: open_graph(directory, files, threads) for name, files in settings["graphs"].items()}
    return MODELS[settings["kind"]](settings, tokenizer, graphs)
