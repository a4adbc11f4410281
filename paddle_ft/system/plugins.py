"""Find plugins (tasks, data sources, metrics, architectures): those in paddle_ft, and a user's own named with `--import`.

A plugin is a constant of a module, such as TASK or SOURCE. paddle_ft has one package for each kind (paddle_ft/tasks, ...) with one
module for each plugin. A user's module may define plugins of several kinds. Modules to import are named on the command line only,
never in a recipe: a recipe from somebody else must not be able to run code. docs/extend.md shows an example of each kind.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from paddle_ft.system.errors import UserError

# What a user's module may define: constant -> what it must be, and the check that it is.
KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "TASK": (
        "a subclass of paddle_ft.tasks.base.Task with a name, the class itself",
        lambda plugin: isinstance(plugin, type) and hasattr(plugin, "name"),
    ),
    "SOURCE": (
        "an instance of a subclass of paddle_ft.data.sources.base.Source",
        lambda plugin: hasattr(plugin, "claims") and not isinstance(plugin, type),
    ),
    "READER": ("a paddle_ft.data.readers.base.Reader", lambda plugin: hasattr(plugin, "extensions")),
    "METRICS": ("a tuple of paddle_ft.metrics.registry.Metric", lambda plugin: isinstance(plugin, tuple | list)),
    "ARCHITECTURE": ("a paddle_ft.models.architectures.Architecture", lambda plugin: hasattr(plugin, "model_classes")),
    "FAMILIES": ("a tuple of convert.family.Family", lambda plugin: isinstance(plugin, tuple | list)),
}

# Filled by import_user_modules, which the command line calls once, before anything is looked up.
_USER_MODULES: list[ModuleType] = []


def import_user_modules(names: Iterable[str]) -> None:
    """Import a user's own modules, from the working directory or from anywhere that Python finds modules.

    Args:
        names: dotted module names, from --import.

    Raises:
        UserError: a module does not exist, fails while it is imported, or defines nothing that can be used.
    """
    names = list(names)
    if names and os.getcwd() not in sys.path:  # without --import, no module of the working directory must be found
        sys.path.insert(0, os.getcwd())
    for name in names:
        if name.endswith(".py") or not all(part.isidentifier() for part in name.split(".")):
            raise UserError(f"--import {name}: give a module's name and not its file, as in --import my_module.")
        try:
            module = importlib.import_module(name)
        except Exception as error:  # whatever a user's code raises
            is_missing = isinstance(error, ModuleNotFoundError) and name.startswith(error.name or name)
            hint = " Start in the folder it is in, or put that folder on PYTHONPATH." if is_missing else ""
            raise UserError(f"--import {name}: the module cannot be imported: {describe_error(error)}.{hint}") from error
        _check_plugins(name, module)
        if module not in _USER_MODULES:
            _USER_MODULES.append(module)


def _check_plugins(name: str, module: ModuleType) -> None:
    """Raise UserError if a user's module defines nothing of KINDS, or something else under one of these names."""
    defined = [constant for constant in KINDS if hasattr(module, constant)]
    if not defined:
        raise UserError(f"--import {name}: the module defines none of {', '.join(KINDS)} (docs/extend.md shows each).")
    for constant in defined:
        expected, fits = KINDS[constant]
        if not fits(getattr(module, constant)):
            raise UserError(f"--import {name}: {constant} must be {expected} (docs/extend.md shows an example).")
        if missing := _missing_methods(getattr(module, constant)):
            raise UserError(f"--import {name}: {constant} does not define {', '.join(missing)} (docs/extend.md shows an example).")


def _missing_methods(plugin: Any) -> list[str]:
    """Return the methods that a base class names in `REQUIRED` and that no class derived from it defines."""
    classes = (plugin if isinstance(plugin, type) else type(plugin)).__mro__
    required = [name for cls in classes for name in vars(cls).get("REQUIRED", ())]
    defined = {name for cls in classes if "REQUIRED" not in vars(cls) for name in vars(cls)}
    return [name for name in required if name not in defined]


def describe_error(error: Exception) -> str:
    """Return an error of a user's code in one line, with the line of their file that it comes from."""
    text = f"{type(error).__name__}: {error}"
    folders = os.path.dirname(os.path.dirname(__file__)), os.path.dirname(os.__file__)
    ours, python = (os.path.join(folder, "") for folder in folders)
    lines = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
             if not frame.filename.startswith((ours, python, "<")) and "site-packages" not in frame.filename]  # fmt: skip
    return f"{text} ({lines[-1]})" if lines else text


def import_hint(kind: str) -> str:
    """Return what to add to an error about an unknown name, since the user may have forgotten --import. kind: "a task"."""
    return f" If this is {kind} of your own, name its module: --import MODULE."


def user_plugins(constant: str) -> list[Any]:
    """Return the value of `constant` in each of the user's modules that define it, in the order of --import."""
    return [getattr(module, constant) for module in _USER_MODULES if hasattr(module, constant)]


def user_module_names(constant: str) -> list[str]:
    """Return the names of the user's modules that define `constant`, in the order of their --import."""
    return [module.__name__ for module in _USER_MODULES if hasattr(module, constant)]


def module_names(package: str, without: Iterable[str] = ()) -> list[str]:
    """Return the sorted names of a package's modules and subpackages, except `without`. They are not imported."""
    path = importlib.import_module(package).__path__
    return sorted(module.name for module in pkgutil.iter_modules(path) if module.name not in set(without))


def plugin_names(package: str, constant: str, without: Iterable[str] = ()) -> list[str]:
    """Return the sorted names of all plugins of a kind.

    Args:
        package: the package of our plugins, where each module is one plugin.
        constant: what the user's modules call a plugin of this kind, such as TASK. Its attribute `name` is its name.
        without: modules of the package that are not plugins.
    """
    return sorted({*module_names(package, without), *(plugin.name for plugin in user_plugins(constant))})


def find_plugin(package: str, constant: str, name: str) -> Any:
    """Return the user's plugin of this name, or else `constant` of the module `package`.`name`.

    `package` is a string so that lower layers can look up what higher layers define without importing them.
    """
    for plugin in user_plugins(constant):
        if plugin.name == name:
            return plugin
    return getattr(importlib.import_module(f"{package}.{name}"), constant)
