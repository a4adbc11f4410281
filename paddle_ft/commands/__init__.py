"""The commands of `python -m paddle_ft`: one module each, found by looking at this folder.

A module defines
    HELP                         one line that starts with a verb
    add_arguments(parser)        adds its flags
    run(options) -> int          calls the room that does the work, returns the exit code
A name with a hyphen on the command line (fill-mask) has an underscore here. Nothing heavy is imported at module level.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def command_names() -> list[str]:
    """Return the names of all commands, sorted."""
    return [module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)]


def find_command(name: str) -> ModuleType:
    """Return the module of a command."""
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
