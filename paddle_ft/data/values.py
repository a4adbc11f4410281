"""Turn the values of all file formats into the texts of rows, by one rule, and decide which values are missing.

A table gives the same rows whatever format it is in, so a value becomes the text that pandas writes for it into a CSV file, except
that whole numbers have no ".0". docs/own-data.md shows the rule as a table.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from decimal import Decimal

# What programs write into text files for missing values. In a text file these are texts, but the user is told.
NULL_WORDS = frozenset((
    "nan", "NaN", "NAN", "-nan", "-NaN", "NaT", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "null", "NULL", "Null", "None",
    "inf", "-inf", "Infinity", "-Infinity",
))  # fmt: skip
LONGEST_NULL_WORD = max(map(len, NULL_WORDS))

_TYPE_NAMES = {dict: "an object", list: "a list", tuple: "a list", bytes: "binary data"}
_WHOLE_NUMBER = re.compile(r"[+-]?\d+\.0")
_BOOLEANS = {"true": "True", "false": "False"}
_MAX_INTEGER = 1e21  # larger floats keep their exponent, as in JavaScript


@dataclass(frozen=True)
class ClassNumber:
    """The number of a class that does not exist, in a column of class numbers. It is a missing value.

    Attributes:
        number: the number.
        count: how many classes there are.
    """

    number: int
    count: int


def to_text(value: object) -> str | None:
    """Return a value of a row as text, or None if it is missing: null, NaN, an infinite number, NaT, pandas.NA.

    Args:
        value: a text, a boolean, a number, a date or a time, as Python, NumPy, pandas or Arrow have them.

    Raises:
        TypeError: the value is none of these. The message says what it is: "a list".
    """
    if type(value) is int:
        return _integer_to_text(value)
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, ClassNumber) or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if type(value).__module__ == "numpy":
        return _numpy_to_text(value)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return _integer_to_text(value)
    if isinstance(value, float):
        return _float_to_text(value, repr(value))
    if isinstance(value, Decimal):
        return _decimal_to_text(value)
    if isinstance(value, datetime.datetime):
        is_date = value.timetz() == datetime.time()
        return value.date().isoformat() if is_date else value.isoformat(sep=" ")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return str(value)
    raise TypeError(_TYPE_NAMES.get(type(value), type(value).__name__))


def describe_missing(value: object) -> str:
    """Return how the file spells a missing value, for messages: " (NaN)", or "" for null."""
    if isinstance(value, ClassNumber):
        if value.number == -1:
            return " (-1 stands for labels that are kept secret, as in some test splits; name another split, or none)"
        return f" ({value.number} is not the number of one of the {value.count:,} classes)"
    if not isinstance(value, float):
        return ""
    return " (NaN)" if value != value else " (Infinity)" if value > 0 else " (-Infinity)"


def class_text(text: str) -> str:
    """Return the name of a class in one spelling: "1" for "1.0", "True" for "true" and "TRUE".

    pandas writes the whole numbers of a column with missing values as 1.0, and programs spell booleans in three ways.
    """
    if text.endswith(".0") and _WHOLE_NUMBER.fullmatch(text):
        return text[:-2]
    return _BOOLEANS.get(text.lower(), text) if text[-1:] in "eE" and len(text) <= 5 else text


def to_plain(value: object) -> object:
    """Return a value that is not read, only copied to the output, as JSON can write it. Missing values become None."""
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, str):  # half a character cannot be written
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return None if to_text(value) is None else value
    try:
        return to_text(value)
    except TypeError:
        return str(value)


def _integer_to_text(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        raise TypeError("a number of thousands of digits") from None


def _float_to_text(value: float, text: str) -> str | None:
    """Return a float as text. `text` is its shortest form, which differs between 32 and 64 bits."""
    if value != value or value in (float("inf"), float("-inf")):
        return None
    return str(int(value)) if value.is_integer() and abs(value) < _MAX_INTEGER else text


def _decimal_to_text(value: Decimal) -> str | None:
    if not value.is_finite():
        return None
    if value.adjusted() >= 4300 or value.adjusted() < -4300:  # Python's own limit for the digits of an integer
        return str(value)
    text = format(value, "f")
    text = text.rstrip("0").removesuffix(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _numpy_to_text(value) -> str | None:
    kind = getattr(getattr(value, "dtype", None), "kind", "O")
    if getattr(value, "ndim", 0):
        raise TypeError("a list")
    if kind == "f":
        return _float_to_text(float(value), str(value))
    if kind == "M":
        return None if str(value) == "NaT" else to_text(value.astype("datetime64[us]").item())
    if kind == "m":
        return None if str(value) == "NaT" else to_text(value.astype("timedelta64[us]").item())
    if kind not in "biu":
        raise TypeError(type(value).__name__)
    return to_text(value.item())
