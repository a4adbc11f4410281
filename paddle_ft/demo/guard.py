"""Answer requests that the page itself never sends, such as another number of values or an unknown address, in one line each.

gradio would answer them with an empty error, and print a traceback for each on the console of the server.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import gradio as gr

from convert import terminal

UPLOADS = "/gradio_api/upload"  # gradio takes files from everybody, also where no page asks for one
NOT_OURS = "The server does not understand this request. {url} lists the functions of the page and their values."
NO_UPLOADS = "This page takes no files."
LARGEST_BODY = 2_000_000  # bytes of a request: more than the longest texts of a page, with every character escaped
TOO_LARGE = f"The request is too large: at most {LARGEST_BODY} bytes are read."


def explain_wrong_calls(blocks: gr.Blocks) -> None:
    """Give a caller of the page's functions a message for every error outside of them, such as a missing value.

    Args:
        blocks: the page, before it is served.
    """
    process = blocks.process_api

    async def process_api(*arguments: Any, **options: Any) -> dict[str, Any]:
        try:
            return await process(*arguments, **options)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            _report("a call", error)
            raise gr.Error(NOT_OURS.format(url="/gradio_api/info"), print_exception=False) from None

    blocks.process_api = process_api  # type: ignore[method-assign]


class StrangeRequests:
    """ASGI middleware that refuses uploads and huge requests, and answers what gradio fails at with status 400."""

    def __init__(self, app: Any):
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"].rstrip("/").endswith(UPLOADS):
            await _answer(send, 404, NO_UPLOADS)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            await _answer(send, 413, TOO_LARGE)
            return
        size, started, complete = 0, False, False

        async def count() -> dict[str, Any]:
            nonlocal size
            message: dict[str, Any] = await receive()
            size += len(message.get("body", b""))
            if size > LARGEST_BODY:
                raise ValueError(TOO_LARGE)  # gradio answers with status 400
            return message

        async def watch(message: dict[str, Any]) -> None:
            nonlocal started, complete
            started = started or message["type"] == "http.response.start"
            complete = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        try:
            await self.app(scope, count, watch)
        except Exception as error:
            _report(f"{scope['method']} {scope['path']}", error)
            if not started:
                await _answer(send, 400, NOT_OURS.format(url="/gradio_api/info"))
            elif not complete:
                await send({"type": "http.response.body", "body": b""})


async def _answer(send: Any, status: int, message: str) -> None:
    body = json.dumps({"error": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _report(what: str, error: Exception) -> None:
    """Print one line on the console of the server."""
    text = terminal.message(" ".join(str(error).split()))[:200]
    print(f"demo: {what!r} is not understood: {type(error).__name__}: {text}", file=sys.stderr, flush=True)
