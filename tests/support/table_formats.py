"""Write one table in every format that is read, with the programs that users write them with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd


def _save_to_disk(table: pd.DataFrame, path: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset.from_pandas(table, preserve_index=False).save_to_disk(str(path))


def _json_module(table: pd.DataFrame, path: Path) -> None:
    """Write lines as json.dumps does it, with NaN for a missing value."""
    path.write_text("".join(json.dumps(row, default=_plain) + "\n" for row in table.astype(object).to_dict("records")))


def _plain(value):
    return value.isoformat() if hasattr(value, "isoformat") and value is not pd.NaT else float("nan")


def _tsv(table: pd.DataFrame, path: Path) -> None:
    """Write a .tsv without quotes, as corpora are published."""
    lines = ["\t".join("" if pd.isna(cell) else str(cell) for cell in row) for row in table.itertuples(index=False)]
    path.write_text("\n".join(["\t".join(table.columns), *lines]) + "\n", encoding="utf-8")


WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "table.csv": lambda table, path: table.to_csv(path, index=False),
    "excel.csv": lambda table, path: table.to_csv(path, index=False, sep=";", encoding="utf-8-sig", lineterminator="\r\n"),
    "quoted.csv": lambda table, path: table.to_csv(path, index=False, quoting=1),
    "packed.csv.gz": lambda table, path: table.to_csv(path, index=False),
    "table.tsv": _tsv,
    "lines.jsonl": lambda table, path: table.to_json(path, orient="records", lines=True, date_format="iso", date_unit="s"),
    "nan.jsonl": _json_module,
    "list.json": lambda table, path: table.to_json(path, orient="records", date_format="iso", date_unit="s", indent=1),
    "columns.json": lambda table, path: table.to_json(path, date_format="iso", date_unit="s"),
    "table.parquet": lambda table, path: table.to_parquet(path, index=False),
    "table.xlsx": lambda table, path: table.to_excel(path, index=False),
    "saved": _save_to_disk,
}
"""File name -> a function that writes a table into a file of that name."""
