"""Export a run's model into a folder that appears only when it was verified."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.inference import open_run
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import to_json
from paddle_ft.system.formatting import counted
from paddle_ft.system.installation import ai_studio_packages, install_beside
from paddle_ft.system.progress import print_info

FORMATS = ("inference", "onnx", "hf")
PACKAGES = {"paddle2onnx": "paddle2onnx>=2.1", "onnxruntime": "onnxruntime>=1.20"}  # the extra [export] of pyproject.toml
REQUIRED = {"onnx": ("numpy", "tokenizers", "onnxruntime"), "inference": ("numpy", "tokenizers", "paddlepaddle")}

# The model is traced as PaddleNLP defines it. What training puts in place of its layers (CPU layers, recomputation) cannot be
# traced, and train.compile is the setting that keeps the CPU layers away. Model and export are compared on the CPU.
AS_DEFINED = {
    "device": "cpu", "model.attention": "plain", "train.recompute": False, "train.sharding": "none", "train.compile": True,
}  # fmt: skip


@dataclass(frozen=True)
class Exported:
    """A finished export.

    Attributes:
        path: its folder.
        lines: what was verified and measured, for people.
        figures: the same as numbers: the largest "difference", "equal" predictions of "inputs", "latency_ms" and
            "model_latency_ms". A checkpoint for transformers has the difference alone where torch is not installed.
    """

    path: Path
    lines: list[str]
    figures: dict[str, Any]


def export_run(
    run: str, to: str, output: str | None = None, *, int8: bool = False, limit: int | None = None, overwrite: bool = False
) -> Exported:
    """Export the model of a run. This is the work of the command `export`.

    Args:
        run: the run's directory.
        to: one of FORMATS.
        output: the folder to write; None: beside the run, with the format after its name.
        int8: quantise the weights of an ONNX export.
        limit: number of validation rows that the loss of accuracy by int8 is measured on; None: all.
        overwrite: replace the folder if it has an export.

    Raises:
        UserError: the run or the folder cannot be used, or a package is missing.
        VerificationError: the export does not compute what the model computes.
        ConversionError: paddle2onnx cannot convert the model.
    """
    directory = RunDirectory.open_existing(run)
    _check_usage(to, int8, limit)
    beside = directory.path.resolve()
    folder = Path(output).resolve() if output else beside.with_name(f"{beside.name}-{to}{'-int8' if int8 else ''}")
    _refuse_occupied(folder, directory.path, overwrite)
    if to == "onnx":
        _require_packages()
    with _temporary_folder(folder) as part:
        print_info(f"loading {run}")
        if to == "hf":
            from paddle_ft.export.to_hf import export_to_hf

            lines, figures = export_to_hf(open_run(run, AS_DEFINED), part)
        else:
            task = open_run(run, AS_DEFINED)
            lines, figures = _export_graphs(task, part, to, int8, limit)
        _put_in_place(part, folder)
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    lines.append(f"size: {_megabytes(folder)}, of the run's model: {_megabytes(_model_folder(directory))}")
    return Exported(shown, lines, figures)


# ---------------------------------------------------------------------------------------------------- before the work
def _check_usage(to: str, int8: bool, limit: int | None) -> None:
    if int8 and to != "onnx":
        raise UserError(f"--int8 quantises ONNX graphs: it does not go with --to {to}. Use --to onnx --int8.")
    if limit is not None and limit < 1:
        raise UserError(f"--limit {limit}: it must be at least 1.")
    if limit is not None and not int8:
        raise UserError("--limit is the number of rows that --int8 is measured on: give both, or neither.")


def _refuse_occupied(folder: Path, run: Path, overwrite: bool) -> None:
    """Raise UserError for a folder that must not be written."""
    if folder.resolve() == run.resolve() or folder.resolve() in run.resolve().parents:
        raise UserError(f"--output {folder}: this folder holds the run itself. Name another.")
    if folder in (Path.cwd(), *Path.cwd().parents):
        raise UserError(f"--output {folder}: this is the folder that you are in, or one above it. Name one in it.")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"--output {folder}: this is a file; name a folder.")
    if not any(folder.iterdir()):
        return
    if not overwrite:
        raise UserError(f"{folder} already exists. Use --overwrite to replace it, or --output ANOTHER.")
    if not any((folder / name).is_file() for name in ("export.json", "conversion.json")):
        raise UserError(f"--output {folder}: there are files in it, but no export; --overwrite only replaces exports.")


def _require_packages() -> None:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        folder = ai_studio_packages()
        install = " ".join(f"'{PACKAGES[name]}'" for name in PACKAGES)
        how = install_beside(folder) if folder else f"pip install {install}"
        raise UserError(f"export: --to onnx needs {' and '.join(missing)}, missing in {sys.executable}. Install:\n  {how}")


@contextlib.contextmanager
def _temporary_folder(folder: Path) -> Iterator[Path]:
    """Give a folder beside the final one, which is deleted at the end if it is still there."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise UserError(f"--output {folder}: cannot be written: {error.strerror or error}.") from None
    part.chmod(0o755)
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put_in_place(part: Path, folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)


# ---------------------------------------------------------------------------------------------------- the work
def _export_graphs(task: Any, part: Path, to: str, int8: bool, limit: int | None) -> tuple[list[str], dict[str, Any]]:
    """Write an export with its runner into a folder, verify it, and return what was found, for people and as figures."""
    from paddle_ft.export.check import compare, describe_latency, time_export, time_model
    from paddle_ft.export.graphs import make_graphs
    from paddle_ft.export.programs import save_programs
    from paddle_ft.export.runner.tasks import load_model
    from paddle_ft.export.samples import choose_samples, held_out_rows
    from paddle_ft.export.settings import runner_settings

    task.model.float()
    task.model.eval()
    if to == "onnx":
        from paddle_ft.export.to_onnx import convert_programs, refuse_unconvertible

        refuse_unconvertible(task.model)
    held_out = held_out_rows(task, limit) if int8 else None  # before the work, because the data may not be there
    print_info("tracing the model")
    graphs = make_graphs(task)
    files = save_programs(graphs, part)
    if to == "onnx":
        files = convert_programs(part, files)
    settings = {**runner_settings(task), "format": to, "precision": "float32", "graphs": files}
    _write_runner(task, part, to, settings)
    samples = choose_samples(task)
    print_info(f"verifying on {samples.origin}")
    model_seconds = time_model(task, samples)
    model = load_model(part)
    check = compare(task, model, samples)
    check.require_equal(hint=" paddle2onnx has converted an operator wrongly: use --to inference." if to == "onnx" else "")
    equal = f"{check.equal} of {check.inputs} predictions equal"
    lines = [f"verified on {check.inputs} padded inputs, {check.origin}: {equal}, largest difference of {check.tensor}"
             f" {check.difference:.2g} (of values up to {check.largest:.3g})"]  # fmt: skip
    if held_out is not None:
        from paddle_ft.export.metrics import measure
        from paddle_ft.export.to_onnx import quantize

        split, rows = held_out
        print_info(f"measuring on {split}, in float32 and with 8 bits")
        before = measure(task, model, rows, split, f"{split}, float32")
        del model
        quantize(part, list(files))
        settings["precision"] = "int8"
        model = load_model(part)
        after = measure(task, model, rows, split, f"{split}, int8")
        check = compare(task, model, samples)
        settings["int8"] = {"split": split, "rows": len(rows), "float32": before, "int8": after}
        lines.append(f"int8: largest difference of {check.tensor} {check.difference:.2g}, {check.equal} of {check.inputs} equal")
        lines.append(_loss_of_accuracy(task.best_metric, split, len(rows), before, after))
    print_info("measuring the latency")
    seconds = time_export(task, model, samples)
    lines.append(describe_latency(seconds, model_seconds, check.inputs))
    verification = {**asdict(check), "latency_ms": seconds * 1000, "model_latency_ms": model_seconds * 1000}
    (part / "export.json").write_text(to_json({**settings, "verification": verification}, indent=2), encoding="utf-8")
    return lines, verification


def _loss_of_accuracy(metric: str, split: str, count: int, before: dict[str, float], after: dict[str, float]) -> str:
    others = [name for name in ("loss",) if name != metric and name in before]
    scores = ", ".join(f"{name} {before[name]:.4g} -> {after[name]:.4g}" for name in [metric, *others])
    return f"int8 on {split} ({counted(count, 'rows')}), float32 -> int8: {scores}"


def _write_runner(task: Any, part: Path, to: str, settings: dict[str, Any]) -> None:
    """Write the tokenizer, the settings, and the files that run the export."""
    task.fast_tokenizer.save(str(part / "tokenizer.json"))
    (part / "export.json").write_text(to_json(settings, indent=2), encoding="utf-8")
    source = Path(__file__).parent / "runner"
    (part / "runner").mkdir()
    for path in sorted(source.glob("*.py")):
        shutil.copyfile(path, part / path.name if path.name == "run.py" else part / "runner" / path.name)
    versions = [f"{name}=={version}" for name in REQUIRED[to] if (version := _version(name))]
    (part / "requirements.txt").write_text("\n".join(versions) + "\n", encoding="utf-8")


def _version(package: str) -> str | None:
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # the GPU build, which is another package
        return None


# ---------------------------------------------------------------------------------------------------- sizes
def _model_folder(run: RunDirectory) -> Path:
    return next(run / name for name in ("best", "last") if (run / name).is_dir())


def _megabytes(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file() and "trainer" not in path.relative_to(folder).parts]
    return f"{sum(path.stat().st_size for path in files) / 1e6:.3g} MB"
