"""Save the graphs of a model as programs of Paddle Inference."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from paddle_ft.system.progress import Progress

if TYPE_CHECKING:
    from paddle_ft.export.graphs.layer import Graph


def save_programs(graphs: Mapping[str, Graph], folder: Path) -> dict[str, dict[str, str]]:
    """Save each graph as NAME.json with its weights in NAME.pdiparams. Graphs with the same weights share one file.

    Args:
        graphs: name -> graph.
        folder: an existing folder.

    Returns:
        name -> {"program": file, "params": file}.
    """
    import paddle

    files: dict[str, dict[str, str]] = {}
    params_of: dict[str, str] = {}  # digest -> file
    with Progress(len(graphs), "trace", unit="graphs") as bar:
        for name, graph in graphs.items():
            with _quiet():
                traced = paddle.jit.to_static(graph, input_spec=graph.input_spec(), full_graph=True)
                paddle.jit.save(traced, str(folder / name))
            params = folder / f"{name}.pdiparams"
            with open(params, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)
            if digest in params_of:
                params.unlink()
            files[name] = {"program": f"{name}.json", "params": params_of.setdefault(digest, params.name)}
            bar.update()
    return files


def _digest(file: io.BufferedReader) -> str:
    """Return the SHA-256 of an open file. Python 3.10 has no hashlib.file_digest."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide what tracing prints about functions that it does not transcribe."""
    import logging
    import warnings

    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logger = logging.getLogger("paddle.jit.dy2static")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
