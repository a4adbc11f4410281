"""The command `python -m paddle_ft doctor`."""

from __future__ import annotations

import argparse

HELP = "check this machine and the installation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(options: argparse.Namespace) -> int:
    from paddle_ft.system import doctor

    return doctor.run(as_json=options.json)
