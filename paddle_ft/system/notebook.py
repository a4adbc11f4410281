"""Find out whether this process is the kernel of a Jupyter notebook, which shows output differently from a terminal."""

from __future__ import annotations

import sys


def in_notebook() -> bool:
    """Return whether the code runs in a Jupyter kernel (Jupyter, AI Studio, VS Code). IPython on a terminal is none."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
