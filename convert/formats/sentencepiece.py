"""Read the parts of a sentencepiece model file, a protobuf message, that a tokenizer.json needs.

The field numbers are those of https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convert.errors import ConvertError

PIECE_KINDS = {1: "normal", 2: "unknown", 3: "control", 4: "user-defined", 5: "unused", 6: "byte"}
MODEL_KINDS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}


@dataclass(frozen=True)
class Piece:
    """An entry of the vocabulary. `kind` is a value of PIECE_KINDS."""

    text: str
    score: float
    kind: str


@dataclass(frozen=True)
class Model:
    """A sentencepiece model.

    Attributes:
        kind: "unigram", "bpe", "word" or "char".
        pieces: The vocabulary in the order of ids.
        unknown: Id of the unknown piece.
        charsmap: The precompiled normalization table, b"" if there is none.
    """

    kind: str
    pieces: list[Piece]
    unknown: int
    charsmap: bytes


def read(path: Path) -> Model:
    """Read a .model file.

    Raises:
        ConvertError: The file is damaged.
    """
    try:
        fields = list(_fields(path.read_bytes()))
        pieces = [_piece(value) for number, value in fields if number == 1]
        trainer = dict(_fields(next((value for number, value in fields if number == 2), b"")))
        normalizer = dict(_fields(next((value for number, value in fields if number == 3), b"")))
    except (IndexError, KeyError, ValueError, TypeError, AttributeError, struct.error) as error:
        raise ConvertError(f"{path}: damaged or not a sentencepiece model ({error})") from None
    if not pieces:
        raise ConvertError(f"{path}: not a sentencepiece model: it has no pieces")
    return Model(MODEL_KINDS.get(trainer.get(3, 1), "unknown"), pieces, trainer.get(40, 0), normalizer.get(2, b""))


def _piece(data: bytes) -> Piece:
    fields = dict(_fields(data))
    return Piece(fields[1].decode("utf-8"), struct.unpack("<f", fields[2])[0], PIECE_KINDS[fields.get(3, 1)])


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value) of a protobuf message. Varints are integers, everything else is bytes."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _varint(data, position)
        else:
            length, position = _varint(data, position) if wire == 2 else ({1: 8, 5: 4}[wire], position)
            value, position = data[position : position + length], position + length
            if position > len(data):
                raise ValueError("a field reaches beyond the end")
        yield number, value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return a varint and the position after it."""
    result = shift = 0
    while True:
        byte = data[position]
        result |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if not byte & 0x80:
            return result, position
        if shift > 63:
            raise ValueError("a number is too long")
