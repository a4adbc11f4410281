"""Wait for the worker's answer to a request: at once, or piece by piece as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from paddle_ft.serving.batching import Job
from paddle_ft.serving.errors import ApiError, as_api_error
from paddle_ft.system.files import to_json

STATUS = "counted_status"  # in a request's state: the status that /metrics counts, if the answer began with another or with none
CLIENT_GONE = 499  # nginx's status for a client that left before its answer; nobody reads it, /metrics counts it
KEEP_ALIVE = 15.0  # seconds without a piece after which a comment is sent, so that proxies keep the connection


class ClientGone(Exception):
    """The client has closed the connection."""


class Answer:
    """What the worker sends for one request, received in the event loop."""

    def __init__(self, request: Request):
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def send(self, kind: str, value: Any) -> None:
        """Pass on an event. This is called in the worker's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed if the server had to stop before the answer was ready
            self._loop.call_soon_threadsafe(self._events.put_nowait, (kind, value))

    async def next(self, job: Job, patience: float | None = None) -> tuple[str, Any]:
        """Return the next event, or ("nothing", None) after `patience` seconds.

        Raises:
            ApiError: the job's time is over, or the computation failed.
            ClientGone: the client has closed the connection.
        """
        left = max(0.0, job.deadline - time.monotonic())
        event = asyncio.ensure_future(self._events.get())
        gone = asyncio.ensure_future(self._wait_until_gone())
        try:
            await asyncio.wait({event, gone}, timeout=left if patience is None else min(left, patience),
                               return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
            if event.done():
                kind, value = event.result()
                if kind == "error":
                    raise as_api_error(value)
                return kind, value
            if gone.done():
                raise ClientGone
        finally:
            event.cancel()
            gone.cancel()
        if job.deadline <= time.monotonic():
            raise ApiError(504, "timeout", "The answer took longer than the server allows, and was given up.",
                           "Send fewer or shorter texts, or try again when less is going on. The server's limit is --timeout."
                           )  # fmt: skip
        return "nothing", None

    async def _wait_until_gone(self) -> None:
        """Return when the client has closed the connection. The request's body must have been read."""
        while (await self._request.receive())["type"] != "http.disconnect":
            pass


class JsonResponse(Response):
    """A JSON answer with text as it is, not escaped."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200, headers: dict[str, str] | None = None):
        super().__init__(to_json(content).encode("utf-8", "backslashreplace"), status_code, headers)


def error_response(error: ApiError) -> JsonResponse:
    """Return the answer for an error."""
    return JsonResponse(error.body(), error.status, error.headers)


class EventStream(Response):
    """The pieces of a text as server-sent events: piece, piece, ..., done; or error."""

    def __init__(self, first: tuple[str, Any], follow: Callable[[float], Awaitable[tuple[str, Any]]], close: Callable[[], None]):
        """Prepare the answer.

        Args:
            first: the first event.
            follow: returns the next event, or ("nothing", None) after so many seconds.
            close: called at the end, however it comes about.
        """
        headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(None, 200)
        self.raw_headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._first, self._follow, self._close = first, follow, close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            event = self._first
            while True:
                await send({"type": "http.response.body", "body": _encode(*event), "more_body": True})
                if event[0] in ("done", "error"):
                    break
                event = await self._next(scope)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ClientGone:
            scope["state"][STATUS] = CLIENT_GONE
        finally:
            self._close()

    async def _next(self, scope: Scope) -> tuple[str, Any]:
        try:
            return await self._follow(KEEP_ALIVE)
        except ClientGone:
            raise
        except Exception as problem:
            error = as_api_error(problem)
            scope["state"][STATUS] = error.status
            return "error", error.body()


def _encode(kind: str, value: Any) -> bytes:
    """Return an event in the text format of server-sent events."""
    if kind == "nothing":
        return b": still working\n\n"
    data = {"text": value} if kind == "piece" else {"generations": value[0]} if kind == "done" else value
    return f"event: {kind}\ndata: {to_json(data)}\n\n".encode("utf-8", "backslashreplace")
