"""Run an exported model. This package is copied into each export, and needs neither paddle_ft nor PaddleNLP.

It imports numpy, tokenizers, and the library that computes the graphs: onnxruntime, or paddle for its inference engine.

    import sys
    sys.path.insert(0, "EXPORT")            # the folder of the export
    from runner import load
    model = load("EXPORT")
    model.predict(["a text", "another text"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tasks import Model

__all__ = ["load"]


def load(directory: Any, threads: int | None = None) -> Model:
    """Return the model of an export.

    Args:
        directory: the folder of the export.
        threads: threads to compute with; None: the library's choice.
    """
    from .tasks import load_model

    return load_model(directory, threads)
