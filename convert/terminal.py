"""Make the outputs of a program safe: closed ones, encodings that lack characters, and control codes in other people's texts.

A text of the data or the name of a file may have control codes that change what a terminal shows, its title or its clipboard. They
are written as escapes (\\x1b). paddle_ft uses this module too.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from typing import Any

# Control characters except tab and newline, and those that turn the direction of the text around them.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return a text with its control codes as escapes. Tabs and line ends stay, and a carriage return before a line end goes."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


class _Terminal(io.TextIOWrapper):
    """Stdout on a terminal. What is written to it is made printable."""

    def write(self, text: str) -> int:
        super().write(printable(text))
        return len(text)


def prepare_outputs() -> None:
    """Prepare stdin, stdout and stderr, once, at the start of a program.

    A closed one becomes the null device: otherwise the next file that is opened, such as a checkpoint, would get its number, and
    libraries would write their messages into it. Characters that the encoding of an output lacks are written as escapes.
    """
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


def drop_stdout() -> None:
    """Send what is still to be written to stdout nowhere, because its reader is gone or its disk is full.

    Otherwise Python would try to write it when it ends, and print that this failed.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):  # it is no file
        if sys.stdout.fileno() == 1:
            handle = os.open(os.devnull, os.O_WRONLY)
            os.dup2(handle, 1)
            os.close(handle)
