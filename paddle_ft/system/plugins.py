"""Find tasks, data sources, metrics and architectures: ours by looking into a package, a user's own by `--import`.

A plugin is a module with a constant such as TASK or SOURCE. Ours lie in one package a kind (paddle_ft/tasks, ...), one module a
plugin. A user names modules with `--import my_module`; one such module may hold plugins of several kinds. Only the command line
names modules to import, never a configuration: a recipe from somebody else must not be able to run code.
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
    """Import a user's own modules, from the working directory or wherever Python finds modules.

    Args:
        names: dotted module names, as given with --import.

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
    """Return what the user's modules define under `constant`, in the order of their --import."""
    return [getattr(module, constant) for module in _USER_MODULES if hasattr(module, constant)]


def module_names(package: str, without: Iterable[str] = ()) -> list[str]:
    """Return the names of a package's modules and subpackages, sorted, without importing them."""
    path = importlib.import_module(package).__path__
    return sorted(module.name for module in pkgutil.iter_modules(path) if module.name not in set(without))


def plugin_names(package: str, constant: str, without: Iterable[str] = ()) -> list[str]:
    """Return the names of a package's plugins, one a module, and of the user's, which have an attribute `name`."""
    return sorted({*module_names(package, without), *(plugin.name for plugin in user_plugins(constant))})


def find_plugin(package: str, constant: str, name: str) -> Any:
    """Return the user's plugin of that name, else `constant` of the module package.name.

    A package is given by name, so that lower rooms can look up what higher rooms define without importing them.
    """
    for plugin in user_plugins(constant):
        if plugin.name == name:
            return plugin
    return getattr(importlib.import_module(f"{package}.{name}"), constant)
