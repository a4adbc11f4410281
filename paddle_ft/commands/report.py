"""The command `python -m paddle_ft report RUN`."""

from __future__ import annotations

import argparse

from paddle_ft.runs.directory import RunDirectory

HELP = "write a run's plots and report again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="directory of a run, e.g. runs/bart_lcsts")


def run(options: argparse.Namespace) -> int:
    from paddle_ft.reporting.page import write_report

    print(write_report(RunDirectory.open_existing(options.run).path))
    return 0
