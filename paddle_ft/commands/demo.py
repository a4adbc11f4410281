"""The command `python -m paddle_ft demo RUN ...`."""

from __future__ import annotations

import argparse

HELP = "try runs out in a browser, on a page for each task"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="directories of runs; those of one task are compared side by side")
    parser.add_argument("--host", metavar="HOST", help="address to listen on (default: 127.0.0.1, this machine alone)")
    parser.add_argument("--port", type=int, metavar="PORT", help="port to listen on (default: 7860; 0: any free port)")
    parser.add_argument("--lang", choices=["zh", "en"], help="language of the page (default: that of each visitor's browser)")


def run(options: argparse.Namespace) -> int:
    from paddle_ft.demo.server import DemoServer

    with DemoServer(options.runs, options.host, options.port, options.lang) as server:
        print(f"the page is at {server.url}  (Ctrl-C stops it)", flush=True)
        if server.reach:
            print(f"{server.reach}, without a password", flush=True)
        server.wait()
    return 0
