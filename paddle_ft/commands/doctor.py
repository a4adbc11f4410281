"""Checks this machine and installation."""

from __future__ import annotations

import argparse

HELP = "checks this machine and installation"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def run(options: argparse.Namespace) -> int:
    from paddle_ft.system import doctor

    return doctor.run(as_json=options.json)
