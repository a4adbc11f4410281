"""Read the bytes, the text or the lines of a data file, plain or gzipped, with a progress bar.

Text is UTF-8 unless data.encoding says otherwise. For text that is not, the position of the first bad byte is reported.
"""

from __future__ import annotations

import codecs
import gzip
import io
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from paddle_ft.data.archives import DAMAGE
from paddle_ft.data.readers.encodings import UNDECODED, Line, decode, describe_bad_bytes, is_utf8, likely_utf16, marked_encoding
from paddle_ft.data.reading import Reading
from paddle_ft.system.encodings import WIDE
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

MAX_LINE = 2**26  # bytes of one line (64 MB); no more of it is read into memory
MAX_WHOLE = 2**31  # bytes of a file that must be read whole (2 GB)
_CHUNK = 2**20
_RETURNS_ALONE = "its lines end with a carriage return alone, as old programs for the Mac write them"
_LONE_RETURN = re.compile(rb"\r(?!\n)")

RawLine = tuple[bytes, int]
"""The bytes of a line with its end, and their number. Of a line of more than MAX_LINE bytes, only the first are returned."""


_BINARY = {  # first bytes of a file -> what it is, and what to do
    b"PK\x03\x04": ("an Excel workbook or a zip archive", "end the name of a workbook in .xlsx, or unpack the archive"),
    b"PAR1": ("a Parquet file", "end its name in .parquet"),
    b"\x1f\x8b": ("a gzip file", "end its name in .gz"),
}


class DataFile:
    """A file that is read from start to end.

    Attributes:
        path: the path that the user gave, for messages.
        reading: the settings for reading it.
    """

    def __init__(self, path: str, reading: Reading | None = None):
        self.path = path
        self.reading = reading or Reading()

    def decide(self, decision: str) -> None:
        """Note a decision about this file that changes its rows (Reading.decide)."""
        self.reading.decide(decision, self.path)

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
        """Return all bytes of the file, for formats that cannot be read piece by piece. Raise UserError if there are too many."""
        content = io.BytesIO()
        with self.open() as stream:
            while (chunk := stream.read(_CHUNK)) and content.tell() <= MAX_WHOLE:
                content.write(chunk)
        if content.tell() > MAX_WHOLE:
            raise UserError(
                f"{self.path}: this format is read whole, and the file has more than {MAX_WHOLE >> 30} GB, unpacked; write its rows"
                " as .jsonl or .csv, which is read line by line"
            )
        return content.getvalue()

    def text(self) -> tuple[str, str, int]:
        """Return the whole text, its encoding, and the position at which it starts in the file, after a byte order mark.

        Bytes that cannot be decoded are escaped (errors="surrogateescape"). Raise UserError where that is not possible.
        """
        content = self.content()
        encoding, start = self._find_encoding(content[:_CHUNK])
        content = content[start:]
        if encoding in WIDE:
            try:
                return content.decode(encoding, "surrogatepass"), encoding, start
            except UnicodeDecodeError as error:
                raise self._bad_wide(encoding, f"at byte {start + error.start}") from None
        if encoding != "utf-8" and not content.isascii():
            self._warn_of_utf8(is_utf8(content))
        try:
            return content.decode(encoding, "surrogateescape"), encoding, start
        except UnicodeDecodeError:  # at an ASCII byte, which cannot be escaped
            raise UserError(f"{self.path}: {decode(content, encoding, start)[1]}") from None

    def line(self) -> Line:
        """Return the whole text as one line, with its line ends. Raise UserError where `text` does."""
        text, encoding, start = self.text()
        match = UNDECODED.search(text)
        if not match:
            return text, None
        offset = start + len(text[: match.start()].encode(encoding, "surrogateescape"))
        return text, describe_bad_bytes(text.encode(encoding, "surrogateescape"), encoding, offset)

    def first_character(self) -> str:
        """Return the first character of the text that is not white space, or "" if there is none near the start of the file."""
        with self.open() as stream:
            head = stream.read(_CHUNK)
        encoding, start = self._find_encoding(head)
        return head[start:].decode(encoding, "replace").lstrip()[:1]

    def lines(self) -> Iterator[Line]:
        """Yield (text, None) for each line, or (text with escapes, reason) for a line that cannot be decoded.

        Lines end at \\n or \\r\\n, or at \\r if the file has no \\n. A byte order mark at the start of the file is dropped.
        """
        size = os.path.getsize(self.path) if os.path.exists(self.path) else None
        with self.open() as stream, Progress(size, f"read {os.path.basename(self.path)}", unit="B") as progress:
            head = stream.read(_CHUNK)
            encoding, start = self._find_encoding(head)
            read_lines = self._wide_lines if encoding in WIDE else self._byte_lines
            shown_position = 0
            for number, line in enumerate(read_lines(head[start:], stream, encoding, start)):
                if not number % 4096:
                    position = self._raw.tell()
                    progress.update(position - shown_position)
                    shown_position = position
                yield line
            progress.update(self._raw.tell() - shown_position)

    # -------------------------------------------------------------------------------- encodings
    def _find_encoding(self, head: bytes) -> tuple[str, int]:
        """Return the encoding of a file that starts with `head`, and the length of its byte order mark.

        Raises:
            UserError: the file is UTF-16 or UTF-32, and data.encoding does not say so.
        """
        for start, (kind, advice) in _BINARY.items():
            if head.startswith(start):
                raise UserError(f"{self.path}: this is {kind}, not text; {advice}")
        setting = "utf-8" if self.reading.encoding == "auto" else self.reading.encoding
        marked, length = marked_encoding(head)
        if marked == "utf-8" and setting != "utf-8":
            self.decide(f"the file begins with the mark of UTF-8 and is read as that, not as data.encoding={setting}")
        if marked and (marked == "utf-8" or marked.startswith(setting)):
            return marked, length
        if marked:
            name = marked[:6]
            raise UserError(f"{self.path}: the file is {name.upper()}; read it as that with data.encoding={name}")
        if setting == "utf-8" and (name := likely_utf16(head)):
            raise UserError(f"{self.path}: the file looks like UTF-16; read it as that with data.encoding={name}")
        return (f"{setting}-le" if setting in ("utf-16", "utf-32") else setting), 0  # as Windows writes it

    def _warn_of_utf8(self, is_valid: bool) -> None:
        if is_valid:
            self.decide(f"it is read as data.encoding={self.reading.encoding}, but its text is valid UTF-8; is the setting right?")

    def _bad_wide(self, encoding: str, where: str) -> UserError:
        return UserError(f"{self.path}: invalid {encoding[:6].upper()} {where} of the file")

    # -------------------------------------------------------------------------------- lines
    def _byte_lines(self, head: bytes, stream: BinaryIO, encoding: str, offset: int) -> Iterator[Line]:
        """Yield the lines of an encoding in which the byte \\n always ends a line.

        Args:
            head: the first bytes, after the byte order mark.
            stream: the rest.
            encoding: the encoding.
            offset: position of `head` in the file.
        """
        ends_at_returns = b"\n" not in head and b"\r" in head[:-1]
        if ends_at_returns:
            self.decide(_RETURNS_ALONE)
        may_be_utf8 = None if encoding != "utf-8" else False  # None: there was no character yet that is not ASCII
        for raw, length in _split_at_returns(head, stream) if ends_at_returns else _split(head, stream):
            if length > MAX_LINE:
                yield "", f"the line is longer than {MAX_LINE >> 20} MB"
            else:
                text, reason = decode(raw, encoding, offset)
                if may_be_utf8 is not False and not raw.isascii():
                    may_be_utf8 = is_utf8(raw)
                yield text.removesuffix("\n").removesuffix("\r"), reason
            offset += length
        self._warn_of_utf8(bool(may_be_utf8))

    def _wide_lines(self, head: bytes, stream: BinaryIO, encoding: str, offset: int) -> Iterator[Line]:
        """Yield the lines of an encoding of WIDE, with the arguments of `_byte_lines`. Raise UserError for invalid text."""
        decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        chunk, rest, end = head, "", ""
        while True:
            try:
                rest += decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                raise self._bad_wide(encoding, f"near byte {offset + error.start}") from None
            offset += len(chunk)
            if not end:
                end = "\r" if "\n" not in rest and "\r" in rest[:-1] else "\n"
                if end == "\r":
                    self.decide(_RETURNS_ALONE)
            *lines, rest = rest.split(end)
            if not chunk and rest:
                lines.append(rest)
            for line in lines:
                yield line.removesuffix("\r"), None
            if not chunk:
                return
            if len(rest) > MAX_LINE:
                raise UserError(f"{self.path}: a line has more than {MAX_LINE >> 20} million characters")
            chunk = stream.read(_CHUNK)


def _split(head: bytes, stream: BinaryIO) -> Iterator[RawLine]:
    """Yield the lines of `head` and `stream`, which end at \\n."""
    *lines, rest = head.split(b"\n")
    yield from ((line + b"\n", len(line) + 1) for line in lines)
    while line := rest + stream.readline(MAX_LINE + 1):
        rest, length = b"", len(line)
        if length > MAX_LINE and not line.endswith(b"\n"):
            while piece := stream.readline(_CHUNK):
                length += len(piece)
                if piece.endswith(b"\n"):
                    break
        yield line, length


def _split_at_returns(head: bytes, stream: BinaryIO) -> Iterator[RawLine]:
    """Yield the lines of `head` and `stream`, which end at \\r, at \\n or at both."""
    rest, length, chunk = b"", 0, head
    while chunk or rest:
        next_chunk = stream.read(_CHUNK) if chunk else b""
        if chunk.endswith(b"\r") and next_chunk.startswith(b"\n"):
            chunk, next_chunk = chunk + b"\n", next_chunk[1:]
        *lines, last = _LONE_RETURN.sub(b"\n", chunk).split(b"\n")
        for line in lines:
            yield rest + line + b"\n", length + len(line) + 1
            rest, length = b"", 0
        length += len(last)
        rest = (rest + last)[: MAX_LINE + 1]
        if not chunk and rest:
            yield rest, length
            return
        chunk = next_chunk


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


def decode_utf8(raw: bytes, start: int = 0) -> Line:
    """Return (text, None), or (text with escapes, reason) for bytes that are not UTF-8. `start` is their position in the file."""
    return decode(raw, "utf-8", start)
