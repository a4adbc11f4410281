"""Fine-tune language models on PaddlePaddle with recipes that train, evaluate and report.

    import paddle_ft
    run = paddle_ft.train("bart_lcsts", {"train.learning_rate": 3e-5})
    run = paddle_ft.load_run("runs/bart_lcsts")
    run.predict(["今天北京天气晴朗，市民纷纷出游"])

docs/api.md shows more. The command line is `python -m paddle_ft --help`. This import takes no time: Paddle is imported when it is
needed.
"""

from __future__ import annotations

import importlib

from paddle_ft.system.version import __version__

TYPE_CHECKING = False  # type checkers take it for True; the module typing takes a while to import
if TYPE_CHECKING:
    from paddle_ft.api.results import Evaluation, Plot
    from paddle_ft.api.run import Run, load_run
    from paddle_ft.api.train import train
    from paddle_ft.system.errors import FTError, UserError

__all__ = ["Evaluation", "FTError", "Plot", "Run", "UserError", "__version__", "load_run", "train"]

_MODULES = {
    "Evaluation": "paddle_ft.api.results",
    "Plot": "paddle_ft.api.results",
    "Run": "paddle_ft.api.run",
    "load_run": "paddle_ft.api.run",
    "train": "paddle_ft.api.train",
    "FTError": "paddle_ft.system.errors",
    "UserError": "paddle_ft.system.errors",
}


def __getattr__(name: str) -> object:
    """Import the module of a public name when the name is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Return the names for completion, those that are not imported yet included."""
    return sorted({*globals(), *__all__})
