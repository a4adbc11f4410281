"""The command `python train.py --config NAME`, which is also `python -m paddle_ft train --config NAME`."""

from __future__ import annotations

import argparse
import sys

from paddle_ft.system.errors import UserError
from paddle_ft.system.runtime import import_frameworks_quietly
from paddle_ft.system.world import launched_processes

HELP = "train a recipe, evaluate the model and write a report"
EPILOG = """\
recipes: {recipes}
all keys with their descriptions: --config NAME --print-config

examples:
  {program} --config bart_lcsts --sample
  {program} --config bart_lcsts data.source=null data.train=my.tsv data.validation=dev.tsv --check"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from paddle_ft.config.recipes import recipe_names

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG.format(program=parser.prog, recipes=", ".join(recipe_names()))
    parser.add_argument("--config", metavar="NAME", help="name of a recipe, or the path of a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="set any key, e.g. train.learning_rate=3e-5")
    parser.add_argument("--sample", action="store_true", help="use the recipe's sample: generated text, small model, a few minutes")
    parser.add_argument(
        "--check", action="store_true",
        help="load everything, evaluate two batches, train two steps, estimate time and memory, and exit",
    )  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="continue the run in output_dir")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in output_dir")
    parser.add_argument("--devices", metavar="LIST", help="GPU numbers (0,1,2,3) for one process each, or cpu:2 for two on the CPU")
    parser.add_argument("--print-config", action="store_true", help="print the complete configuration with descriptions, and exit")


def run(options: argparse.Namespace) -> int:
    from paddle_ft.config.describe import describe
    from paddle_ft.config.load import load_config
    from paddle_ft.config.recipes import recipe_names
    from paddle_ft.config.sample import describe_replaced
    from paddle_ft.system.progress import print_info

    if options.config is None:
        raise UserError(f"--config is missing: name a recipe ({', '.join(recipe_names())}) or a YAML file.")
    if options.resume and options.overwrite:
        raise UserError("--resume and --overwrite exclude each other: continue the run, or replace it.")
    config = load_config(options.config, options.overrides, options.sample)
    if options.sample and (replaced := describe_replaced(options.config, options.overrides)):
        print_info(replaced)
    if options.print_config:
        print(describe(config), end="")
        return 0
    from paddle_ft.data.load import check_local_files
    from paddle_ft.runs.directory import RunDirectory
    from paddle_ft.runs.settings import describe_finished, is_finished, refuse_early
    from paddle_ft.tasks import find_task
    from paddle_ft.training.distributed import worker
    from paddle_ft.training.distributed.launch import parse_devices

    if not options.check and launched_processes() == 1:  # of several processes, the first one creates the directory
        refuse_early(config, options.resume, options.overwrite)
        if options.resume and is_finished(config, run := RunDirectory(config.output_dir)):
            print_info(describe_finished(config, run))
            return 0
    check_local_files(config.data, find_task(config.task.name).file_source)
    if options.devices is not None and launched_processes() == 1:
        kind, numbers = parse_devices(options.devices)
        if len(numbers) > 1:
            if options.check:
                raise UserError("--check runs in a single process: leave --devices out.")
            return worker.start_workers(config, options.devices, _worker_command(options), options.resume, options.overwrite)
        config = worker.use_one_device(config, kind, numbers[0])
    import_frameworks_quietly()
    from paddle_ft.training.run import check, run_training

    if options.check:
        check(config)
        return 0
    return run_training(config, options.resume, options.overwrite, options.imports)


def _worker_command(options: argparse.Namespace) -> list[str]:
    """Return the command of a single worker process: the user's command without --devices."""
    flags = [f"--{name}" for name in ("sample", "resume", "overwrite") if getattr(options, name)]
    imports = [f"--import={module}" for module in options.imports]
    return [sys.executable, "-m", "paddle_ft", "train", "--config", options.config, *flags, *imports, *options.overrides]
