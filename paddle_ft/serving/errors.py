"""The errors that a client gets: always JSON, never a stack trace."""

from __future__ import annotations

import re
import sys
import uuid
from typing import Any

from convert.terminal import print_traceback
from paddle_ft.system.errors import UserError

LONGEST_MESSAGE = 600  # characters; some messages repeat the client's text


class ApiError(Exception):
    """A request that is not answered with a result.

    Attributes:
        status: the HTTP status.
        code: a fixed word for programs, such as "queue_full".
        message: what is wrong; its middle is left out if it is long.
        what_to_do: what the client can do about it.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, code: str, message: str, what_to_do: str, headers: dict[str, str] | None = None):
        if len(message) > LONGEST_MESSAGE:
            message = f"{message[: LONGEST_MESSAGE // 2]} ... {message[-LONGEST_MESSAGE // 2 :]}"
        super().__init__(message)
        self.status, self.code, self.message, self.what_to_do = status, code, message, what_to_do
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """Return what the client gets."""
        return {"error": {"code": self.code, "message": self.message, "what_to_do": self.what_to_do}}


def as_api_error(error: BaseException) -> ApiError:
    """Return what a client is told about any error. A bug gets a number, under which the server's log has its traceback."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, UserError):
        return invalid(_in_words_of_the_api(str(error)))
    number = uuid.uuid4().hex[:12]
    print(f"error {number}: {type(error).__name__} while a request was answered", file=sys.stderr)
    print_traceback(error)
    return ApiError(500, "internal_error", f"Something went wrong on the server (error {number}).",
                    f"The server's log has the details under {number}. Other requests are still answered.")  # fmt: skip


def invalid(message: str, what_to_do: str = "Correct the request; /docs shows an example.") -> ApiError:
    """Return the error for a request whose content is wrong."""
    return ApiError(422, "invalid_request", message, what_to_do)


def _in_words_of_the_api(message: str) -> str:
    """Return a message of the library with the names that fields have here instead of flags."""
    message = message.removeprefix("--input: ").replace("--num-return", "n")
    return re.sub(r"--([a-z][a-z-]*[a-z])", lambda match: match[1].replace("-", "_"), message)
