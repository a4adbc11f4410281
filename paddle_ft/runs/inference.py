"""Use the model of a finished run: evaluate it on any data, and predict for new texts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from paddle_ft.config.load import load_config
from paddle_ft.config.schema import DataSection
from paddle_ft.data import inputs, load
from paddle_ft.data.download import download_missing
from paddle_ft.data.readers import extension, find_reader, readers
from paddle_ft.data.rows import Rows
from paddle_ft.data.splits import SPLITS
from paddle_ft.runs import prediction_file
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.integrity import find_damage
from paddle_ft.system.decisions import print_decisions
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import write_json_lines
from paddle_ft.system.progress import print_info
from paddle_ft.system.runtime import import_frameworks_quietly, set_device
from paddle_ft.tasks import find_task
from paddle_ft.tasks.base import Dataset, Scores, Task
from paddle_ft.tasks.shared.empty import are_all_empty, describe_empty
from paddle_ft.tasks.shared.evaluate import evaluate as evaluate_task
from paddle_ft.tasks.shared.evaluate import score_baselines
from paddle_ft.tasks.shared.rows import load_rows, load_split

Overrides = Sequence[str] | Mapping[str, Any]
"""Changes to a run's configuration, as load_config takes them: "section.key=value" strings, or key -> value."""


def open_run(path: str, overrides: Overrides = ()) -> Task:
    """Load the task of a run with its best model, or with its last model if there is no best one.

    Args:
        path: the run's directory.
        overrides: changes to the run's configuration.

    Raises:
        UserError: the directory has no run, the run has no model, or the model is damaged.
    """
    run = RunDirectory.open_existing(path)
    directory = next((run / name for name in ("best", "last") if (run / name).is_dir()), None)
    if directory is None:
        raise UserError(f"{path}: this run has no model yet (neither best/ nor last/).")
    if problem := find_damage(directory):
        raise UserError(f"{directory}: this model is damaged: {problem}. Train again, or use another run.")
    config = load_config(str(run / "config.yaml"), overrides)
    if note := run.describe_unfinished(directory.name, config.train.max_steps, config.train.num_train_epochs):
        print_info(note)
    import_frameworks_quietly()
    from paddle_ft.models.adapt import adapt_model
    from paddle_ft.models.bundle import reload_bundle

    set_device(config.device)
    task: Task = find_task(config.task.name)(config)
    task.set_model(adapt_model(reload_bundle(task.head_type, directory), config))
    return task


def evaluate(path: str, split: str | None, overrides: Overrides, output: str | None) -> tuple[str, dict, dict]:
    """Evaluate a run's best model on a split. This is the work of the command `evaluate`.

    Args:
        path: the run's directory.
        split: train, validation or test. None means test, or validation if there is no test split.
        overrides: changes to the run's configuration, for example its data.
        output: a file for the predictions, with one JSON object per line. None writes none.

    Returns:
        The split, its metrics, and the baseline as {"name": ..., split: metrics}.

    Raises:
        UserError: the run or the data cannot be read, or the predictions cannot be written.
    """
    if output and not (Path(output).parent.is_dir() and os.access(Path(output).parent, os.W_OK)):
        raise UserError(f"--output {output}: there is no folder {Path(output).parent} that can be written to.")
    split_name, scores, baseline = evaluate_split(open_run(path, overrides), split, path)
    if output:
        write_json_lines(Path(output), scores.predictions)
    return split_name, scores.metrics, baseline


def evaluate_split(task: Task, split: str | None, path: str) -> tuple[str, Scores, dict[str, Any]]:
    """Evaluate the model of a loaded run on a split.

    Args:
        task: the run's task, with its model.
        split: train, validation or test. None means test, or validation if there is no test split.
        path: the run's directory, for messages.

    Returns:
        The split, the scores and predictions, and the baseline as {"name": ..., split: metrics}.

    Raises:
        UserError: the data cannot be read, or there is none for the split.
    """
    rows = _load_rows(task, split)
    split_name = next((name for name in ([split] if split else ["test", "validation"]) if name in rows), None)
    if split_name is None:
        raise UserError(f"{path}: there is no data for {split or 'test or validation'}: name it, e.g. data.test=FILE.")
    dataset = task.encode(rows[split_name], split_name)
    scores = evaluate_task(task, dataset, f"evaluate {split_name}")
    if are_all_empty(scores.predictions):
        print_info(describe_empty(task, split_name, len(scores.predictions)))
    return split_name, scores, _main_baseline(task, dataset, rows)


def _load_rows(task: Task, split: str | None) -> dict[str, Rows]:
    """Return the rows of all splits, or only of `split` if the others are no longer available."""
    data = task.config.data
    try:
        download_missing(load.list_remote_files(data))
        return load_rows(task.config, task)
    except UserError as error:
        if split is None:
            raise
        rows = load_split(task, split)
        if rows is None:
            raise
        print_info(f"only {split} is read, without a baseline: {str(error).splitlines()[0]}")
        prepared = task.prepare_split(rows, split)
        print_decisions(prepared.decisions)
        return {split: prepared}


def read_local_rows(task: Task) -> dict[str, Rows]:
    """Return the rows of all splits without downloading any file. This gives the task what it keeps of its training rows.

    Raises:
        UserError: a file is not on this machine, or cannot be read.
    """
    _require_local_files(task)
    return load_rows(task.config, task)


def read_local_split(task: Task, split: str) -> Rows | None:
    """Return the rows of one split that the data has by itself, without downloading any file; None if it has no such split.

    Raises:
        UserError: a file is not on this machine, or cannot be read.
    """
    _require_local_files(task)
    rows = load_split(task, split)
    return None if rows is None else task.prepare_split(rows, split)


def _require_local_files(task: Task) -> None:
    """Raise UserError if a file of the task's data is not on this machine."""
    for file in load.list_remote_files(task.config.data):
        if not Path(file.path).exists():
            raise UserError(f"{file.path} does not exist")
    load.check_local_files(task.config.data, task.file_source)


def _main_baseline(task: Task, dataset: Dataset, rows: dict[str, Rows]) -> dict:
    """Return the task's first baseline as {"name": ..., split: metrics}, or {} without training rows, which it needs."""
    if "train" not in rows:
        return {}
    train = dataset if dataset.split == "train" else task.encode(rows["train"], "train")
    name, scores = next(iter(score_baselines(task, dataset, train).items()))
    return {"name": name, dataset.split: scores.metrics}


def predict_texts(task: Task, texts: Sequence[inputs.Text], label: str, origin: str) -> list[dict[str, Any]]:
    """Return a prediction for each text, in order.

    Args:
        task: the run's task, with its model.
        texts: the texts, or pairs of texts.
        label: name of the progress bar.
        origin: where the texts come from, for messages.

    Raises:
        UserError: a text is a pair, and the task does not take pairs.
    """
    if not task.takes_pairs and (pair := next((text for text in texts if not isinstance(text, str)), None)):
        raise UserError(f'{origin}: this run takes single texts, not pairs ("text_pair": {pair[1]!r}).')
    return task.predict(list(texts), label)


def predict(path: str, input_name: str, output_name: str, overrides: Overrides, chunk_batches: int = 8) -> None:
    """Read texts and write their predictions in the same order, with the other columns of the input. The command `predict`.

    A record without a text gets a row without a prediction. A few batches are processed at a time, so the input may be longer than
    memory and may come from a pipe that stays open.

    Args:
        path: the run's directory.
        input_name, output_name: files, or "-" for standard input and output.
        overrides: changes to the run's configuration.
        chunk_batches: how many batches are read before their predictions are written.

    Raises:
        UserError: the run or a text cannot be read, or the output cannot be written.
    """
    if "-" not in (input_name, output_name) and Path(output_name).resolve() == Path(input_name).resolve():
        raise UserError(f"--output {output_name}: this is the input file, which would be lost. Name another file.")
    prediction_file.check_ending(output_name)
    config = load_config(str(RunDirectory.open_existing(path) / "config.yaml"), overrides)
    _refuse_unknown_format(input_name, config.data)
    text_field = find_task(config.task.name).required_fields[0]
    records = inputs.read_inputs(input_name, inputs.Columns.from_config(text_field, config.data))
    first = next(records, None)  # read before the model is loaded, so that a wrong input is reported at once
    task = open_run(path, overrides)
    chunk_size = task.config.eval.eval_batch_size * chunk_batches
    input_is_text = input_name != "-" and inputs.is_plain_text(input_name)
    write_text = output_name.endswith(".txt") or (input_is_text and not output_name.endswith((".json", ".jsonl")))
    with prediction_file.PredictionFile(output_name, task.prediction_line if write_text else None) as output:
        while first is not None:
            if isinstance(records, inputs.BackgroundReader):
                chunk = [first, *records.read_available(chunk_size - 1)]
            else:
                chunk = [first, *islice(records, chunk_size - 1)]
            texts = [record.text for record in chunk if record.text is not None]
            label = f"predict from row {output.num_rows + 1}"
            output.write(chunk, predict_texts(task, texts, label, f"--input {input_name}") if texts else [])
            first = next(records, None)
    if output.num_rows and output.num_empty == output.num_rows:
        print_info(describe_empty(task, path, output.num_rows))
    print_info(output.describe())


def _refuse_unknown_format(name: str, data: DataSection) -> None:
    """Raise UserError for an input in the format of the run's own data, if nothing reads that format now.

    Without this, a run trained with a format of the user's own would take each line of such a file for a text.
    """
    values = [getattr(data, split) for split in SPLITS]
    patterns = [pattern for value in values for pattern in ([value] if isinstance(value, str) else value or [])]
    if extension(name) not in readers() and extension(name) in {extension(pattern) for pattern in patterns} - {""}:
        find_reader(name)
