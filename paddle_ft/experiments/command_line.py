"""What the commands that train many runs have in common."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paddle_ft.training.signals import Interrupted

InProcess = Callable[[Callable, Callable], str]
"""Train one run after the other, called with what trains a run and what refuses other settings. Return the tables."""

InParallel = Callable[[str, Sequence[str], Callable], str]
"""Train a run on each device at a time, called with the devices, the command and what refuses other settings."""


def train_many(options: argparse.Namespace, in_process: InProcess, in_parallel: InParallel) -> int:
    """Train the runs as --devices says, and print their tables. Return 0, or the exit code of an interruption."""
    from paddle_ft.runs.settings import refuse_other_config
    from paddle_ft.system.runtime import import_frameworks_quietly
    from paddle_ft.training.distributed.launch import check_devices
    from paddle_ft.training.signals import Interrupted

    refuse = functools.partial(refuse_other_config, is_one_of_many=True)
    try:
        if options.devices:
            check_devices(options.devices)
            print(in_parallel(options.devices, _train_command(options), refuse))
        else:
            import_frameworks_quietly()
            from paddle_ft.training.run import train

            print(in_process(train, refuse))
    except Interrupted as stop:
        return stopped(stop)
    return 0


def stopped(stop: Interrupted) -> int:
    """Print that the command can go on after an interruption, and return its exit code."""
    print(f"\nstopped by {stop}; the same command continues from here", file=sys.stderr)
    return stop.exit_code


def _train_command(options: argparse.Namespace) -> list[str]:
    """Return the command that trains a run, without its recipe, settings and device."""
    imports = [f"--import={module}" for module in options.imports]
    return [sys.executable, "-m", "paddle_ft", "train", *(["--sample"] if options.sample else []), *imports]
