"""Show the progress of writing weights: as a bar on a terminal or in a notebook, and as lines in a log file or a pipe."""

from __future__ import annotations

import re
import sys
from typing import Any

_ESCAPES = re.compile("\x1b\\[[0-9;]*[A-Za-z]")  # tqdm moves the cursor with them

# tqdm's own bar, but with B/s also when a byte takes longer than a second, where tqdm writes s/B.
BYTES_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]"


class LineWriter:
    """A file object that prints each redraw of a bar as a line of its own.

    When a bar is closed, tqdm draws it once more. If nothing was done since the last line, that draw is left out.
    """

    def __init__(self) -> None:
        self.count = ""  # of the last line: all that comes before " %", so not the rate

    def write(self, text: str) -> None:
        text = _ESCAPES.sub("", text).strip("\r\n ")
        count = text.partition(" %")[0]
        if text and count != self.count:
            sys.stderr.write(text + "\n")
            self.count = count

    def flush(self) -> None:
        sys.stderr.flush()


def in_notebook() -> bool:
    """Return whether the code runs in a Jupyter kernel (Jupyter, AI Studio, VS Code). IPython on a terminal is none."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def bar_settings() -> dict[str, Any]:
    """Return the arguments of tqdm that fit where stderr goes. In lines, work of less than two seconds prints nothing."""
    if sys.stderr.isatty() or in_notebook():
        return {"leave": False, "bar_format": BYTES_BAR}
    line = "{desc}: {n_fmt}/{total_fmt}B, {percentage:.0f} %, {rate_noinv_fmt}, {remaining} left"
    return {"file": LineWriter(), "mininterval": 10.0, "delay": 2.0, "leave": True, "bar_format": line}
