"""Find families. Every module in this folder defines a tuple `FAMILIES`; there is no list of modules.

Users add families of their own without editing this folder, with a module that defines `FAMILIES` and is named with `--import`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence

from convert.errors import ConvertError
from convert.family import Family


def load_families(imports: Sequence[str] = ()) -> dict[str, Family]:
    """Return every known family by its Hugging Face model_type.

    Args:
        imports: Names of further modules that define `FAMILIES`. Their families replace ours of the same model_type.

    Raises:
        ConvertError: A module of `imports` cannot be imported or defines no families.
    """
    names = [f"{__name__}.{info.name}" for info in pkgutil.iter_modules(__path__)]
    families = [family for name in names for family in importlib.import_module(name).FAMILIES]
    families += [family for name in imports for family in _import_families(name)]
    return {family.model_type: family for family in families}


def _import_families(name: str) -> Sequence[Family]:
    """Import a user's module and return its families."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConvertError(f"--import {name}: {error}; the module must be in the current directory or on PYTHONPATH") from None
    except Exception as error:  # a user's module can raise anything
        raise ConvertError(f"--import {name}: the module cannot be imported ({type(error).__name__}: {error})") from None
    families = getattr(module, "FAMILIES", ())
    if not families or not all(isinstance(family, Family) for family in families):
        raise ConvertError(f"--import {name}: the module must define FAMILIES, a tuple of convert.family.Family")
    return families


def check_task(task: str, families: Mapping[str, Family]) -> None:
    """Raise a ConvertError if no family has this task. Whether the checkpoint's own family has it is known later."""
    names = ["auto", *dict.fromkeys(known.name for family in families.values() for known in family.tasks)]
    if task not in names:
        raise ConvertError(f"--task {task}: there is no such task; choose from: {', '.join(names)}")


def family_of(config: dict, where: str, families: Mapping[str, Family], *, paddle: bool) -> Family:
    """Return the family that a configuration belongs to.

    Args:
        config: Contents of config.json.
        where: The file, for messages.
        families: The known families by model_type.
        paddle: Whether the configuration is Paddle's.

    Raises:
        ConvertError: The model_type is missing or not supported. The message names the supported ones.
    """
    name = config.get("model_type")
    for family in families.values():
        if name == (family.paddle_type if paddle else family.model_type):
            return family
    known = ", ".join(sorted(families))
    problem = f"model_type {name!r} is not supported" if name else "no model_type, so the architecture is unknown"
    raise ConvertError(f"{where}: {problem}; supported are: {known}. Add a family of your own with --import MODULE")
