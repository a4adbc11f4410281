"""Show progress bars with rate and remaining time, and print messages, from rank 0 only.

Both go to stderr. In a notebook they go to stdout, because notebooks show stderr in red, as if something had failed.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from typing import Any, TextIO

from tqdm import tqdm

from convert import terminal
from convert.progress import BYTES_BAR, LineWriter, in_notebook
from paddle_ft.system.world import is_main_process

_LINE = "{desc}: {n_fmt}/{total_fmt} {unit}, {percentage:.0f} %, {rate_fmt}, {remaining} left{postfix}"
_REDRAWN: dict[str, Any] = {"mininterval": 0.2, "delay": 0.0, "ascii": False, "leave": False, "bar_format": None}
# A notebook cannot move the cursor up, so a nested bar as text takes the line of the outer bar. It keeps what is drawn in its file.
_NOTEBOOK = {**_REDRAWN, "mininterval": 0.5, "dynamic_ncols": False, "position": 0}
_LINES: dict[str, Any] = {"mininterval": 10.0, "delay": 2.0, "ascii": True, "leave": True}


def _bar_class() -> type[tqdm[Any]]:
    """Return tqdm's class for bars: in a notebook with ipywidgets a widget, else text."""
    if not in_notebook():
        return tqdm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the import warns if ipywidgets is not installed
        from tqdm.auto import tqdm as notebook_tqdm
    return notebook_tqdm


def _bar_settings(is_bytes: bool) -> dict[str, Any]:
    """Return where and how a bar is drawn: redrawn in a notebook and on a terminal, else as lines. Bytes are always B/s."""
    redrawn, line = ({"bar_format": BYTES_BAR}, _LINE.replace("rate_fmt", "rate_noinv_fmt")) if is_bytes else ({}, _LINE)
    if in_notebook():
        return {**_NOTEBOOK, **redrawn, "file": sys.stdout}
    if sys.stderr.isatty():
        return {**_REDRAWN, **redrawn, "file": sys.stderr, "dynamic_ncols": True}
    return {**_LINES, "bar_format": line, "file": LineWriter(), "dynamic_ncols": False}


class Progress:
    """A tqdm bar. If output goes neither to a terminal nor to a notebook, it prints a line every ten seconds instead.

    Use it as a context manager. In a log file or a pipe, work that takes less than two seconds prints nothing.

    Args:
        total: number of units, or None if unknown.
        label: the text in front of the bar.
        unit: name of a unit; "B" stands for bytes, which are shown as kB, MB and so on.
        initial: number of units that were done earlier, for example before a resumed run was stopped.
    """

    def __init__(self, total: int | None, label: str, unit: str = "it", initial: int = 0):
        self.bar = _bar_class()(
            total=total,
            desc=terminal.message(label),
            unit=unit,
            initial=initial,
            unit_scale=unit == "B",
            disable=not is_main_process(),
            **_bar_settings(is_bytes=unit == "B"),
        )

    def update(self, n: int = 1) -> None:
        """Advance the bar by n units."""
        self.bar.update(n)

    def note(self, **figures: object) -> None:
        """Show these figures at the end of the bar, from its next redraw on."""
        self.bar.set_postfix(figures, refresh=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        self.bar.close()


_muted = False


@contextlib.contextmanager
def without_info() -> Iterator[None]:
    """Keep what print_info prints off the screen in the block, in all threads. Progress bars are still shown."""
    global _muted
    before, _muted = _muted, True
    try:
        yield
    finally:
        _muted = before


def print_info(message: str) -> None:
    """Print a message without breaking a progress bar on the terminal or in a notebook. Only rank 0 prints."""
    if _muted or not is_main_process():
        return
    stream: TextIO = sys.stdout if in_notebook() else sys.stderr
    message = terminal.message(message)
    if in_notebook() or sys.stderr.isatty():
        _bar_class().write(message, file=stream)
    else:
        print(message, file=stream, flush=True)
