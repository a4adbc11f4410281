"""Progress bars with rate and time left, and messages between them. Both go to stderr, from the main process only."""

from __future__ import annotations

import re
import sys

from tqdm import tqdm

from paddle_ft.system.world import is_main_process

_ESCAPES = re.compile("\x1b\\[[0-9;]*[A-Za-z]")  # nested bars move the cursor


class _LineWriter:
    """File object that turns a redrawn bar into separate lines, for log files and pipes."""

    def write(self, text: str) -> None:
        text = _ESCAPES.sub("", text).strip("\r\n ")
        if text:
            sys.stderr.write(text + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


_LINE = "{desc}: {n_fmt}/{total_fmt} {unit}, {percentage:.0f} %, {rate_fmt}, {remaining} left{postfix}"


class Progress:
    """A tqdm bar on stderr. Where stderr is no terminal, it prints a line every ten seconds instead.

    Use as a context manager. What ends within two seconds prints no line.

    Args:
        total: number of units, None if unknown.
        label: what is done, in front of the bar.
        unit: "B" for bytes, which are shown as kB, MB, ...
        initial: units done before, by the run that is resumed.
    """

    def __init__(self, total: int | None, label: str, unit: str = "it", initial: int = 0):
        terminal = sys.stderr.isatty()
        self.bar = tqdm(
            total=total,
            desc=label,
            unit=unit,
            initial=initial,
            file=sys.stderr if terminal else _LineWriter(),
            mininterval=0.2 if terminal else 10.0,
            delay=0.0 if terminal else 2.0,
            ascii=not terminal,
            dynamic_ncols=terminal,
            leave=not terminal,
            bar_format=None if terminal else _LINE,
            unit_scale=unit == "B",
            disable=not is_main_process(),
        )

    def update(self, n: int = 1) -> None:
        """Count n more units as done."""
        self.bar.update(n)

    def note(self, **figures) -> None:
        """Show figures at the end of the bar from its next redrawing on."""
        self.bar.set_postfix(figures, refresh=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc) -> None:
        self.bar.close()


def print_info(message: str) -> None:
    """Print a line for the user on stderr, above a bar that is being drawn."""
    if not is_main_process():
        return
    if sys.stderr.isatty():
        tqdm.write(message, file=sys.stderr)
    else:
        print(message, file=sys.stderr, flush=True)
