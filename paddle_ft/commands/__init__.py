"""The commands of `python -m paddle_ft`. Each module in this folder is one command.

A command defines
    HELP                         its line in the help, which starts with a verb
    add_arguments(parser)        adds its flags to the parser
    run(options) -> int          does the work by calling other packages, and returns the exit code

A command with a hyphen (fill-mask) has an underscore in its module's name. The modules import paddle only inside functions.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from paddle_ft.system.plugins import module_names


def command_names() -> list[str]:
    """Return the names of all commands, sorted."""
    return [name.replace("_", "-") for name in module_names(__name__)]


def find_command(name: str) -> ModuleType:
    """Return the module of a command."""
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
