"""data.source null: your own files, named in data.train, data.validation and data.test."""

from __future__ import annotations

from collections.abc import Iterable

from paddle_ft.data.files import expand, open_files
from paddle_ft.data.rows import Fields, Records
from paddle_ft.data.sources.base import Source


class LocalFiles(Source):
    """Local files in any of the formats in readers/."""

    name = None
    order = 0

    def files(self, data, split: str) -> list[str] | None:
        pattern = getattr(data, split)
        if pattern is None:
            return None
        return [path for item in (pattern.values() if isinstance(pattern, dict) else [pattern]) for path in expand(item)]

    def read(self, data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
        pattern = getattr(data, split)
        return None if pattern is None else open_files(pattern, fields)


SOURCE = LocalFiles()
