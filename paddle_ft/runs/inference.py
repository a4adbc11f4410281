"""Use a finished run: score it on any data, and predict for new texts."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TextIO

from paddle_ft.config.load import load_config
from paddle_ft.data import inputs, load
from paddle_ft.data.download import download_missing
from paddle_ft.data.rows import Rows
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.integrity import find_damage
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import to_json, write_atomically
from paddle_ft.system.progress import print_info
from paddle_ft.system.runtime import import_frameworks_quietly, set_device
from paddle_ft.tasks import find_task
from paddle_ft.tasks.base import Dataset, Task
from paddle_ft.tasks.shared.evaluate import evaluate as evaluate_task
from paddle_ft.tasks.shared.rows import load_rows


def open_run(path: str, overrides: list[str] = ()) -> Task:
    """Return the task of a run with its best model loaded. Raise UserError if there is none."""
    run = RunDirectory.open_existing(path)
    directory = next((run / name for name in ("best", "last") if (run / name).is_dir()), None)
    if directory is None:
        raise UserError(f"{path}: this run has no model yet (neither best/ nor last/).")
    if problem := find_damage(directory):
        raise UserError(f"{directory}: this model is damaged: {problem}. Train again, or use another run.")
    config = load_config(str(run / "config.yaml"), overrides)
    import_frameworks_quietly()
    from paddle_ft.models.adapt import adapt_model
    from paddle_ft.models.bundle import reload_bundle

    set_device(config.device)
    task = find_task(config.task.name)(config)
    task.set_model(adapt_model(reload_bundle(task.head_type, directory), config))
    return task


def evaluate(path: str, split: str | None, overrides: list[str], output: str | None) -> tuple[str, dict, dict]:
    """Score a run's best model.

    Args:
        path: the run's directory.
        split: which split; None means test, or validation where there is no test split.
        output: a file for the predictions, one JSON object a line.

    Returns:
        The split, its metrics, and the baseline as {"name": ..., split: metrics}.
    """
    if output and not (Path(output).parent.is_dir() and os.access(Path(output).parent, os.W_OK)):
        raise UserError(f"--output {output}: there is no folder {Path(output).parent} that can be written to.")
    task = open_run(path, overrides)
    rows = _load_rows(task, split)
    chosen = next((name for name in ([split] if split else ["test", "validation"]) if name in rows), None)
    if chosen is None:
        raise UserError(f"{path}: there is no data for {split or 'test or validation'}: give it, e.g. data.test=FILE.")
    dataset = task.encode(rows[chosen], chosen)
    scores = evaluate_task(task, dataset, f"evaluate {chosen}")
    baseline = _main_baseline(task, dataset, rows)
    if output:
        write_atomically(Path(output), "".join(to_json(row) + "\n" for row in scores.predictions))
    return chosen, scores.metrics, baseline


def _load_rows(task: Task, split: str | None) -> dict[str, Rows]:
    """Return the rows by split, or only those of the wanted split where the others cannot be had any more."""
    data = task.config.data
    try:
        download_missing(load.list_remote_files(data))
        return load_rows(task.config, task)
    except UserError as error:
        loaded = load.load_split(data, split, required=task.required_fields, optional=task.optional_fields) if split else None
        if loaded is None:
            raise
        print_info(f"only {split} is read, without a baseline: {str(error).splitlines()[0]}")
        return {split: task.prepare_split(loaded, split)}


def _main_baseline(task: Task, dataset: Dataset, rows: dict[str, Rows]) -> dict:
    if "train" not in rows:
        return {}
    train = dataset if dataset.split == "train" else task.encode(rows["train"], "train")
    name, scores = next(iter(task.baselines(dataset, train).items()))
    return {"name": name, dataset.split: scores.metrics}


def predict(path: str, input_name: str, output_name: str, overrides: list[str], chunk_batches: int = 8) -> None:
    """Read texts and write predictions in the same order, some batches at a time, so that the input may be endless.

    Args:
        path: the run's directory.
        input_name, output_name: files, or "-" for standard input and output.
        chunk_batches: how many batches are read before their predictions are written.
    """
    if "-" not in (input_name, output_name) and Path(output_name).resolve() == Path(input_name).resolve():
        raise UserError(f"--output {output_name}: this is the input file; it would be lost. Name another.")
    config = load_config(str(RunDirectory.open_existing(path) / "config.yaml"), overrides)
    text_field = find_task(config.task.name).required_fields[0]
    texts = inputs.read_texts(input_name, inputs.Columns.from_config(text_field, config.data.columns or {}))
    first = next(texts, None)  # before the model is loaded
    task = open_run(path, overrides)
    size = task.config.eval.eval_batch_size * chunk_batches
    plain = input_name != "-" and inputs.is_plain_text(input_name)
    wants_text = output_name.endswith(".txt") or (plain and not output_name.endswith((".json", ".jsonl")))
    part = output_name if output_name == "-" else f"{output_name}.part"  # gets its name when it is complete
    out, done = open_output(part, output_name), 0
    write = row_writer(out, output_name, task.prediction_line if wants_text else to_json)
    try:
        while first is not None:
            chunk = [first, *(texts.read_available(size - 1) if input_name == "-" else islice(texts, size - 1))]
            if not task.takes_pairs and (pair := next((one for one in chunk if not isinstance(one, str)), None)):
                raise UserError(f'--input {input_name}: this run takes single texts, not pairs ("text_pair": {pair[1]!r}).')
            for row in task.predict(chunk, f"predict from row {done + 1}"):
                write(row)
            out.flush()
            done += len(chunk)
            first = next(texts, None)
    finally:
        if out is not sys.stdout:
            out.close()
    if part != output_name:
        os.replace(part, output_name)


def row_writer(out: TextIO, name: str, line: Callable[[dict], str]) -> Callable[[dict], None]:
    """Return a function that writes one prediction.

    In a .csv or .tsv file it writes a row of a table with a header, else the text that `line` returns.
    """
    separator = {".csv": ",", ".tsv": "\t"}.get(Path(name).suffix)
    if separator is None:
        return lambda row: out.write(line(row) + "\n")
    table = csv.writer(out, delimiter=separator, lineterminator="\n")
    header: list[str] = []

    def write(row: dict) -> None:
        if not header:
            header.extend(row)
            table.writerow(header)
        table.writerow([to_json(v) if isinstance(v := row[key], (dict, list)) else v for key in header])

    return write


def open_output(name: str, shown: str | None = None) -> TextIO:
    """Open a file for writing; "-" is standard output.

    shown: the name to use in error messages, where `name` is a temporary one.
    """
    if name == "-":
        sys.stdout.reconfigure(encoding="utf-8")
        return sys.stdout
    try:
        return open(name, "w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise UserError(f"--output {shown or name}: cannot be written: {error.strerror}.") from None
