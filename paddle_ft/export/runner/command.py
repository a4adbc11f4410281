"""The command line of an export."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .tasks import InputError, load_model


def _bytes_of(text: str) -> str:
    """Return a text that could not be decoded as its bytes are written, such as 'caf\\xe9', shortened."""
    shown = repr(text.encode("utf-8", "surrogateescape"))[1:]
    return shown if len(shown) <= 60 else f"{shown[:60]}...'"


def main(arguments: list[str] | None = None) -> int:
    """Print the prediction of each text as a line of JSON. Return the exit code: 2 for wrong input, with one message."""
    parser = argparse.ArgumentParser(prog="run.py", description="apply the exported model to texts")
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
            print(json.dumps(row, ensure_ascii=False))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (OSError, json.JSONDecodeError) as error:
        print(f"error: this export is damaged: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"error: the package {error.name} is not installed in {sys.executable}; see requirements.txt here", file=sys.stderr)
        return 2
    return 0
