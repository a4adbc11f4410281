"""The interface of a source, and the base class of published collections."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import ClassVar

from paddle_ft.data.download import RemoteFile, data_home, download_missing
from paddle_ft.data.files import files_below
from paddle_ft.data.rows import Fields, Records
from paddle_ft.system.errors import UserError


class Source:
    """A kind of data.source. A module defines an instance as SOURCE.

    Attributes:
        REQUIRED: names of the methods that a source must define.
        name: the value of data.source.
        order: sources are asked in this order whether they claim a value, the lowest first.
        reads_files: whether the source itself reads the files that data.train, data.validation and data.test name. For other
            sources, such files are read as local files and replace the split.
    """

    REQUIRED: ClassVar = ("read",)

    name: ClassVar[str | None]
    order: ClassVar[int] = 1
    reads_files: ClassVar[bool] = False

    def claims(self, value: str | None) -> bool:
        """Return whether a value of data.source means this source."""
        return value == self.name

    def check(self, data) -> None:
        """Raise UserError for a data section that cannot be read. This is called at once, and reads and downloads nothing."""

    def check_split(self, data, split: str) -> None:
        """Raise UserError if the folders that data.<split> names have nothing to read. This is called at once too."""

    def remote_files(self, data) -> list[RemoteFile]:
        """Return the files that must be downloaded before rows can be read. `data` is the configuration's data section."""
        return []

    def files(self, data, split: str) -> list[str] | None:
        """Return the files or folders of this machine that the rows of a split are read from, and nothing else.

        If none of them has changed, the next run takes the rows from the cache. None: it is not known which files these are, or
        there is no such split; then the rows are read at every start.
        """
        return None

    def read(self, data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
        """Return (file, records) pairs for a split, or None if data.<split> is not set and the source does not have the split.

        Args:
            data: the configuration's data section.
            split: train, validation or test.
            fields: the task's fields.

        Raises:
            UserError: the split named in data.<split> does not exist, or its files cannot be downloaded or read.
        """
        raise NotImplementedError


class Collection(Source):
    """A published collection. data.source=NAME downloads it, and NAME:PATH reads the archive, file or folder at PATH.

    Attributes:
        url: where the collection is published.
        file_name: name of the downloaded file in the folder for data sets.
        md5: checksum of that file, if known.
        description: what the collection is, for messages.
    """

    url: ClassVar[str]
    file_name: ClassVar[str]
    md5: ClassVar[str | None] = None
    description: ClassVar[str]

    def claims(self, value: str | None) -> bool:
        return value is not None and value.partition(":")[0] == self.name

    def local_path(self, data) -> str:
        """Return the PATH of data.source=NAME:PATH, or "" if there is none."""
        return os.path.expanduser(data.source.partition(":")[2])

    def check(self, data) -> None:
        path = self.local_path(data)
        if path and not os.path.exists(path):
            raise UserError(f"data.source: {data.source}: there is no such file or folder (working directory: {os.getcwd()})")
        if path and os.path.isdir(path) and not files_below(path):
            raise UserError(f"data.source: {data.source}: there is no file in this folder or below it; name that of the collection")

    def remote_files(self, data) -> list[RemoteFile]:
        if self.local_path(data):
            return []
        return [RemoteFile(self.url, str(data_home() / self.file_name), md5=self.md5, description=self.description)]

    def find(self, data) -> str:
        """Return the user's PATH, or the path of the downloaded file. The file is downloaded if it does not exist yet."""
        path = self.local_path(data)
        if path:
            return path
        files = self.remote_files(data)
        download_missing(files)
        return files[0].path

    def files(self, data, split: str) -> list[str] | None:
        path = self.find(data)
        return [path] if os.path.isfile(path) else None
