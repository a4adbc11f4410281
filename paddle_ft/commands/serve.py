"""The command `python -m paddle_ft serve RUN`."""

from __future__ import annotations

import argparse
import signal
import sys
from dataclasses import fields

from paddle_ft.serving.limits import Limits, flag

HELP = "answer the requests of other programs over HTTP"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="directory of a run, e.g. runs/bart_lcsts")
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST",
                        help="address to listen on (default: 127.0.0.1, this machine alone); any other needs a key")  # fmt: skip
    parser.add_argument("--port", type=int, default=8000, metavar="PORT", help="port to listen on (default: 8000; 0: any free one)")
    key = "clients must send Authorization: Bearer KEY (default: PADDLE_FT_API_KEY of the environment)"
    parser.add_argument("--api-key", metavar="KEY", help=key)
    limits = parser.add_argument_group("limits")
    for limit in fields(Limits):
        limits.add_argument(flag(limit.name), type=int if limit.type == "int" else float, default=limit.default, metavar="N",
                            help=f"{limit.metadata['help']} (default: {limit.default})")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    # Until the server has a handler of its own. As the first process of a container, this one would ignore the signal by default.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    limits = Limits(**{limit.name: getattr(options, limit.name) for limit in fields(Limits)})

    from paddle_ft.serving.server import Server

    server = Server(options.run, limits, options.host, options.port, options.api_key)
    print(f"serving {options.run} at {server.url}  (Ctrl-C stops it; the page with all paths is {server.url}/docs)", flush=True)
    if server.reach:
        print(server.reach, flush=True)
    print(f"limits: {limits.describe()}", flush=True)
    return server.run()
