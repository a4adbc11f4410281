"""Find plugins (tasks, data sources, metrics, architectures): those in paddle_ft, and a user's own named with `--import`.

A plugin is a constant of a module, such as TASK or SOURCE. paddle_ft has one package for each kind (paddle_ft/tasks, ...) with one
module for each plugin. A user's module may define plugins of several kinds. Modules to import are named on the command line only,
never in a recipe: a recipe from somebody else must not be able to run code.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from paddle_ft.system.errors import UserError

# Filled by import_user_modules, which the command line calls once, before anything is looked up.
_USER_MODULES: list[ModuleType] = []


def import_user_modules(names: Iterable[str]) -> None:
    """Import a user's own modules, from the working directory or from anywhere that Python finds modules.

    Args:
        names: dotted module names, from --import.

    Raises:
        UserError: a module does not exist or fails while it is imported.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    for name in names:
        try:
            module = importlib.import_module(name)
        except Exception as error:  # whatever a user's code raises
            reason = f"{type(error).__name__}: {error}"
            raise UserError(f"--import {name}: the module cannot be imported: {reason}. Give its name without .py.") from error
        if module not in _USER_MODULES:
            _USER_MODULES.append(module)


def user_plugins(constant: str) -> list[Any]:
    """Return the value of `constant` in each of the user's modules that define it, in the order of --import."""
    return [getattr(module, constant) for module in _USER_MODULES if hasattr(module, constant)]


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
