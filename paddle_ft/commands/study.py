"""The command `python -m paddle_ft study NAME`."""

from __future__ import annotations

import argparse
import functools
import shlex
from typing import TYPE_CHECKING

from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import counted

if TYPE_CHECKING:
    from paddle_ft.experiments.study_plan import StudyPlan

HELP = "train the runs that answer a question, and show them on one page"
EPILOG = """\
studies: {studies}

The runs are written to runs/study_NAME (or to the output_dir that you set), and report.html, study.md and results.json of all of
them next to them. If the command is stopped or killed, run it again: it continues, and finished runs are kept.

examples:
  {program} domain_adaptation --sample
  {program} domain_adaptation --print
  {program} size data.source=null data.train=my.tsv data.validation=dev.tsv --seeds 3 --devices 0,1
  {program} ./mine.yaml"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from paddle_ft.config.recipes import study_names

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG.format(program=parser.prog, studies=", ".join(study_names()))
    parser.add_argument("study", nargs="?", metavar="NAME", help="name of a study, or the path of a YAML file")
    parser.add_argument(
        "overrides", nargs="*", metavar="section.key=value",
        help="set any key in all runs, or in those of a stage with STAGE.section.key=value",
    )  # fmt: skip
    parser.add_argument("--list", action="store_true", help="list the studies, and exit")
    parser.add_argument("--print", action="store_true", help="print the runs with their commands, and exit")
    parser.add_argument("--seeds", type=int, metavar="N", help="number of seeds, instead of the study's own")
    parser.add_argument("--sample", action="store_true", help="a small version with the samples of the recipes, in minutes")
    parser.add_argument("--devices", metavar="LIST", help="train a run on each of these at a time: GPU numbers (0,1), or cpu:2")


def run(options: argparse.Namespace) -> int:
    from paddle_ft.config.recipes import study_names
    from paddle_ft.experiments.study_file import read_study
    from paddle_ft.experiments.study_plan import make_plan

    if options.list:
        for name in study_names():
            study = read_study(name).study
            print(f"{name:<20} {study.title}\n{'':<20} {study.question}")
        return 0
    if options.study is None:
        raise UserError(f"name a study ({', '.join(study_names())}) or a YAML file; --list describes them.")
    if options.seeds is not None and options.seeds < 1:
        raise UserError(f"--seeds {options.seeds}: it must be at least 1.")
    if "=" in options.study:
        raise UserError(f"{options.study}: name the study before its settings: {', '.join(study_names())}, or a YAML file.")
    file = read_study(options.study, options.sample)
    plan = make_plan(file, options.overrides, options.seeds, _own_command(options))
    if options.print:
        _print_plan(plan)
        return 0
    return _train(plan, options)


def _train(plan: StudyPlan, options: argparse.Namespace) -> int:
    from paddle_ft.data.load import check_local_files
    from paddle_ft.experiments import study
    from paddle_ft.experiments.command_line import train_many
    from paddle_ft.tasks import find_task

    for config in [run.config for run in plan.runs if run.seed == plan.seeds[0]]:
        check_local_files(config.data, find_task(config.task.name).file_source)
    exit_code = train_many(options, functools.partial(study.run_study, plan), functools.partial(study.run_study_in_parallel, plan))
    if not exit_code:
        print(f"\nreport   {plan.folder / 'report.html'}")
    return exit_code


def _print_plan(plan: StudyPlan) -> None:
    """Print the runs in their order, with the command that trains each alone."""
    print(f"{plan.file.name}: {counted(len(plan.runs), 'runs')} in {plan.folder}, seeds {', '.join(map(str, plan.seeds))}")
    for number, one in enumerate(plan.runs, start=1):
        print(f"\n{number}. {one.label}\n{one.command(plan.file.sample)}")


def _own_command(options: argparse.Namespace) -> str:
    """Return the command of the study, without the devices and what does not belong to it."""
    imports = [f"--import={module}" for module in options.imports]
    flags = [*(["--sample"] if options.sample else []), *([f"--seeds={options.seeds}"] if options.seeds else [])]
    return shlex.join(["python", "-m", "paddle_ft", "study", options.study, *flags, *imports, *options.overrides])
