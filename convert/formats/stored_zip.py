"""Read zip archives whose members are not compressed, as torch.save writes them, and check all that can be damaged in them.

Nothing is unpacked, so an archive cannot become larger than it is.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from convert.errors import ConvertError

MAGIC = b"PK\x03\x04"
HEADER = struct.Struct("<4s22xHH")  # of a member: signature, length of its name, length of its extra field
UTF8_NAME, ENCRYPTED = 0x800, 0x1  # bits of a member's flags


@dataclass(frozen=True)
class Member:
    """A member of the archive.

    Attributes:
        name: Its name.
        start: Where its header begins in the file.
        offset: Where its bytes begin.
        size: Their number.
        stored: Whether the bytes are there as they are: neither compressed nor encrypted.
        crc: Their CRC-32; 0 if the writer computed none, which torch can be told.
    """

    name: str
    start: int
    offset: int
    size: int
    stored: bool
    crc: int

    @property
    def end(self) -> int:
        """Return the position after the last byte."""
        return self.offset + self.size


def read_members(path: Path) -> dict[str, Member]:
    """Return the members of an archive by name, without reading their bytes.

    Raises:
        ConvertError: The directory at the archive's end, or the header of a member, is damaged.
    """
    if not zipfile.is_zipfile(path):
        raise ConvertError(f"{path}: a zip archive without a directory at its end; is the download complete?")
    try:
        with zipfile.ZipFile(path) as archive:
            entries, directory = archive.infolist(), archive.start_dir
    except Exception as error:  # zipfile lets errors of many types through
        raise ConvertError(f"{path}: the directory of the zip archive is damaged ({type(error).__name__}: {error})") from None
    with open(path, "rb") as file:
        members = [_member(path, file, entry) for entry in sorted(entries, key=lambda entry: entry.header_offset)]
    for member, end in zip(members, [*(following.start for following in members[1:]), directory], strict=True):
        if member.end > end:
            raise ConvertError(f"{path}: zip entry {member.name} reaches into what comes after it; the archive is damaged")
    result = {member.name: member for member in members}
    if len(result) != len(members):
        raise ConvertError(f"{path}: the zip archive names a member twice")
    return result


def _member(path: Path, file, entry: zipfile.ZipInfo) -> Member:
    """Return a member of the directory after a check of its header, whose name must be the same. Other lengths may differ."""
    file.seek(entry.header_offset)
    header = file.read(HEADER.size)
    if len(header) < HEADER.size or header[:4] != MAGIC:
        raise ConvertError(f"{path}: damaged zip entry {entry.filename}")
    _, name_length, extra_length = HEADER.unpack(header)
    name = file.read(name_length).decode("utf-8" if entry.flag_bits & UTF8_NAME else "cp437", errors="replace")
    if name != entry.orig_filename:
        raise ConvertError(f"{path}: zip entry {entry.filename} is called {name!r} where its bytes are; the archive is damaged")
    stored = entry.compress_type == zipfile.ZIP_STORED and entry.compress_size == entry.file_size
    stored = stored and not entry.flag_bits & ENCRYPTED
    offset = entry.header_offset + HEADER.size + name_length + extra_length
    return Member(entry.filename, entry.header_offset, offset, entry.compress_size, stored, entry.CRC)


def read_member(path: Path, member: Member, limit: int) -> bytes:
    """Return the bytes of a member.

    Raises:
        ConvertError: It is compressed or damaged, or has more than `limit` bytes.
    """
    if not member.stored:
        raise ConvertError(f"{path}: zip entry {member.name} is compressed, which torch.save does not do")
    if member.size > limit:
        raise ConvertError(f"{path}: zip entry {member.name} has {member.size} bytes, which no model needs")
    check_crc(path, member)
    with open(path, "rb") as file:
        file.seek(member.offset)
        return file.read(member.size)


def check_crc(path: Path, member: Member) -> None:
    """Raise a ConvertError if the bytes of a member are not those that were written. torch itself does not check this."""
    if not member.crc:
        return
    remaining, crc = member.size, 0
    with open(path, "rb") as file:
        file.seek(member.offset)
        while remaining > 0 and (block := file.read(min(remaining, 1 << 20))):
            crc = zlib.crc32(block, crc)
            remaining -= len(block)
    if crc != member.crc:
        checksums = f"its CRC-32 is {crc:08x}, the archive says {member.crc:08x}"
        raise ConvertError(f"{path}: zip entry {member.name} is damaged: {checksums}")
