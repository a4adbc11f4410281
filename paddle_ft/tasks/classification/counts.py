"""Say how many rows each class has, and which classes are probably mistakes: alike in spelling, or with few rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paddle_ft.models.head_classes import fold
from paddle_ft.system.formatting import join_some, shorten

MOST_LISTED = 12  # classes that the header lists; of more, the most frequent and the rarest
SHORT = 5  # rows of a table in which a label that only one row has says nothing
FEW = 0.01  # share of the rows below which a class is named, or half of an even share if there are more than 50 classes


def describe_counts(names: Sequence[str], counts: np.ndarray) -> str:
    """Return the line of the header with the classes and their rows: "neg 40 (40.0%), pos 60 (60.0%)".

    Args:
        names: the names of the classes.
        counts: [classes] rows of each class.
    """
    shown = [f"{shorten(name)} {count:,} ({count / max(1, counts.sum()):.1%})" for name, count in zip(names, counts, strict=True)]
    if len(names) <= MOST_LISTED:
        return ", ".join(shown)
    order = np.argsort(-counts, kind="stable")
    frequent, rare = ([shown[number] for number in numbers] for numbers in (order[:6], order[-3:]))
    return f"{len(names):,} classes, the most frequent {', '.join(frequent)}; the rarest {', '.join(rare)}"


def describe_classes(names: Sequence[str], counts: np.ndarray) -> list[str]:
    """Return what is said about classes that may be mistakes (see system.decisions).

    Args:
        names: the names of the classes.
        counts: [classes] training rows of each class.
    """
    rows_of = dict(zip(names, counts, strict=True))
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(fold(name), []).append(name)
    decisions = [
        f"classes that differ only by case, spaces or width are taken as {len(group)} classes:"
        f" {join_some(f'{shorten(name)!r} ({_count_rows(rows_of[name])})' for name in group)}"
        for group in alike.values()
        if len(group) > 1
    ]
    few = min(FEW, 0.5 / len(names))
    rare = [name for name in sorted(names, key=lambda name: rows_of[name]) if rows_of[name] < few * counts.sum()]
    if rare:
        having = f"{len(rare):,} classes have" if len(rare) > 1 else "a class has"
        listed = join_some(f"{shorten(name)} {rows_of[name]:,}" for name in rare)
        decisions.append(f"{having} less than {100 * few:.2g} % of the {counts.sum():,} training rows: {listed}")
    single = [name for name in names if rows_of[name] == 1 and name not in rare]
    if single and counts.sum() > SHORT * len(single):
        having = f"each of {len(single):,} classes has" if len(single) > 1 else "a class has"
        listed = join_some(shorten(name) for name in single)
        decisions.append(f"{having} only 1 of the {counts.sum():,} training rows: {listed}")
    return decisions


def describe_header(names: Sequence[str], counts: np.ndarray, first: int) -> list[str]:
    """Return what is said if the first row of a table whose columns are numbers is probably its header.

    Args:
        names: the names of the classes.
        counts: [classes] training rows of each class.
        first: the class of the first row.
    """
    if counts[first] > 1 or counts.sum() <= SHORT:
        return []
    return [
        f"the columns are numbers, so the first row of the training data is a row and no header. Its label {names[first]!r} is that"
        " of no other row: if it is a header, name the columns by it"
    ]


def _count_rows(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")


def describe_spellings(values: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Return what is said about labels that are read as a class of another spelling, such as " neg" as neg and 1e0 as 1.

    Args:
        values: the labels of the data, each once.
        classes: the spelling that each is compared in.
    """
    changed = [f"{shorten(value)!r} is {shorten(name)}" for value, name in zip(values, classes, strict=True) if value != name]
    return [f"labels are compared without spaces around them, and numbers by their value: {join_some(changed)}"] if changed else []
