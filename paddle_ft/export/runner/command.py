"""The command line of an export."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import NoReturn

from .tasks import InputError, load_model

# Control characters except tab and newline, and those that turn the direction of the text around them.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return a text with its control codes as escapes. They could otherwise change what a terminal shows."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class _Parser(argparse.ArgumentParser):
    """A parser whose messages are printable."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _print_error(message: str) -> None:
    print(printable(f"error: {message}"), file=sys.stderr)


def _bytes_of(text: str) -> str:
    """Return a text that could not be decoded as its bytes are written, such as 'caf\\xe9', shortened."""
    shown = repr(text.encode("utf-8", "surrogateescape"))[1:]
    return shown if len(shown) <= 60 else f"{shown[:60]}...'"


def main(arguments: list[str] | None = None) -> int:
    """Print the prediction of each text as a line of JSON. Return the exit code: 2 for wrong input, with one message."""
    parser = _Parser(prog="run.py", description="apply the exported model to texts")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="a text; without any, one is read from each line of the input")
    parser.add_argument("--pair", action="append", metavar="TEXT", help="the second text of a pair, once for each TEXT")
    parser.add_argument("--threads", type=int, metavar="N", help="threads to compute with (default: the library's choice)")
    options = parser.parse_args(arguments)
    if options.threads is not None and options.threads < 1:
        parser.error(f"--threads {options.threads}: it must be at least 1")
    texts = options.texts or [line.rstrip("\n") for line in sys.stdin if line.strip()]
    if not texts:
        parser.error("there is no text: give one, or lines on the standard input")
    for number, text in [*enumerate(texts, 1), *enumerate(options.pair or [], 1)]:
        if any("\ud800" <= character <= "\udfff" for character in text):
            parser.error(f"text {number}, {_bytes_of(text)}: this text is not UTF-8")
    if options.pair and len(options.pair) != len(texts):
        parser.error(f"{len(texts)} texts, but {len(options.pair)} second texts: give --pair once for each text")
    inputs = list(zip(texts, options.pair, strict=True)) if options.pair else texts
    try:
        model = load_model(Path(__file__).resolve().parents[1], options.threads)
        for row in model.predict(inputs):
            line = json.dumps(row, ensure_ascii=False)
            print(printable(line) if sys.stdout.isatty() else line)
    except InputError as error:
        _print_error(str(error))
        return 2
    except (OSError, json.JSONDecodeError) as error:
        _print_error(f"this export is damaged: {error}")
        return 2
    except ModuleNotFoundError as error:
        _print_error(f"the package {error.name} is not installed in {sys.executable}; see requirements.txt here")
        return 2
    return 0
