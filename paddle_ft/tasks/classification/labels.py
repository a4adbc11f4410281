"""Labels of a classification: from what stands in the data to the numbers of classes, with what cannot be meant refused."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from paddle_ft.system.errors import UserError

MOST_CLASSES = 1000
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def class_names(found: Sequence[str], options) -> list[str]:
    """The names of the classes in order: options.labels, else the labels of the training rows.

    Whole numbers are sorted as numbers (class 0 is the smallest), names by the alphabet.

    Args:
        found: the label of every training row.
        options: labels, round_labels.

    Raises: UserError for labels that are no classes: numbers with a fraction, numbers mixed with names, one class alone, more
        than 1,000.
    """
    if options.labels is not None:
        return list(options.labels)
    if options.round_labels:
        return ["0", "1"]
    label_set = {_tidy(label) for label in found}
    numbers = {label for label in label_set if _NUMBER.fullmatch(label)}
    if numbers and numbers != label_set:
        raise UserError(
            f"train: the labels mix numbers ({min(numbers)}) and names ({min(label_set - numbers)}): mend them, or name the"
            " classes with task.labels"
        )
    for row, label in enumerate(found, start=1):
        if numbers and not _whole(_tidy(label)):
            raise UserError(
                f"train row {row}: the label {label} is a number that is not whole: that is regression, which this task does not"
                " do. Scores between 0 and 1 become two classes with task.round_labels=true"
            )
    if len(label_set) == 1:
        raise UserError(f"train: every row has the label {min(label_set)!r}: there is nothing to tell apart")
    if len(label_set) > MOST_CLASSES:
        raise UserError(
            f"train: {len(label_set):,} different labels, more than {MOST_CLASSES:,}; is data.columns.label the right column?"
        )
    return sorted(label_set, key=lambda label: (int(label), label) if numbers else label)


def to_classes(found: Sequence[str], names: Sequence[str], options, split: str) -> np.ndarray:
    """[n] int64, the class of each row: by name, or by number from 0 where options.labels gives names to numbers.

    Raises: UserError naming the first row whose label is no class.
    """
    places = _places(names, options)
    classes = np.zeros(len(found), dtype=np.int64)
    for row, label in enumerate(found, start=1):
        key = _rounded(label, split, row) if options.round_labels else _tidy(label)
        if key not in places:
            raise UserError(_unknown(label, names, split, row))
        classes[row - 1] = places[key]
    return classes


def _places(names: Sequence[str], options) -> dict[str, int]:
    """Label -> class. Names that are numbers themselves (1 to 5 stars) leave no room for the classes' numbers from 0."""
    numbers = {str(number): number for number in range(len(names))}
    if options.round_labels:
        return numbers
    by_name = {_tidy(name): number for number, name in enumerate(names)}
    if options.labels is None or any(_NUMBER.fullmatch(name) for name in by_name):
        return by_name
    return numbers | by_name


def class_weights(wanted: list[float] | str | None, counts: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """[classes] weights of the classes' rows in the loss.

    "balanced" is rows / (classes * rows of the class), whose mean over the rows is 1 (a class without rows gets 0).

    Raises: UserError where a list is not as long as there are classes.
    """
    if wanted is None:
        return np.ones(len(names))
    if wanted == "balanced":
        return np.where(counts > 0, counts.sum() / ((counts > 0).sum() * np.maximum(counts, 1)), 0.0)
    if len(wanted) != len(names):
        raise UserError(f"task.class_weights: {len(wanted)} weights for {len(names)} classes ({', '.join(names)}).")
    return np.array(wanted, dtype=np.float64)


def _whole(label: str) -> bool:
    return float(label).is_integer()


def _tidy(label: str) -> str:
    """One spelling a class: spaces around it and the .0 of a whole number are not part of a label."""
    label = label.strip()
    if not _NUMBER.fullmatch(label):
        return label
    return str(int(label)) if label.lstrip("+-").isdigit() else str(int(float(label))) if _whole(label) else label


def _rounded(label: str, split: str, row: int) -> str:
    text = label.strip()
    if not _NUMBER.fullmatch(text) or not 0 <= float(text) <= 1:
        raise UserError(
            f"{split} row {row}: task.round_labels needs numbers from 0 to 1, the label is {label!r}; for other labels set"
            " task.round_labels=false task.labels=null"
        )
    return str(round(float(text)))


def _unknown(label: str, names: Sequence[str], split: str, row: int) -> str:
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    message = f"{split} row {row}: the label {label!r} is none of the classes ({shown})"
    if _tidy(label) == "-1":
        message += f". -1 marks labels that are kept secret, as in GLUE's test split: set data.{split} to another split, or none"
    return message
