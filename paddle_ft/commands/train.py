"""Trains a recipe, measures it, writes a report."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
from pathlib import Path

from paddle_ft.system.errors import UserError
from paddle_ft.system.runtime import import_frameworks_quietly
from paddle_ft.system.world import is_main_process, launched_processes

HELP = "trains a recipe, measures it, writes a report"


def arguments(parser: argparse.ArgumentParser) -> None:
    from paddle_ft.config.recipes import recipe_names

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        f"recipes: {', '.join(recipe_names())}\n"
        "every key with its meaning: --config NAME --print-config\n\n"
        "examples:\n  python train.py --config bart_lcsts --sample\n"
        "  python train.py --config bart_lcsts data.source=null data.train=my.tsv data.validation=dev.tsv --check"
    )
    parser.add_argument("--config", metavar="NAME", help="a recipe in configs/, or the path of a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="sets any key, e.g. train.learning_rate=3e-5")
    parser.add_argument("--sample", action="store_true", help="the recipe's sample: generated text, small model, minutes")
    parser.add_argument("--check", action="store_true", help="load all, evaluate two batches, train a step, estimate, exit")
    parser.add_argument("--resume", action="store_true", help="go on with the run in output_dir")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in output_dir")
    parser.add_argument("--devices", metavar="LIST", help="GPU numbers (0,1,2,3), a process each, or cpu:2")
    parser.add_argument("--print-config", action="store_true", help="print the resolved configuration, explained, and exit")


def run(options: argparse.Namespace) -> int:
    from paddle_ft.config.describe import describe
    from paddle_ft.config.load import load_config
    from paddle_ft.config.recipes import recipe_names
    from paddle_ft.data.load import check_local_files

    if options.config is None:
        raise UserError(f"--config is missing: name a recipe ({', '.join(recipe_names())}) or a YAML file.")
    if options.resume and options.overwrite:
        raise UserError("--resume and --overwrite exclude each other: go on with the run, or replace it.")
    config = load_config(options.config, options.overrides, options.sample)
    if options.print_config:
        print(describe(config), end="")
        return 0
    check_local_files(config.data)
    if options.devices is not None and launched_processes() == 1:
        from paddle_ft.training.distributed.launch import parse_devices

        kind, numbers = parse_devices(options.devices)
        if len(numbers) > 1:
            return _on_devices(options, config)
        config = config.model_copy(update={"device": kind})  # one device is this process's own
        os.environ["FLAGS_selected_gpus"] = numbers[0]  # noqa: SIM112 what paddle.set_device("gpu") follows
    import_frameworks_quietly()
    from paddle_ft.training import run as session
    from paddle_ft.training.distributed.launch import DEVICES
    from paddle_ft.training.signals import Interrupted

    if options.check:
        session.check(config)
        return 0
    try:
        finished = session.train(config, options.resume, options.overwrite)
    except Interrupted as stop:
        if launched_processes() > 1:  # all is saved: a launcher that sends it again must not change the exit code
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        saved = Path(config.output_dir).expanduser() / "config.yaml"
        group = f" --devices {os.environ[DEVICES]}" if DEVICES in os.environ else ""
        command = f"python train.py --config {shlex.quote(str(saved))} --resume{group}"
        what = f"go on with:\n  {command}" if saved.exists() else "the training had not begun and nothing was written"
        print(f"\nstopped by {stop}; {what}", file=sys.stderr)
        if launched_processes() > 1:
            _leave(stop.exit_code)
        return stop.exit_code
    if is_main_process():
        from paddle_ft.reporting.tables import summary

        print(summary(finished.path))
    if launched_processes() > 1:
        _leave()
    return 0


def _leave(exit_code: int = 0) -> None:
    """Ends a process of a group whose work is done, the first one last, since it holds what connects them.

    Past the interpreter's own clean-up, in which gloo's threads now and then abort.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if is_main_process():
        time.sleep(1)
    os._exit(exit_code)


def _on_devices(options: argparse.Namespace, config) -> int:
    """Checks what can be checked at once, then starts one process a device with the same arguments."""
    from paddle_ft.runs.directory import RunDirectory
    from paddle_ft.training.distributed import launch

    if options.check:
        raise UserError("--check runs in one process: leave --devices out.")
    RunDirectory.open_for_training(config.output_dir, options.resume, options.overwrite).release()
    flags = [f"--{name}" for name in ("sample", "resume", "overwrite") if getattr(options, name)]
    command = [sys.executable, "-m", "paddle_ft", "train", "--config", options.config, *flags, *options.overrides]
    return launch.run(options.devices, command, Path(config.output_dir) / "logs")
