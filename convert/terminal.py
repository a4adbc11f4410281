"""Make the outputs of a program safe: closed ones, encodings that lack characters, control codes in texts of others, secrets.

A text of the data or the name of a file may have control codes that change what a terminal shows, its title or its clipboard. They
are written as escapes (\\x1b). Messages and tracebacks repeat addresses and what libraries say, which may have passwords and
tokens. Those are left out. paddle_ft uses this module too.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import traceback
from types import TracebackType
from typing import Any
from urllib.parse import unquote

# Control characters except tab and newline, and those that turn the direction of the text around them.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

# The user's name and password, or a token alone, in an address: https://NAME:PASSWORD@HOST. A password may have an unescaped @.
_CREDENTIALS = re.compile(r"(?<=://)[^/\s'\"]+(?=@)")
_SECRET_NAME = re.compile("(TOKEN|API_?KEY|ACCESS_KEY|SECRET|SECRET_KEY|PASSWORD|PASSWD)$", re.IGNORECASE)
SHORTEST_SECRET = 6  # characters; a shorter one would be found in ordinary words


def printable(text: str) -> str:
    """Return a text with its control codes as escapes. Tabs and line ends stay, and a carriage return before a line end goes."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def without_secrets(text: str) -> str:
    """Return a message without the user's name and password in addresses, and without tokens and passwords of the environment."""
    text = _CREDENTIALS.sub("***", text)
    for name, value in os.environ.items():
        secrets = [value] if _SECRET_NAME.search(name) else [part.partition(":")[2] for part in _CREDENTIALS.findall(value)]
        for secret in dict.fromkeys([*secrets, *map(unquote, secrets)]):  # libraries repeat a password as it is meant: p%40ss
            if len(secret) >= SHORTEST_SECRET:
                text = text.replace(secret, f"[{name}]")
    return text


def message(text: str) -> str:
    """Return a text for people as it can be shown: printable, and without secrets."""
    return printable(without_secrets(text))


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an error that is a bug, as it can be shown."""
    return message("".join(traceback.format_exception(error)))


def print_traceback(error: BaseException) -> None:
    """Print it."""
    print(traceback_of(error), end="", file=sys.stderr, flush=True)


def _show_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    print_traceback(error.with_traceback(trace))


class _Terminal(io.TextIOWrapper):
    """Stdout on a terminal. What is written to it is made printable."""

    def write(self, text: str) -> int:
        super().write(printable(text))
        return len(text)


def prepare_outputs() -> None:
    """Prepare stdin, stdout and stderr, once, at the start of a program.

    A closed one becomes the null device: otherwise the next file that is opened, such as a checkpoint, would get its number, and
    libraries would write their messages into it. Characters that the encoding of an output lacks are written as escapes. The
    traceback of an error that nobody catches is printed without secrets.
    """
    sys.excepthook = _show_uncaught
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 it stays open
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    stdout: Any = sys.stdout
    if stdout is sys.__stdout__ and isinstance(stdout, io.TextIOWrapper) and stdout.isatty():
        file = io.BufferedWriter(io.FileIO(stdout.fileno(), "wb", closefd=False))
        sys.stdout = _Terminal(file, stdout.encoding, "backslashreplace", line_buffering=True)


def finish_stdout() -> None:
    """Write what is still to be written to stdout, or nowhere, if its reader is gone or its disk is full.

    Otherwise Python would try to write it when it ends, and print that this failed.
    """
    try:
        sys.stdout.flush()
        return
    except OSError:
        pass
    with contextlib.suppress(OSError, ValueError, AttributeError):  # it is no file
        if sys.stdout.fileno() == 1:
            handle = os.open(os.devnull, os.O_WRONLY)
            os.dup2(handle, 1)
            os.close(handle)
