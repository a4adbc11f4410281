"""The command `python -m paddle_ft report RUN`."""

from __future__ import annotations

import argparse

HELP = "write a run's plots and report again, and its model card if it has none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="directory of a run, e.g. runs/bart_lcsts")


def run(options: argparse.Namespace) -> int:
    from paddle_ft.reporting import card
    from paddle_ft.reporting.page import write_report
    from paddle_ft.runs.directory import RunDirectory

    path = RunDirectory.open_existing(options.run).path
    print(write_report(path))
    if (path / "best").is_dir() and not (path / "best" / card.NAME).exists():  # one that is there may have been edited
        print(card.write_card(path))
    return 0
