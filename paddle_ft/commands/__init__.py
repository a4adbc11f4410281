"""The commands of `python -m paddle_ft`: one module each, found by looking at this folder.

A module defines
    HELP                         one line
    arguments(parser)            adds its flags
    run(options) -> int          does the work, returns the exit code
A name with a hyphen on the command line (fill-mask) has an underscore here. Nothing heavy is imported at module level.
"""

from __future__ import annotations

import importlib
import pkgutil


def command_names() -> list[str]:
    return [module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)]


def find_command(name: str):
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
