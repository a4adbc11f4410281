"""Progress for everything that takes longer than a moment: rate and time left, on a terminal and in a log file alike."""

from __future__ import annotations

import sys

from tqdm import tqdm


class Progress:
    """A tqdm bar on stderr. Where stderr is no terminal, a line every ten seconds instead of a redrawn bar.

    Use as a context manager; `update(n)` counts, `note(loss=2.3)` shows figures at the end of the bar.
    """

    def __init__(self, total: int | None, label: str, unit: str = "it", initial: int = 0):
        terminal = sys.stderr.isatty()
        self.bar = tqdm(
            total=total,
            desc=label,
            unit=unit,
            initial=initial,
            file=sys.stderr,
            mininterval=0.2 if terminal else 10.0,
            delay=0.0 if terminal else 2.0,
            ascii=None if terminal else True,
            dynamic_ncols=terminal,
            leave=not terminal,
            unit_scale=unit == "B",
        )

    def update(self, n: int = 1) -> None:
        self.bar.update(n)

    def note(self, **figures) -> None:
        self.bar.set_postfix(figures, refresh=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc) -> None:
        self.bar.close()


def say(message: str) -> None:
    """Prints a line of news for the user without tearing a bar that is being drawn."""
    tqdm.write(message, file=sys.stderr)
    sys.stderr.flush()
