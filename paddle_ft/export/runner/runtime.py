"""Compute an exported graph with ONNX Runtime or with Paddle's inference engine."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np


class Graph(Protocol):
    """A graph that can be computed.

    Attributes:
        inputs: names of its inputs.
    """

    inputs: list[str]

    def __call__(self, **arrays: np.ndarray) -> list[np.ndarray]:
        """Return the outputs for named inputs."""


class OnnxGraph:
    """A graph of ONNX Runtime."""

    def __init__(self, path: Path, threads: int | None):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # it warns of constants that nothing reads
        if threads:
            options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = [entry.name for entry in self.session.get_inputs()]

    def __call__(self, **arrays: np.ndarray) -> list[np.ndarray]:
        return list(self.session.run(None, {name: arrays[name] for name in self.inputs}))


class PaddleGraph:
    """A graph of Paddle Inference."""

    def __init__(self, path: Path, params: Path, threads: int | None):
        said = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stderr(said):
            warnings.filterwarnings("ignore", message="No ccache found")  # a program for compiling, which nothing here does
            from paddle import inference
        lines = said.getvalue().splitlines(keepends=True)  # about threads Paddle speaks to those who train in parallel
        sys.stderr.writelines(line for line in lines if "OMP_NUM_THREADS" not in line)

        config = inference.Config(str(path), str(params))
        config.disable_gpu()
        config.disable_glog_info()
        config.enable_new_ir(True)
        config.enable_new_executor(True)
        config.disable_mkldnn()  # it prepares each operator again for every new shape, which costs more than it gains
        config.set_cpu_math_library_num_threads(threads or os.cpu_count() or 1)
        self.predictor = inference.create_predictor(config)
        self.inputs = list(self.predictor.get_input_names())
        self.outputs = list(self.predictor.get_output_names())

    def __call__(self, **arrays: np.ndarray) -> list[np.ndarray]:
        for name in self.inputs:
            self.predictor.get_input_handle(name).copy_from_cpu(np.ascontiguousarray(arrays[name]))
        self.predictor.run()
        return [self.predictor.get_output_handle(name).copy_to_cpu() for name in self.outputs]


def open_graph(directory: Path, files: dict[str, str], threads: int | None = None) -> Graph:
    """Open a graph.

    Args:
        directory: the folder of the export.
        files: what export.json says of the graph: {"onnx": file}, or {"program": file, "params": file}.
        threads: threads to compute with; None: the library's choice.
    """
    if "onnx" in files:
        return OnnxGraph(directory / files["onnx"], threads)
    return PaddleGraph(directory / files["program"], directory / files["params"], threads)


def cast(value: Any) -> np.ndarray:
    """Return ids as the graphs take them, in int64."""
    return np.asarray(value, dtype=np.int64)
