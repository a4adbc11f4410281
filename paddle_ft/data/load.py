"""Load the rows that the data section of a configuration names. sources/ has one module for each kind of source."""

from __future__ import annotations

import os

from paddle_ft.data.download import RemoteFile
from paddle_ft.data.files import expand
from paddle_ft.data.reading import Reading
from paddle_ft.data.row_cache import cached_rows
from paddle_ft.data.row_table import RowWriter
from paddle_ft.data.rows import Fields, Rows, collect_rows
from paddle_ft.data.sources import find_source
from paddle_ft.data.splits import NO_SPLIT, SPLITS, names_files
from paddle_ft.system.decisions import print_decisions
from paddle_ft.system.errors import UserError


def load_split(
    data,
    split: str,
    required: tuple[str, ...] = ("source", "target"),
    optional: tuple[str, ...] = (),
    file_source: str | None = None,
) -> Rows | None:
    """Return the rows of a split, or None if the configuration does not name the split and the source does not have it.

    Args:
        data: the data section: source, name, data_files, train, validation, test, columns, on_bad_row, limit_<split>.
        split: train, validation or test.
        required: the task's fields that every row must have.
        optional: the task's fields that a row may have.
        file_source: the source that reads the user's own files for the task.

    Raises:
        UserError: a file or column is missing, a download failed, or the data has errors.
    """
    if getattr(data, split) == NO_SPLIT and split != "train":
        return None
    fields = Fields(dict(data.columns or {}), tuple(required), tuple(optional), Reading.from_data(data))
    source = find_source(file_source if data.source is None else data.source)
    if names_files(getattr(data, split)) and not source.reads_files:
        source = find_source(file_source)  # a user's own files can replace a split of any source

    def collect(rows: RowWriter) -> Rows | None:
        parts = source.read(data, split, fields)
        if parts is None:
            return None
        try:
            collected = collect_rows(parts, data.on_bad_row, getattr(data, f"limit_{split}"), rows)
        except UserError:
            print_decisions(fields.decisions)  # a wrong sheet, say, may be why
            raise
        collected.decide(*fields.decisions)
        collected.classes = fields.reading.classes
        return collected

    return cached_rows(data, split, fields, source, collect)


def check_local_files(data, file_source: str | None = None) -> None:
    """Check that the user's own files exist and fit the source. This is called before anything is downloaded or loaded.

    Args:
        data: the data section.
        file_source: the source that reads the user's own files for the task.

    Raises:
        UserError: a file does not exist. The message names the first such file and its key. Or the source has no such split.
    """
    source = find_source(data.source)
    source.check(data)
    reads_files = data.source is None or source.reads_files
    for split in SPLITS:
        value = getattr(data, split)
        if (value != NO_SPLIT or split == "train") and (reads_files or names_files(value)):
            _check_pattern(f"data.{split}", value, folders_allowed=(data.source or file_source) is not None)
            reader = source if data.source is not None and source.reads_files else find_source(file_source)
            try:
                reader.check_split(data, split)
            except UserError as error:
                raise UserError(f"data.{split}: {error}") from None
    for split, path in (data.data_files or {}).items():
        _check_pattern(f"data.data_files.{split}", path)


def _check_pattern(key: str, pattern, folders_allowed: bool = False) -> None:
    """Check that a path or glob names files. `pattern` may also be a list of them, or field -> path."""
    if pattern in ([], {}):
        raise UserError(f"{key}: its value is empty; name your files, or write null for none")
    patterns = pattern.values() if isinstance(pattern, dict) else [pattern] if isinstance(pattern, str) else pattern or []
    for path in patterns:
        if folders_allowed and os.path.isdir(os.path.expanduser(str(path))):
            continue
        try:
            expand(path)
        except UserError as error:
            raise UserError(f"{key}: {error}") from None


def list_remote_files(data) -> list[RemoteFile]:
    """Return the files that the data section needs from the network, including those that are already downloaded."""
    return find_source(data.source).remote_files(data)
