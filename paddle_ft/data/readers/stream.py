"""Read the bytes or the lines of a data file, plain or gzipped, with a progress bar.

For text that is not UTF-8, the position of the first bad byte is reported.
"""

from __future__ import annotations

import gzip
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from paddle_ft.data.archives import DAMAGE
from paddle_ft.data.text import HAN_COMMON, regex_class
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

BOM = b"\xef\xbb\xbf"
_HAN = re.compile(f"[{regex_class(HAN_COMMON)}]")


class DataFile:
    """A file that is read once, from start to end. `path` is the path that the user gave, for messages."""

    def __init__(self, path: str):
        self.path = path

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the file for its bytes, unpacked if it is gzipped. Raise UserError if it cannot be read or is damaged."""
        try:
            with open(self.path, "rb") as raw:
                self._raw = raw
                yield gzip.GzipFile(fileobj=raw) if self.path.lower().endswith(".gz") else raw
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise UserError(f"{self.path}: the gzip data is damaged ({error}); download the file again") from None
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read: {error.strerror or error}") from None

    def content(self) -> bytes:
        """Return all bytes of the file without a byte order mark, for formats that cannot be read line by line."""
        with self.open() as stream:
            return check_utf16(stream.read(), self.path).removeprefix(BOM)

    def lines(self) -> Iterator[tuple[str, str | None]]:
        """Yield (text, None) for each line, or (text with escapes, reason) for a line that is not UTF-8.

        Lines end at \\n or \\r\\n only. A byte order mark at the start of the file is dropped.
        """
        size = os.path.getsize(self.path) if os.path.exists(self.path) else None
        with self.open() as stream, Progress(size, f"read {os.path.basename(self.path)}", unit="B") as progress:
            offset = shown_position = 0  # in the unpacked bytes, and in the file for the progress bar
            for number, raw in enumerate(stream):
                if number == 0:
                    check_utf16(raw, self.path)
                    if raw.startswith(BOM):
                        raw, offset = raw[3:], 3
                if not number % 4096:
                    position = self._raw.tell()
                    progress.update(position - shown_position)
                    shown_position = position
                text, reason = decode_utf8(raw, offset)
                offset += len(raw)
                yield (text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")), reason
            progress.update(self._raw.tell() - shown_position)


@contextmanager
def open_tar(path: str) -> Iterator[tarfile.TarFile]:
    """Open a tar archive, gzipped or not, to read it once from start to end. Raise UserError if it is unreadable or damaged."""
    with DataFile(path).open() as stream:
        try:
            # DataFile unpacks .gz, and tarfile what has another ending, such as .tgz.
            with tarfile.open(fileobj=stream, mode="r|*") as archive:
                yield archive
        except (EOFError, zlib.error):  # of the gzip data: `open` says so
            raise
        except DAMAGE as error:
            raise UserError(f"{path}: cannot be read as an archive ({error}); download it again") from None


def check_utf16(head: bytes, path: str) -> bytes:
    """Return `head`, the first bytes of a file. Raise UserError if they start with the byte order mark of UTF-16."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path}: the file is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 {path} > NEW")
    return head


def decode_utf8(raw: bytes, start: int = 0) -> tuple[str, str | None]:
    """Return (text, None), or (text with escapes, reason) for bytes that are not UTF-8. `start` is their position in the file."""
    try:
        return raw.decode(), None
    except UnicodeDecodeError as error:
        return raw.decode(errors="surrogateescape"), describe_bad_utf8(raw, start + error.start)


def describe_bad_utf8(raw: bytes, offset: int) -> str:
    """Return a message about bytes that are not UTF-8. It says whether they are probably GBK.

    Args:
        raw: the bytes of the line or text.
        offset: position of the first bad byte in the file.
    """
    reason = f"invalid UTF-8 at byte {offset} of the file"
    try:
        text = raw.decode("gbk")
    except UnicodeDecodeError:
        return reason
    if _HAN.search(text):
        return f"{reason}; it looks like GBK (convert with: iconv -f GBK -t UTF-8)"
    return reason
