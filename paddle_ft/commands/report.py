"""Writes a run's plots and report anew."""

from __future__ import annotations

import argparse
from pathlib import Path

from paddle_ft.errors import UserError

HELP = "writes a run's plots and report anew"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's directory, e.g. runs/bart_lcsts")


def run(options: argparse.Namespace) -> int:
    from paddle_ft.report import write_report

    path = Path(options.run)
    if not (path / "config.yaml").is_file():
        raise UserError(f"{path}: this is not a run's directory (no config.yaml in it).")
    print(write_report(path))
    return 0
