"""Start the demo page: load the runs, lay out the page, and serve it until it is stopped."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paddle_ft.demo.page import DemoPage, LoadedRun
from paddle_ft.demo.pages import make_page
from paddle_ft.demo.worker import Worker
from paddle_ft.reporting.records import read_run
from paddle_ft.runs.inference import open_run
from paddle_ft.system.errors import UserError
from paddle_ft.system.listening import describe_reach, listen, url_of
from paddle_ft.system.progress import print_info

GRADIO = "gradio>=6.17,<7"  # the extra [demo] of pyproject.toml
HOST, PORT = "127.0.0.1", 7860
LONGEST_QUEUE = 64  # visitors who wait at once
FONTS = ("system-ui", "-apple-system", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif")


class DemoServer:
    """A demo page that is being served, as a context manager.

    Attributes:
        url: its address.
        reach: a line that says that other machines reach it too, or "".
    """

    def __init__(self, paths: Sequence[str], host: str | None = None, port: int | None = None, language: str | None = None):
        """Load the runs and start to serve.

        Args:
            paths: directories of runs.
            host: the address to listen on; None: GRADIO_SERVER_NAME, or this machine alone.
            port: the port; None: GRADIO_SERVER_PORT, or 7860; 0: any free port.
            language: a key of LANGUAGES; None: each visitor's own.

        Raises:
            UserError: gradio is not installed, a run cannot be loaded, or the port is taken.
        """
        if importlib.util.find_spec("gradio") is None:
            raise UserError(f"demo: this needs gradio, which is missing in {sys.executable}. Install it:\n  pip install '{GRADIO}'")
        host = host or os.environ.get("GRADIO_SERVER_NAME") or HOST
        port = _free_port(host, _environment_port() if port is None else port)
        self.reach = describe_reach(host, port)
        self._worker = Worker()
        try:
            names = list(dict.fromkeys(paths))
            pages = []
            for number, path in enumerate(names, 1):
                print_info(f"loading {path}" + (f" ({number} of {len(names)})" if len(names) > 1 else ""))
                pages.append(self._worker.call(load_page, path))
            print_info("starting the page")
            self.url = self._launch(pages, host, port, language)
        except BaseException:
            self._worker.close()
            raise

    def _launch(self, pages: list[DemoPage], host: str, port: int, language: str | None) -> str:
        _stay_offline(host)
        import gradio as gr
        from starlette.middleware import Middleware

        from paddle_ft.demo.app import DemoApp, group_pages
        from paddle_ft.demo.guard import StrangeRequests, explain_wrong_calls

        app = DemoApp(group_pages(pages), self._worker, language)
        self._blocks = app.build()
        explain_wrong_calls(self._blocks)
        self._blocks.queue(max_size=LONGEST_QUEUE, default_concurrency_limit=None)
        self._blocks.launch(
            server_name=host, server_port=port, theme=gr.themes.Default(font=FONTS, font_mono=("ui-monospace", "monospace")),
            css=(Path(__file__).parent / "page.css").read_text(encoding="utf-8"), share=False, ssr_mode=False, quiet=True,
            prevent_thread_lock=True, show_error=False, footer_links=[], inbrowser=False,
            app_kwargs={"middleware": [Middleware(StrangeRequests)]},
        )  # fmt: skip
        return url_of(host, port)

    def wait(self) -> None:
        """Serve until Ctrl-C."""
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print_info("\nstopped")

    def __enter__(self) -> DemoServer:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._blocks.close(verbose=False)
        self._worker.close()


def load_page(path: str) -> DemoPage:
    """Return the page of the run in a directory, with its model.

    Raises:
        UserError: there is no run, or it has no model.
    """
    task, record = open_run(path), read_run(path)
    predictions = record.predictions.get("test") or record.predictions.get("validation") or []
    return make_page(LoadedRun(path, task, record.results, predictions))


def _environment_port() -> int:
    text = os.environ.get("GRADIO_SERVER_PORT") or str(PORT)
    if not text.isdecimal():
        raise UserError(f"GRADIO_SERVER_PORT={text}: this environment variable must be the number of a port.")
    return int(text)


def _free_port(host: str, port: int) -> int:
    """Return the port, or any free one for 0. Raise UserError if nothing can listen there."""
    with listen("demo", host, port) as listener:
        return int(listener.getsockname()[1])


def _stay_offline(host: str) -> None:
    """Switch off what gradio sends to others and prints, and keep its check of this very server away from a proxy."""
    warnings.filterwarnings("ignore", message="'HTTP_422_UNPROCESSABLE_ENTITY' is deprecated")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # PaddleNLP makes the loggers of all libraries print
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost", host]))
