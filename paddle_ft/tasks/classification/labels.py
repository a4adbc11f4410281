"""Turn the labels of a data set into class numbers, and raise an error for labels that cannot be classes."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from paddle_ft.data.row_texts import distinct
from paddle_ft.data.values import class_text
from paddle_ft.models.head_classes import fold
from paddle_ft.system.errors import UserError

MAX_CLASSES = 1000
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def class_names(row_labels: Sequence[str], options, known: Sequence[str] = ()) -> list[str]:
    """Return the names of the classes in order: options.labels if set, else those of the data set or of the training rows.

    Whole numbers are sorted as numbers, so class 0 is the smallest. Names are sorted alphabetically.

    Args:
        row_labels: the label of every training row.
        options: the task's options; labels and round_labels are used.
        known: the names of the classes that the data set itself has, in its order. They are used if all rows have one of them.

    Raises:
        UserError: the labels cannot be classes: numbers with a fraction, numbers mixed with names, only one class, or more
            than MAX_CLASSES.
    """
    if options.labels is not None:
        return list(options.labels)
    if options.round_labels:
        return ["0", "1"]
    values, value_of_row = distinct(row_labels)
    label_set = {normalize(label) for label in values}
    known = [normalize(class_text(name)) for name in known]
    if len(known) == len(set(known)) <= MAX_CLASSES and 1 < len(label_set) <= len(label_set & set(known)):
        return known
    numbers = {label for label in label_set if _NUMBER.fullmatch(label)}
    if numbers and numbers != label_set:
        raise UserError(
            f"train: the labels mix numbers ({min(numbers)}) and names ({min(label_set - numbers)}): correct them, or set"
            " the names of the classes with task.labels"
        )
    for number, label in enumerate(values):
        if numbers and not _is_whole(normalize(label)):
            row = _first_row(value_of_row, number)
            raise UserError(
                f"train row {row}: the label {label} is not a whole number: that is regression, which this task does not do."
                " Scores between 0 and 1 become two classes with task.round_labels=true"
            )
    if len(label_set) == 1:
        raise UserError(f"train: every row has the label {min(label_set)!r}: at least two classes are needed")
    if len(label_set) > MAX_CLASSES:
        raise UserError(
            f"train: {len(label_set):,} different labels, more than {MAX_CLASSES:,}; is data.columns.label the right column?"
        )
    return sorted(label_set, key=lambda label: (int(label), label) if numbers else label)


def to_classes(row_labels: Sequence[str], names: Sequence[str], options, split: str, known: Sequence[str] = ()) -> np.ndarray:
    """Return the class number of each row, [n] int64.

    Args:
        row_labels: [n] the label of every row.
        names: the names of the classes.
        options: the task's options; labels and round_labels are used. With options.labels a label may also be a class's
            number, counted from 0.
        split: its name, for error messages.
        known: the names of the classes that the data set itself has, in its order.

    Raises:
        UserError: a row's label is not a class. The first such row is named.
    """
    class_of = _class_numbers(names, options)
    renamed = _renamed(known, names, options)
    values, value_of_row = distinct(row_labels)
    classes = np.zeros(len(values), dtype=np.int64)
    for number, label in enumerate(values):
        text = renamed.get(label, label)
        key = _round_label(text) if options.round_labels else normalize(text)
        if key is None:
            raise UserError(_describe_label_without_score(label, split, _first_row(value_of_row, number)))
        if key not in class_of:
            raise UserError(_describe_unknown_label(label, names, split, _first_row(value_of_row, number)))
        classes[number] = class_of[key]
    return classes[value_of_row]


def _first_row(value_of_row: np.ndarray, number: int) -> int:
    """Return the first row, counted from 1, that has the value with this number."""
    return int(np.argmax(value_of_row == number)) + 1


def _class_numbers(names: Sequence[str], options) -> dict[str, int]:
    """Return label -> class number. If names are numbers themselves (1 to 5 stars), labels cannot be class numbers."""
    numbers = {str(number): number for number in range(len(names))}
    if options.round_labels:
        return numbers
    by_name = {normalize(name): number for number, name in enumerate(names)}
    if options.labels is None or any(_NUMBER.fullmatch(name) for name in by_name):
        return by_name
    return numbers | by_name


def _renamed(known: Sequence[str], names: Sequence[str], options) -> dict[str, str]:
    """Return the data set's own name of a class -> the label that is meant, where task.round_labels or task.labels rename it.

    task.labels renames the classes of the data set if it has as many, and those that both have are at the same place.
    """
    known = [class_text(name) for name in known]
    if options.round_labels:
        return {name: str(number) for number, name in enumerate(known)}
    own = [normalize(name) for name in names]
    if options.labels is None or len(known) != len(own):
        return {}
    same_place = all(own.index(name) == number for number, name in enumerate(known) if name in own)
    return dict(zip(known, own, strict=True)) if same_place else {}


def class_weights(option: list[float] | str | None, counts: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return the weight in the loss of each class's rows, [classes].

    Args:
        option: task.class_weights. "balanced" means rows / (classes * rows of the class), whose mean over the rows is 1;
            a class without rows gets 0.
        counts: [classes] number of rows of each class.
        names: [classes] names of the classes.

    Raises:
        UserError: the list has not one weight for each class.
    """
    if option is None:
        return np.ones(len(names))
    if option == "balanced":
        return np.where(counts > 0, counts.sum() / ((counts > 0).sum() * np.maximum(counts, 1)), 0.0)
    if len(option) != len(names):
        raise UserError(f"task.class_weights: {len(option)} weights for {len(names)} classes ({', '.join(names)}).")
    return np.array(option, dtype=np.float64)


def _is_whole(label: str) -> bool:
    return float(label).is_integer()


def normalize(label: str) -> str:
    """Return a label without spaces around it, a whole number without ".0", and a boolean as True or False."""
    label = label.strip()
    if not _NUMBER.fullmatch(label):
        return class_text(label)
    return str(int(label)) if label.lstrip("+-").isdigit() else str(int(float(label))) if _is_whole(label) else label


def _round_label(label: str) -> str | None:
    """Return a score from 0 to 1 as "0" or "1", and None for anything else."""
    text = label.strip()
    return str(round(float(text))) if _NUMBER.fullmatch(text) and 0 <= float(text) <= 1 else None


def _describe_label_without_score(label: str, split: str, row: int) -> str:
    return (
        f"{split} row {row}: task.round_labels needs numbers from 0 to 1, but the label is {label!r}; for other labels set"
        " task.round_labels=false task.labels=null"
    )


def _describe_unknown_label(label: str, names: Sequence[str], split: str, row: int) -> str:
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    message = f"{split} row {row}: the label {label!r} is none of the classes ({shown})"
    if alike := next((name for name in names if fold(name) == fold(label)), None):
        message += f"; it differs from {alike!r} only by case, spaces or width"
    if normalize(label) == "-1":
        message += ". -1 stands for labels that are kept secret, as in GLUE's test split:"
        message += f" set data.{split} to another split, or none"
    return message
