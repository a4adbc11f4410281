"""Convert saved programs to ONNX with paddle2onnx, share their weights, and quantise them."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paddle_ft.system.errors import FTError
from paddle_ft.system.progress import Progress, print_info

OPSET = 17  # the first with LayerNormalization
WEIGHTS = "weights.bin"
SHARED_BYTES = 1024  # smaller tensors stay inside their graph

# In a process of its own, because paddle2onnx ends the process at an operator that it does not know. Without an optimize_tool,
# because the default one installs packages by itself.
_CONVERT = """
import json, sys, warnings
warnings.simplefilter("ignore")
import paddle2onnx
for name, program, params, target in json.loads(sys.argv[1]):
    print("converting", name, file=sys.stderr, flush=True)
    paddle2onnx.export(program, params, target, opset_version=int(sys.argv[2]), optimize_tool="none")
"""


class ConversionError(FTError):
    """paddle2onnx cannot convert a graph. The message names the operators."""


def refuse_unconvertible(model: Any) -> None:
    """Raise ConversionError for a model that paddle2onnx converts into one that computes something else."""
    if hasattr(model, "pooling"):
        raise ConversionError(
            "export: paddle2onnx cannot convert the LSTM attention head (model.pooling): its conversion of the operator pd_op.rnn"
            " reads the padding of shorter rows. What works for this run: --to inference."
        )


def convert_programs(folder: Path, files: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Replace the programs in a folder by ONNX graphs.

    Args:
        folder: the folder of the programs.
        files: what save_programs returned.

    Returns:
        name -> {"onnx": file}.

    Raises:
        ConversionError: an operator of a graph cannot be converted.
    """
    jobs = [(name, *(str(folder / paths[kind]) for kind in ("program", "params")), str(folder / f"{name}.onnx"))
            for name, paths in files.items()]  # fmt: skip
    _convert(jobs)
    print_info("putting the weights of all graphs into one file")
    for paths in files.values():
        for path in paths.values():
            (folder / path).unlink(missing_ok=True)
    share_weights(folder, list(files))
    return {name: {"onnx": f"{name}.onnx"} for name in files}


def _convert(jobs: list[tuple[str, ...]]) -> None:
    """Convert (name, program, params, target) each. Raise ConversionError for the first that cannot be converted."""
    arguments = [sys.executable, "-c", _CONVERT, json.dumps(jobs), str(OPSET)]
    output = []
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(arguments, **pipes, text=True, errors="replace") as process:  # type: ignore[call-overload]
        assert process.stdout is not None
        for line in process.stdout:
            output.append(line)
            if line.startswith("converting "):
                print_info(f"{line.rstrip()} to ONNX")
    for name, _, _, target in jobs:
        if process.returncode or not Path(target).is_file() or not Path(target).stat().st_size:
            raise ConversionError(describe_failure("".join(output), name))


def describe_failure(output: str, name: str) -> str:
    """Return the message for what paddle2onnx printed when it failed, with the operators that it names.

    Args:
        output: what it printed.
        name: name of the graph, if the output does not have the one that it stopped at.
    """
    name = ([line.split()[-1] for line in output.splitlines() if line.startswith("converting ")] or [name])[-1]
    complaint = output.rpartition("not support")[2] or output
    operators = sorted(set(re.findall(r"pd_op\.\w+", complaint)))
    reason = f"operators: {', '.join(operators)}" if operators else (output.strip().splitlines() or ["no message"])[-1]
    return (
        f"export: paddle2onnx cannot convert the graph {name} ({reason}). What works for this run: --to inference, or --to hf if"
        " transformers has its architecture."
    )


def share_weights(folder: Path, names: list[str]) -> None:
    """Move the weights of all graphs into one file, in which equal ones are stored once, and name the outputs.

    Args:
        folder: the folder of the graphs.
        names: their names.
    """
    import onnx

    offsets: dict[str, int] = {}
    with open(folder / WEIGHTS, "wb") as weights:
        for name in names:
            model = onnx.load(str(folder / f"{name}.onnx"))
            _simplify(model.graph)
            for tensor in model.graph.initializer:
                _move(tensor, weights, offsets)
            onnx.save(model, str(folder / f"{name}.onnx"))
    if not offsets:
        (folder / WEIGHTS).unlink()


def _simplify(graph: Any) -> None:
    """Turn constants into initializers, and drop the nodes that copy a value and the constants that no node reads.

    paddle2onnx writes weights as constants behind copies, where neither share_weights nor the quantisation finds them.
    """
    results = {output.name for output in graph.output}
    source: dict[str, str] = {}  # output of a copy -> what it copies
    nodes = []
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensor = graph.initializer.add()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
        elif node.op_type == "Identity" and node.output[0] not in results:
            source[node.output[0]] = source.get(node.input[0], node.input[0])
        else:
            for number, name in enumerate(node.input):
                node.input[number] = source.get(name, name)
            nodes.append(node)
    used = results.union(name for node in nodes for name in node.input)
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    for field, values in ((graph.initializer, kept), (graph.node, nodes)):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        del field[:]
        field.extend(copies)


def _move(tensor: Any, weights: Any, offsets: dict[str, int]) -> None:
    """Store a tensor in the file of weights, unless it is small."""
    from onnx import TensorProto, numpy_helper

    content = numpy_helper.to_array(tensor).tobytes()
    if len(content) < SHARED_BYTES:
        return
    digest = hashlib.sha256(content).hexdigest()
    if digest not in offsets:
        offsets[digest] = weights.tell()
        weights.write(content)
        weights.write(bytes(-len(content) % 64))  # aligned, so that the file can be mapped into memory
    for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data"):
        tensor.ClearField(field)
    tensor.data_location = TensorProto.EXTERNAL
    place = {"location": WEIGHTS, "offset": offsets[digest], "length": len(content)}
    for key, value in place.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)


def quantize(folder: Path, names: list[str]) -> None:
    """Replace the weights of matrix products by 8-bit integers, whose inputs are quantised when they are computed.

    Args:
        folder: the folder of the graphs, which are replaced.
        names: their names.
    """
    import logging

    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # it suggests a preprocessing that is for images
    with Progress(len(names), "quantise", unit="graphs") as bar:
        for name in names:
            path, part = folder / f"{name}.onnx", folder / f"{name}.int8.onnx"
            quantize_dynamic(str(path), str(part), weight_type=QuantType.QInt8)
            part.replace(path)
            bar.update()
    (folder / WEIGHTS).unlink(missing_ok=True)
    share_weights(folder, names)
