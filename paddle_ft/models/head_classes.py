"""Match the classes of a trained classification head with those of the data by their names. No weights are touched here.

Names are compared without regard to case, width (full-width letters and digits), spaces and punctuation inside them, and numbers by
their value (0, "0", 0.0). Different words are one class only where that is certain (SYNONYMS). A name that could be two classes of
the other side is matched only if it is spelt the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Sequence

# Each line is one class, in the spelling of _key. Words that some data sets use in another sense are left out.
SYNONYMS = (
    ("negative", "neg", "负面", "消极", "负向", "差评"),
    ("positive", "pos", "正面", "积极", "正向", "好评"),
    ("neutral", "neu", "中性", "中立"),
    ("entailment", "entail", "entails", "蕴含", "蕴涵"),
    ("contradiction", "contradict", "contradicts", "矛盾"),
    ("notentailment", "notentail", "nonentailment"),
    ("yes", "是"),
    ("no", "否"),
    ("true", "真"),
    ("false", "假"),
)
_SAME = {word: line[0] for line in SYNONYMS for word in line}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_EDGES = " \t\n_\"'“”‘’()[]{}<>《》【】.,:;。,、"
_INSIDE = re.compile(r"(?<=[^\W_])[\s_\-./'’&,:;()·・|\\]+(?=[^\W_])")
_DEFAULT_NAME = re.compile(r"label[\s_-]*(\d+)", re.IGNORECASE)  # of transformers and PaddleNLP
_STARS = re.compile(r"(\d+)(?:stars?|星)")


def match_classes(saved: Sequence[str], wanted: Sequence[str]) -> list[int | None]:
    """Return the row of the trained head for each class of the data, None for a class that it was certainly not trained for.

    Args:
        saved: the names of the head's classes, in the order of its rows.
        wanted: the names of the data's classes, in their order.
    """
    if has_default_names(saved):
        rows = _rows_by_number(len(saved), wanted)
        return rows if rows is not None else list(range(len(saved))) if len(wanted) == len(saved) else [None] * len(wanted)
    rows = [saved.index(name) if name in saved else None for name in wanted]
    for keys in (_keys, _stars_as_numbers, _truths_as_numbers):
        saved_keys, wanted_keys = keys(saved, wanted), keys(wanted, saved)
        saved_counts, wanted_counts = Counter(saved_keys), Counter(wanted_keys)
        for number, key in enumerate(wanted_keys):
            if rows[number] is None and saved_counts[key] == wanted_counts[key] == 1:
                row = saved_keys.index(key)
                rows[number] = None if row in rows else row
    return rows


def has_default_names(names: Sequence[str]) -> bool:
    """Return whether classes have no names of their own, but LABEL_0, LABEL_1, ... in the order of their rows."""
    return all((match := _DEFAULT_NAME.fullmatch(name)) and int(match[1]) == row for row, name in enumerate(names))


def fold(name: str) -> str:
    """Return a name without differences of case, width and spaces. Names that differ in nothing else are probably one class."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def is_by_position(saved: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether match_classes takes rows in their order: the head's classes have no names, and the data's are other ones."""
    return has_default_names(saved) and len(wanted) == len(saved) and _rows_by_number(len(saved), wanted) is None


def _rows_by_number(count: int, wanted: Sequence[str]) -> list[int | None] | None:
    """Return the rows of a head without names for classes that are numbers of its rows (1, 1.0, LABEL_1), None if they are others.

    Some of the numbers alone, without 0, may be counted from 1. Only LABEL_1 and LABEL_2 are certainly the rows 1 and 2.
    """
    keys = _keys(wanted, ())
    if len(set(keys)) < len(keys) or not set(keys) <= set(map(float, range(count))):
        return None
    if len(keys) < count and 0.0 not in keys and not all(_DEFAULT_NAME.fullmatch(name) for name in wanted):
        return None
    return [int(key) for key in keys if isinstance(key, float)]


def _keys(names: Sequence[str], others: Sequence[str]) -> list[Hashable]:
    return [_key(name) for name in names]


def _key(name: str) -> Hashable:
    """Return what names of the same class have in common: a number's value, or the word without case, spaces and punctuation."""
    text = unicodedata.normalize("NFKC", name).casefold().strip()
    if match := _DEFAULT_NAME.fullmatch(text):
        return float(match[1])
    if _NUMBER.fullmatch(text):
        return float(text)
    word = _INSIDE.sub("", text.strip(_EDGES))
    return _SAME.get(word, word) or text


def _stars_as_numbers(names: Sequence[str], others: Sequence[str]) -> list[Hashable]:
    """Return keys in which "5 stars" is 5, if one side has stars and the other exactly their numbers."""

    def number(key: Hashable) -> Hashable:
        match = _STARS.fullmatch(str(key))
        return float(match[1]) if match else key

    keys, other_keys = ([number(key) for key in _keys(side, ())] for side in (names, others))
    return keys if set(keys) == set(other_keys) else _keys(names, others)


def _truths_as_numbers(names: Sequence[str], others: Sequence[str]) -> list[Hashable]:
    """Return keys in which true is 1 and false is 0, if one side has the classes true and false and the other 1 and 0."""
    keys, other_keys = _keys(names, others), _keys(others, names)
    if {frozenset(keys), frozenset(other_keys)} != {frozenset(("false", "true")), frozenset((0.0, 1.0))}:
        return keys
    return [{"false": 0.0, "true": 1.0}.get(key, key) for key in keys]
