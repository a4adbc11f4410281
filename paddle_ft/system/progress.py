"""Show progress bars with rate and remaining time, and print messages. Both go to stderr, from rank 0 only."""

from __future__ import annotations

import re
import sys

from tqdm import tqdm

from paddle_ft.system.world import is_main_process

_ESCAPES = re.compile("\x1b\\[[0-9;]*[A-Za-z]")  # tqdm moves the cursor with them when bars are nested


class _LineWriter:
    """A file object that prints each redraw of a bar as a line of its own, for log files and pipes."""

    def write(self, text: str) -> None:
        text = _ESCAPES.sub("", text).strip("\r\n ")
        if text:
            sys.stderr.write(text + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


_LINE = "{desc}: {n_fmt}/{total_fmt} {unit}, {percentage:.0f} %, {rate_fmt}, {remaining} left{postfix}"


class Progress:
    """A tqdm bar on stderr. If stderr is not a terminal, it prints a line every ten seconds instead.

    Use it as a context manager. Without a terminal, work that takes less than two seconds prints nothing.

    Args:
        total: number of units, or None if unknown.
        label: the text in front of the bar.
        unit: name of a unit; "B" stands for bytes, which are shown as kB, MB and so on.
        initial: number of units that were done earlier, for example before a resumed run was stopped.
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
        """Advance the bar by n units."""
        self.bar.update(n)

    def note(self, **figures) -> None:
        """Show these figures at the end of the bar, from its next redraw on."""
        self.bar.set_postfix(figures, refresh=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc) -> None:
        self.bar.close()


def print_info(message: str) -> None:
    """Print a message on stderr without breaking a progress bar on the terminal. Only rank 0 prints."""
    if not is_main_process():
        return
    if sys.stderr.isatty():
        tqdm.write(message, file=sys.stderr)
    else:
        print(message, file=sys.stderr, flush=True)
