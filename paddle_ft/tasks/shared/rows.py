"""Download the files of a run, and read the rows of every split."""

from __future__ import annotations

from paddle_ft.config.schema import BaseConfig
from paddle_ft.data import load
from paddle_ft.data.download import download_missing
from paddle_ft.data.rows import Rows
from paddle_ft.data.splits import NO_SPLIT
from paddle_ft.system.decisions import print_decisions, unique
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import print_info
from paddle_ft.tasks import find_task
from paddle_ft.tasks.base import Task


def download_files(config: BaseConfig, head_type: str) -> None:
    """Download the files that data and model need. Raise one UserError that names all files that are not available."""
    from paddle_ft.models.bundle import download_model_files  # imports Paddle

    load.check_local_files(config.data, find_task(config.task.name).file_source)
    problems = []
    for fetch in (
        lambda: download_missing(load.list_remote_files(config.data)),
        lambda: download_model_files(config.model, head_type),
    ):
        try:
            fetch()
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("\n\n".join(problems))


def load_split(task: Task, split: str) -> Rows | None:
    """Return the rows of a split of the task's data as read, or None if there is none (data.load.load_split)."""
    return load.load_split(task.config.data, split, task.required_fields, task.optional_fields, task.file_source)


def load_rows(config: BaseConfig, task: Task) -> dict[str, Rows]:
    """Return the rows of every configured split, prepared by the task, and print what was decided for the user on the way.

    Raises:
        UserError: there are no training rows, or the data has errors.
    """
    rows = {}
    for split in load.SPLITS:
        loaded = load_split(task, split)
        if loaded is not None:
            rows[split] = loaded
    if "train" not in rows:
        raise UserError("data: there are no training rows: set data.train.")
    for split, loaded in rows.items():
        if loaded.bad:
            print_info(f"{split}: {len(loaded.bad)} bad rows skipped, the first: {loaded.bad[0]}")
    prepared = task.prepare_rows(rows)
    if config.data.test == NO_SPLIT:  # a task may have drawn one of the training rows, which are then left out of all splits
        prepared = {split: loaded for split, loaded in prepared.items() if split != "test"}
    print_decisions(unique(*(loaded.decisions for loaded in prepared.values())))
    return prepared
