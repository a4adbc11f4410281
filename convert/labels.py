"""Work out the labels of a classifier. Old files state their number in two ways that can contradict each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from convert.family import Family, Task
from convert.fields import Entry, Field, HfOnly
from convert.formats import StoredTensor
from convert.tensors import name_variants


def contradicts_labels(config: dict) -> bool:
    """Return whether num_labels and id2label give different numbers of labels, as in files of transformers 2."""
    return bool(config.get("id2label")) and config.get("num_labels", len(config["id2label"])) != len(config["id2label"])


def labels(config: dict, entries: Sequence[Entry] = (), count: int | None = None) -> dict:
    """Return num_labels, id2label and label2id of a configuration of either library.

    The keys of id2label are strings, as in a JSON file.

    Args:
        config: The configuration.
        entries: The table of the family and task, for the default number of labels.
        count: Number of labels if num_labels and id2label contradict each other; None for that of id2label.
    """
    if count is not None and contradicts_labels(config):
        stated = {str(key): value for key, value in config["id2label"].items()}
        id2label = {str(number): stated.get(str(number), f"LABEL_{number}") for number in range(count)}
        return {"num_labels": count, "id2label": id2label, "label2id": {value: int(key) for key, value in id2label.items()}}
    if config.get("id2label"):
        id2label = {str(key): value for key, value in config["id2label"].items()}
    else:
        default = next((entry.default for entry in entries if isinstance(entry, Field | HfOnly) and entry.hf == "num_labels"), 2)
        id2label = {str(number): f"LABEL_{number}" for number in range(config.get("num_labels", default))}
    label2id = config.get("label2id") or {value: int(key) for key, value in id2label.items()}
    return {"num_labels": len(id2label), "id2label": id2label, "label2id": label2id}


def label_count(family: Family, task: Task, sizes: dict, tensors: Mapping[str, StoredTensor]) -> int | None:
    """Return the number of labels that the classifier's tensors show, None if there are no such tensors.

    Args:
        family: The architecture.
        task: The model class.
        sizes: The complete Hugging Face configuration.
        tensors: The checkpoint's tensors.
    """
    names = {form: name for name in tensors for form in name_variants(name, family.hf_prefix)}
    for one, two in zip(*(family.pairs(task, {**sizes, "num_labels": number}) for number in (1, 2)), strict=True):
        shape = tensors[names[one.hf]].shape if one.hf in names else ()
        if one.shape != two.shape and len(shape) == len(one.shape):
            return next(rows for rows, first, second in zip(shape, one.shape, two.shape, strict=True) if first != second)
    return None
