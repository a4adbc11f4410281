"""The command `python -m paddle_ft sweep --config NAME`."""

from __future__ import annotations

import argparse
import sys

from paddle_ft.system.errors import UserError

HELP = "train a recipe with many settings, choose by validation, and score the winner once on test"
EPILOG = """\
A list of values makes a grid: all combinations are trained. Ranges are searched: log(1e-5,1e-3), uniform(0,0.3) and int(1,4).
Trials are not scored on test. The settings of the best one are trained again with another seed, and that run is scored on test.

Every trial is written to runs/NAME_sweep/trial-N (or to trial-N in the output_dir that you set), and report.html, sweep.md and
results.json of all of them next to them. If the command is stopped or killed, run it again: it continues, and trials that have
ended are kept.

examples:
  {program} --config distilbert_sst2 train.learning_rate=1e-5,2e-5,5e-5 train.train_batch_size=16,32
  {program} --config distilbert_sst2 "train.learning_rate=log(1e-5,1e-3)" "train.weight_decay=uniform(0,0.1)" \\
      --trials 20 --prune --devices 0,1"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG.format(program=parser.prog)
    parser.add_argument("--config", metavar="NAME", required=True, help="name of a recipe, or the path of a YAML file")
    parser.add_argument(
        "overrides", nargs="*", metavar="section.key=value,value",
        help="a setting with several values or a range; with one value, it is set in all trials",
    )  # fmt: skip
    parser.add_argument("--trials", type=int, metavar="N", help="how many trials a search has, if there are ranges")
    parser.add_argument(
        "--prune", action="store_true",
        help="stop trials that fall behind at an evaluation: below the median in a search, by successive halving in a grid",
    )  # fmt: skip
    parser.add_argument("--max-trials", type=int, default=30, metavar="N", help="the most combinations of a grid (default: 30)")
    parser.add_argument(
        "--without-failed",
        action="store_true",
        help="choose among the other trials, if some have failed, instead of trying them again",
    )
    parser.add_argument("--sample", action="store_true", help="use the recipe's sample: generated text, small model, a few minutes")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--devices", metavar="LIST", help="train a trial on each of these at a time: GPU numbers (0,1), or cpu:2")
    parser.add_argument("--trial", type=int, help=argparse.SUPPRESS)  # how --devices starts a process for one trial


def run(options: argparse.Namespace) -> int:
    if options.max_trials < 2:
        raise UserError(f"--max-trials {options.max_trials}: it must be at least 2.")
    from paddle_ft.config.load import load_config
    from paddle_ft.config.sample import describe_replaced
    from paddle_ft.data.load import check_local_files
    from paddle_ft.experiments.sweep_plan import make_plan
    from paddle_ft.system.progress import print_info
    from paddle_ft.tasks import find_task
    from paddle_ft.training.distributed.launch import check_devices

    plan = make_plan(
        lambda overrides: load_config(options.config, overrides, options.sample), options.overrides, options.trials, options.prune,
        options.max_trials,
    )  # fmt: skip
    devices = check_devices(options.devices) if options.devices else None
    if options.trial is not None:
        return _run_trial(plan, options.trial, devices)
    if options.sample and (replaced := describe_replaced(options.config, plan.space.fixed)):
        print_info(replaced)
    check_local_files(plan.base.data, find_task(plan.base.task.name).file_source)
    from paddle_ft.experiments.command_line import stopped
    from paddle_ft.experiments.sweep import Sweep
    from paddle_ft.training.signals import Interrupted

    sweep = Sweep(plan, options.without_failed)
    try:
        if not sweep.is_done():
            _train(sweep, options, devices)
        text = sweep.write()
        print(sweep.markdown() if options.markdown else f"{text}\n\nreport   {plan.folder / 'report.html'}")
    except Interrupted as stop:
        return stopped(stop)
    return 0


def _train(sweep, options: argparse.Namespace, devices: tuple[str, list[str]] | None) -> None:
    """Train all trials and the winner."""
    if devices is not None:
        sweep.train_in_parallel(options.devices, _command(options))
    else:
        sweep.train_all(_trainer(None))
    sweep.choose()  # refuses failed trials before Paddle is imported
    sweep.train_winner(_trainer(devices))


def _trainer(devices: tuple[str, list[str]] | None):
    """Return what trains a run in this process, on the first of the devices."""
    from paddle_ft.system.runtime import import_frameworks_quietly
    from paddle_ft.training.distributed.worker import use_one_device

    def train(config, resume, stop_rule):
        import_frameworks_quietly()
        from paddle_ft.training import run

        config = use_one_device(config, devices[0], devices[1][0]) if devices else config
        return run.train(config, resume, stop_rule=stop_rule)

    return train


def _run_trial(plan, number: int, devices: tuple[str, list[str]] | None) -> int:
    """Train one trial of a sweep that another process has started."""
    from paddle_ft.experiments.sweep import run_trial
    from paddle_ft.experiments.sweep_study import open_trials
    from paddle_ft.training.signals import Interrupted

    plan.restore()
    try:
        run_trial(plan, open_trials(plan, owner=False), number, _trainer(devices))
    except Interrupted as stop:
        return stop.exit_code
    return 0


def _command(options: argparse.Namespace) -> list[str]:
    """Return the command of this sweep without --devices."""
    flags = [f"--{name.replace('_', '-')}" for name in ("sample", "prune") if getattr(options, name)]
    flags += [f"--trials={options.trials}"] if options.trials is not None else []
    flags += [f"--max-trials={options.max_trials}", *(f"--import={module}" for module in options.imports)]
    return [sys.executable, "-m", "paddle_ft", "sweep", "--config", options.config, *options.overrides, *flags]
