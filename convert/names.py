"""Work on the names of the tensors in a file: find a prefix too many, and choose tensors by patterns."""

from __future__ import annotations

import fnmatch
import glob
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from convert.errors import ConvertError
from convert.family import Family
from convert.formats import StoredTensor
from convert.tensors import modern_name


def known_names(family: Family, sizes: dict) -> set[str]:
    """Return all names that a family's tensors can have in a file: those of the base model with and without its prefix.

    Args:
        family: The architecture.
        sizes: A complete Hugging Face configuration.
    """
    known: set[str] = set()
    for task in family.tasks:
        for pair in family.pairs(task, sizes):
            known.update(pair.hf_names)
            if pair.group != task.head_group:
                known.update(name.removeprefix(family.hf_prefix) for name in pair.hf_names)
    return known


def superfluous_prefix(names: Collection[str], list_known: Callable[[], Collection[str]]) -> str:
    """Return the prefix that a wrapper around the model has put before all names, such as "module." or "_orig_mod."; usually "".

    Args:
        names: The names in the file.
        list_known: Returns the names that the family's tensors can have. Called only if all names begin alike.
    """
    columns = zip(*(name.split(".")[:-1] for name in names), strict=False)  # the parts between dots of all names
    common = [parts[0] for parts in itertools.takewhile(lambda parts: len(set(parts)) == 1, columns)]
    if not common:
        return ""
    known = list_known()
    fronts = ["".join(f"{part}." for part in common[:count]) for count in range(len(common) + 1)]
    return max(fronts, key=lambda front: sum(modern_name(name.removeprefix(front)) in known for name in names))


def without_prefix(tensors: Mapping[str, StoredTensor], prefix: str) -> dict[str, StoredTensor]:
    """Return the tensors with a prefix taken off their names."""
    return {name.removeprefix(prefix): replace(tensor, name=name.removeprefix(prefix)) for name, tensor in tensors.items()}


def names_to_drop(names: Iterable[str], wanted: Collection[str], patterns: Sequence[str], class_name: str) -> dict[str, str]:
    """Return name -> pattern for the tensors that the user leaves out.

    Args:
        names: The names in the file.
        wanted: Those that the class has a place for.
        patterns: What `--drop` says.
        class_name: The class, for messages.

    Raises:
        ConvertError: A pattern matches nothing, or a tensor that the class needs.
    """
    dropped: dict[str, str] = {}
    for pattern in patterns:
        matched = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
        needed = [name for name in matched if name in wanted]
        if not matched:
            raise ConvertError(f"--drop '{pattern}': no tensor of the checkpoint has such a name")
        if needed:
            more = f" and {len(needed) - 1} more" if len(needed) > 1 else ""
            raise ConvertError(f"--drop '{pattern}': {class_name} needs {needed[0]}{more}; name only what it has no place for")
        dropped.update(dict.fromkeys(matched, pattern))
    return dropped


def patterns_of(names: Sequence[str], others: Collection[str]) -> list[str]:
    """Return patterns that match these names and none of the others, as few and as short as parts between dots allow."""
    patterns: list[str] = []
    for name in names:
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            continue
        parts = name.split(".")
        fronts = [".".join(parts[:count]) + "." for count in range(1, len(parts))]
        front = next((front for front in fronts if not any(other.startswith(front) for other in others)), None)
        patterns.append(f"{glob.escape(front)}*" if front else glob.escape(name))
    return patterns
