"""Writes a run's plots and report anew."""

from __future__ import annotations

import argparse

from paddle_ft.runs.directory import RunDirectory

HELP = "writes a run's plots and report anew"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's directory, e.g. runs/bart_lcsts")


def run(options: argparse.Namespace) -> int:
    from paddle_ft.reporting.page import write_report

    print(write_report(RunDirectory.open_existing(options.run).path))
    return 0
