"""Find out the family of a Hugging Face checkpoint, also of an old one whose config.json does not name it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

from convert.config import complete
from convert.config_checks import check_types
from convert.errors import ConvertError
from convert.families import family_of
from convert.family import Family
from convert.names import known_names, superfluous_prefix
from convert.tensors import modern_name


def hf_family(
    config: dict,
    where: str,
    families: Mapping[str, Family],
    read_names: Callable[[], Collection[str]],
    model_type: str | None = None,
) -> tuple[Family, str]:
    """Return the family of a Hugging Face checkpoint.

    config.json names it since transformers 2.6. Before that, the class tells it, and otherwise the tensors' names do.

    Args:
        config: Contents of config.json.
        where: The file, for messages.
        families: The known families by model_type.
        read_names: Returns the names of the checkpoint's tensors. Called only if they are needed.
        model_type: The family according to the user; None leaves it to the files.

    Returns:
        The family, and a note for the user about how it was found; "" if config.json names it.

    Raises:
        ConvertError: The family is not supported, or the files do not tell it. The message names those that are possible.
    """
    stated = config.get("model_type")
    if model_type is not None:
        family = family_of({"model_type": model_type}, "--model-type", families, paddle=False)
        if stated and stated != model_type:
            raise ConvertError(f"--model-type {model_type}: {where} says {stated!r}, and that decides")
        return family, "" if stated else f"config.json has no model_type; --model-type says {model_type}"
    if stated:
        return family_of(config, where, families, paddle=False), ""
    architectures = config.get("architectures")
    class_name = str(architectures[0]) if isinstance(architectures, list) and architectures else ""
    of_class = [family for family in families.values() if family.task_of_class(class_name, paddle=False)]
    if len(of_class) == 1:
        return of_class[0], f"config.json has no model_type; its class {class_name} is {of_class[0].model_type}'s"
    fitting = _families_of_names(config, of_class or list(families.values()), read_names())
    if len(fitting) == 1:
        return fitting[0], f"config.json has no model_type; the tensors' names are {fitting[0].model_type}'s"
    known = [family.model_type for family in fitting] or sorted(families)
    found = f"the tensors' names fit {', '.join(known)}" if fitting else f"the tensors' names fit none of {', '.join(known)}"
    flags = f"--model-type {known[0] if fitting else 'NAME'}"
    raise ConvertError(f"{where}: no model_type, so the architecture is unknown, and {found}; name it with {flags}", flags)


def _families_of_names(config: dict, candidates: Collection[Family], names: Collection[str]) -> list[Family]:
    """Return the families whose base model is complete in the file. Of several, return those that do not know the fewest names."""
    counts = [(count, family) for family in candidates if (count := _count_unknown(config, family, names)) is not None]
    fewest = min((count for count, _ in counts), default=0)
    return [family for count, family in counts if count == fewest]


def _count_unknown(config: dict, family: Family, names: Collection[str]) -> int | None:
    """Return how many names a family does not know, None if its base model is not complete in the file."""
    base = family.base_task
    try:
        check_types(config, family.entries(base), "")
    except ConvertError:  # values that this family's fields cannot have
        return None
    sizes = complete(config, family.entries(base))
    needed = [pair for pair in family.pairs(base, sizes) if not (pair.optional or pair.paddle_only or pair.group)]
    if len(needed) > len(names):
        return None
    prefix = superfluous_prefix(names, partial(known_names, family, sizes))
    present = {modern_name(name.removeprefix(prefix)) for name in names}
    for pair in needed:
        forms = [form for name in pair.hf_names for form in (name, family.hf_prefix + name, name.removeprefix(family.hf_prefix))]
        if not any(form in present for form in forms):
            return None
    return len(present - known_names(family, sizes))
