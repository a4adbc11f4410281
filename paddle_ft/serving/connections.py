"""uvicorn's connections, with limits on how many there are and how slow they are, and with JSON for all that is refused.

uvicorn waits for a request as long as its client likes, and answers malformed requests in plain text. Here a request must arrive
in time, and so must the client take its answer; otherwise the connection is closed and its file descriptor is free again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from paddle_ft.serving.answers import STATUS
from paddle_ft.serving.app import STOPPING, Service
from paddle_ft.serving.errors import ApiError
from paddle_ft.system.files import to_json

SPARE = 64  # connections above --max-connections that are refused with patience
LINGER = 1.0  # seconds of patience, in which a refused client is still listened to: closed at once, TCP may drop the answer
ACCEPTED_AT_ONCE = 16  # connections that asyncio accepts before it looks at the first; each takes a file descriptor
BACKLOG = 2048  # connections that the system keeps until they are accepted
MAX_HEADERS = 16 * 1024  # bytes of a request's first line and headers
AHEAD = 1_000_000  # bytes that a client may send of further requests before it has the answer to its first

CLOSE = {"Connection": "close"}
SLOW = ApiError(408, "slow_request", "The request did not arrive in time.",
                "Send it again, its body at once. The server's limit is --network-timeout.", CLOSE)  # fmt: skip
CROWDED = ApiError(503, "too_many_connections", "Too many connections are open.",
                   "Close those that you do not need, and try again later. The server's limit is --max-connections.",
                   {"Retry-After": "5", **CLOSE})  # fmt: skip


class Parser(h11.Connection):
    """h11's parser, which also refuses headers that are too large when they arrive at once: by itself it limits incomplete ones."""

    def next_event(self) -> Any:
        """Return the next event. Raise RemoteProtocolError, with the status as its hint, for headers above the limit."""
        before = len(self.trailing_data[0]) if self.their_state is h11.IDLE else 0
        event = super().next_event()
        size = 0
        if isinstance(event, h11.Request):
            size = before - len(self.trailing_data[0])
        elif isinstance(event, h11.EndOfMessage):  # the headers that may follow a body
            size = sum(len(name) + len(value) for name, value in event.headers)
        if size > MAX_HEADERS:
            raise h11.RemoteProtocolError("The headers are too large", error_status_hint=431)
        return event


class Connection(H11Protocol):
    """A connection.

    Attributes:
        service: what answers the requests; a subclass sets it.
    """

    service: Service

    def __init__(self, *arguments: Any, **keywords: Any):
        super().__init__(*arguments, **keywords)
        self.conn = Parser(h11.SERVER, MAX_HEADERS)
        self._arriving: asyncio.TimerHandle | None = None  # runs while a request is being received
        self._unread: asyncio.TimerHandle | None = None  # runs while the client does not read what was sent
        self._since = 0.0
        self._ahead = 0
        self._counted = self._refused = False

    # -------------------------------------------------------------------------------- what asyncio and uvicorn call
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio does so only for sockets that were made with IPPROTO_TCP. Without it, the body of each answer waits for the
        # client's acknowledgement of the headers, 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=0)  # so that pause_writing is called for the first byte that the client leaves
        self._since = self.loop.time()
        most = self.service.limits.max_connections
        if self.service.connections < most:
            self._count(1)
            self._watch()
        else:
            self._refuse(CROWDED, patient=len(self.connections) <= most + SPARE)

    def data_received(self, data: bytes) -> None:
        if self._refused or self.conn.their_state is h11.MUST_CLOSE:  # what follows the last request, such as a line break
            return
        self._ahead = self._ahead + len(data) if self.conn.their_state is h11.DONE else 0
        if self._ahead > AHEAD:
            self.transport.abort()
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self.service.limits.network_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread = _cancel(self._unread)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._arriving, self._unread = _cancel(self._arriving), _cancel(self._unread)
        if self._counted:
            self._count(-1)

    def send_400_response(self, msg: str) -> None:
        """Answer a request that is not HTTP. uvicorn calls this while it handles h11's exception."""
        problem = sys.exc_info()[1]
        status = getattr(problem, "error_status_hint", 400)
        if status == 431:
            error = ApiError(431, "headers_too_large", "The request's headers are larger than 16 kB.",
                             "Send fewer or shorter headers.")  # fmt: skip
        else:
            reason = str(problem or msg).partition(": bytearray")[0]
            error = ApiError(status, "malformed_http", f"The request cannot be read as HTTP: {reason}.",
                             "Send HTTP/1.1 to this port, without TLS; GET /docs in a browser shows all paths.")  # fmt: skip
        self._refuse(error)

    def shutdown(self) -> None:
        """Close the connection, as the server ends. An answer that is being written is finished if its client reads it."""
        self.refuse_arriving()
        if self.flow.write_paused:
            self.transport.abort()
        elif not self._refused:
            super().shutdown()

    def refuse_arriving(self) -> None:
        """Refuse a request that has arrived in part, as the server is being stopped: it would be refused in the end."""
        if self._arriving is not None and not self._is_silent():
            self._refuse(STOPPING)

    # -------------------------------------------------------------------------------- limits
    def _count(self, change: int) -> None:
        self._counted = change > 0
        self.service.connections += change
        self.service.metrics.connections(self.service.connections)

    def _watch(self) -> None:
        """Start or stop the clock: it runs from a request's first byte, or from a new connection, to the request's last byte."""
        waits = self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and self.timeout_keep_alive_task is None
        if not waits or self._refused or self.transport.is_closing():
            self._arriving = _cancel(self._arriving)
        elif self._arriving is None:
            self._since = self.loop.time()
            self._arriving = self.loop.call_later(self.service.limits.network_timeout, self._give_up)

    def _is_silent(self) -> bool:
        """Whether nothing has arrived yet of a request."""
        return self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]

    def _give_up(self) -> None:
        """End the connection of a client that is too slow."""
        if self._is_silent():
            self.transport.close()  # an answer that nobody asked for could be taken for that of a request on its way
        else:
            self._refuse(SLOW)

    def _refuse(self, error: ApiError, patient: bool = True) -> None:
        """Answer with an error if no answer has begun, then close the connection."""
        self._refused = True
        self._unset_keepalive_if_required()
        self._arriving = _cancel(self._arriving)
        if self.cycle is not None and not self.cycle.response_complete:  # the service waits for the rest of this request
            self.scope["state"][STATUS] = error.status
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        else:
            self._note(error.status)
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_as_bytes(error))
        with contextlib.suppress(OSError):  # the client has gone
            self.transport.write_eof()
        self.loop.call_later(LINGER if patient else 0, self.transport.abort)

    def _note(self, status: int) -> None:
        self.service.metrics.request("other", status, self.loop.time() - self._since)


def _cancel(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """Stop a timer, and return what stands in its place."""
    if timer is not None:
        timer.cancel()
    return None


def _as_bytes(error: ApiError) -> bytes:
    """Return an error as a whole answer."""
    body = to_json(error.body()).encode("utf-8", "backslashreplace")
    headers = {**error.headers, "Connection": "close", "Content-Type": "application/json", "Content-Length": len(body)}
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


class OwnServer(uvicorn.Server):
    """uvicorn's server. It leaves signals to us, because uvicorn would close the port before the open requests are answered."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(BACKLOG)  # asyncio has just set it to ACCEPTED_AT_ONCE

    def refuse_arriving(self) -> None:
        """Refuse all requests that have arrived in part."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.refuse_arriving()


def make_server(service: Service) -> OwnServer:
    """Return a server for a service. It is not started yet."""
    own_connection = type("ServiceConnection", (Connection,), {"service": service})
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # PaddleNLP makes the loggers of all libraries print
    config = uvicorn.Config(
        service, loop="asyncio", http=own_connection, ws="none", lifespan="off", log_config=None, log_level="error",
        access_log=False, server_header=False, proxy_headers=False, timeout_graceful_shutdown=2, backlog=ACCEPTED_AT_ONCE,
    )  # fmt: skip
    return OwnServer(config)
