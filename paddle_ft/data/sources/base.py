"""The interface of a source, and the base of collections that are downloaded or pointed at."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import ClassVar

from paddle_ft.data.download import RemoteFile, data_home, download_missing
from paddle_ft.data.rows import Fields, Records


class Source:
    """A kind of data.source. A module publishes an instance as SOURCE.

    Attributes:
        name: the value of data.source.
        order: sources of a lower order are asked first whether they claim a value.
        reads_files: whether data.train, data.validation and data.test name this source's own files, in its own layouts. Files
            given for another source replace its split and are read as local files.
    """

    name: ClassVar[str | None]
    order: ClassVar[int] = 1
    reads_files: ClassVar[bool] = False

    def claims(self, value: str | None) -> bool:
        """Return whether this value of data.source means this source."""
        return value == self.name

    def remote_files(self, data) -> list[RemoteFile]:
        """Return the files that must be downloaded before rows can be read."""
        return []

    def read(self, data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
        """Return (file, records) pairs of a split, or None if there is no such split and none was asked for.

        Args:
            data: the data section of the configuration.
            split: train, validation or test.
            fields: the task's fields.

        Raises:
            UserError: the split does not exist, or its files cannot be downloaded or read.
        """
        raise NotImplementedError


class Collection(Source):
    """A published collection: NAME downloads it, NAME:PATH reads the archive, file or folder at PATH.

    Attributes:
        url: where the collection is published.
        file_name: what the downloaded file is called in the folder for data sets.
        md5: checksum of that file, where known.
        description: what it is, for people.
    """

    url: ClassVar[str]
    file_name: ClassVar[str]
    md5: ClassVar[str | None] = None
    description: ClassVar[str]

    def claims(self, value: str | None) -> bool:
        return value is not None and value.partition(":")[0] == self.name

    def local_path(self, data) -> str:
        """Return PATH of NAME:PATH, or an empty string."""
        return os.path.expanduser(data.source.partition(":")[2])

    def remote_files(self, data) -> list[RemoteFile]:
        if self.local_path(data):
            return []
        return [RemoteFile(self.url, str(data_home() / self.file_name), md5=self.md5, description=self.description)]

    def find(self, data) -> str:
        """Return PATH, or the path of the file that was downloaded, now or earlier."""
        path = self.local_path(data)
        if path:
            return path
        files = self.remote_files(data)
        download_missing(files)
        return files[0].path
