"""Define the kinds of entries in a family's table of configuration fields, and the entries that all families share.

An entry has Hugging Face's name of the field, Paddle's name, and Hugging Face's default. The default is needed because files leave
defaults out and Paddle's defaults differ. convert.config translates a configuration in both directions with such a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convert.errors import ConvertError


@dataclass(frozen=True)
class Field:
    """A field that both libraries have.

    Attributes:
        hf: Hugging Face's name.
        paddle: Paddle's name; None means the same name.
        default: Hugging Face's value if the file has none.
        values: Hugging Face's value -> Paddle's value, if they differ or only some values can be expressed. If several values
            mean the same, the conversion to Hugging Face writes the first one.
        if_none: (configuration) -> the value, if Hugging Face's value is null.
        none_is: Paddle's name of another field whose value is used if this one is null in Paddle's file.
    """

    hf: str
    paddle: str | None = None
    default: object = None
    values: Mapping[Any, object] | None = None
    if_none: Callable[[dict], object] | None = None
    none_is: str | None = None

    @property
    def paddle_name(self) -> str:
        """Return Paddle's name of the field."""
        return self.paddle or self.hf

    def to_paddle(self, config: dict, where: str) -> object:
        """Return Paddle's value for a Hugging Face configuration.

        Raises:
            ConvertError: PaddleNLP cannot express the value.
        """
        value = config.get(self.hf, self.default)
        if value is None and self.if_none:
            return self.if_none(config)
        if self.values is None:
            return value
        if value not in self.values:
            known = ", ".join(repr(key) for key in self.values)
            raise ConvertError(f"{where}: {self.hf} = {value!r} cannot be expressed in PaddleNLP; possible values: {known}")
        return self.values[value]

    def to_hf(self, value: object) -> object:
        """Return Hugging Face's value for Paddle's value."""
        if self.values is None:
            return value
        return next((key for key, translated in self.values.items() if translated == value), value)


@dataclass(frozen=True)
class Fixed:
    """A Hugging Face field that changes the computation, with the values that PaddleNLP can compute, the default first."""

    hf: str
    allowed: tuple


@dataclass(frozen=True)
class PaddleConstant:
    """A Paddle field that must have this value for both models to compute the same."""

    paddle: str
    value: object


@dataclass(frozen=True)
class Approximate:
    """A field for which PaddleNLP always uses a similar value. The checkpoint is converted, with a note about the difference."""

    hf: str
    paddle_computes: float
    default: float
    note: str


@dataclass(frozen=True)
class MergedDropout:
    """A Hugging Face dropout for which Paddle uses the value of the field `into`. It matters in training only."""

    hf: str
    into: str
    default: float


@dataclass(frozen=True)
class HfOnly:
    """A Hugging Face field that Paddle's model does not need."""

    hf: str
    default: object = None


Entry = Field | Fixed | PaddleConstant | Approximate | MergedDropout | HfOnly

COMMON: tuple[Entry, ...] = (
    *(Field(f"{name}_token_id") for name in ("pad", "bos", "eos", "sep", "decoder_start")),
    Field("problem_type"),
    Field("tie_word_embeddings", default=True),
    Field("is_encoder_decoder", default=False),
    Fixed("is_decoder", (False,)),
    Fixed("add_cross_attention", (False,)),
    Fixed("tie_encoder_decoder", (False,)),
    Fixed("cross_attention_hidden_size", (None,)),
    Fixed("pruned_heads", ({}, None)),
    Fixed("quantization_config", (None,)),
    Fixed("auto_map", (None,)),
)

# PaddleNLP's save_pretrained leaves these out of config.json if they have the default of its base class.
PADDLE_DEFAULTS = {entry.hf: entry.default for entry in COMMON if isinstance(entry, Field)}
PADDLE_DEFAULTS |= {"classifier_dropout": None, "num_choices": None}

# Generation settings with their defaults, which are the same in both libraries.
GENERATION = {
    "max_length": 20,
    "min_length": 0,
    "do_sample": False,
    "early_stopping": False,
    "num_beams": 1,
    "num_beam_groups": 1,
    "diversity_penalty": 0.0,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    "repetition_penalty": 1.0,
    "length_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "bad_words_ids": None,
    "num_return_sequences": 1,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
}
GENERATION_IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")


def merge_entries(*tables: Sequence[Entry]) -> list[Entry]:
    """Return the entries of all tables. A later entry replaces an earlier one with the same Hugging Face name."""
    merged: dict[str, Entry] = {}
    for entry in (entry for table in tables for entry in table):
        if isinstance(entry, PaddleConstant):
            key = f"paddle:{entry.paddle}"
        elif isinstance(entry, Approximate):
            key = f"approximate:{entry.hf}"  # does not replace the Field of the same name
        else:
            key = entry.hf
        merged[key] = entry
    return list(merged.values())
