"""Read and check archives that others made: nothing is written outside the folder, and nothing large is taken into memory.

Our own readers read members without unpacking them. PaddleNLP's data sets are unpacked by PaddleNLP, which trusts the names in an
archive, so `refuse_unsafe` looks at it first.
"""

from __future__ import annotations

import lzma
import os
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from paddle_ft.system.errors import UserError

MAX_MEMBER = 2**29  # bytes of a member that is read into memory (512 MB); the largest published ones have a tenth of that
# What zipfile and tarfile raise for damaged archives, besides their own errors.
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError,
          struct.error, OverflowError)  # fmt: skip


def read_zip_member(path: str, choose: Callable[[list[str]], str]) -> tuple[str, bytes]:
    """Return the name and the content of a member of a zip archive.

    Args:
        path: the archive.
        choose: returns the name of the member, from the names of all. It may raise UserError.

    Raises:
        UserError: the archive is damaged, or the member is too large.
        OSError: the file cannot be read.
    """
    with _explained(path), zipfile.ZipFile(path) as archive:
        name = choose(archive.namelist())
        if archive.getinfo(name).file_size > MAX_MEMBER:
            raise _too_large(path, name)
        return name, archive.read(name)


def read_tar_member(path: str, archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Return the content of a member that is a file. Raise UserError if it is too large. `path` is the archive's, for messages."""
    if member.size > MAX_MEMBER:
        raise _too_large(path, member.name)
    stream = archive.extractfile(member)
    return stream.read() if stream else b""


def refuse_unsafe(path: str) -> None:
    """Raise UserError if unpacking an archive, beside it, would write elsewhere, make a link or a device, or fill the disk.

    Args:
        path: a .zip or tar archive, compressed or not. Another file, or one that is damaged, is refused as well.
    """
    free = shutil.disk_usage(os.path.dirname(path) or ".").free
    unpacked = 0
    with _explained(path):
        for name, size, kind in _zip_members(path) if zipfile.is_zipfile(path) else _tar_members(path):
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name.replace("\\", "/")).parts or ":" in name[:3]:
                raise UserError(f"{path}: this archive is not unpacked, because {name!r} in it would be written outside its folder")
            if kind:
                raise UserError(f"{path}: this archive is not unpacked, because {name!r} in it is a {kind}")
            unpacked += size
            if unpacked > free:
                raise UserError(f"{path}: this archive is not unpacked: it has more than the {free / 1e9:.1f} GB that are free")


def _zip_members(path: str) -> Iterator[tuple[str, int, str]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            yield member.filename, member.file_size, "" if member.filename.endswith("/") else _nameless(member.filename)


def _tar_members(path: str) -> Iterator[tuple[str, int, str]]:
    """Yield the name, the size and, unless it is a folder or a file with a name, the kind of each member."""
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile():
                kind = _nameless(member.name)
            else:
                kind = "" if member.isdir() else "link" if member.issym() or member.islnk() else "device"
            yield member.name, member.size, kind


def _nameless(name: str) -> str:
    """Return what is wrong with the name of a file that would be written over the folder itself, or ""."""
    return "" if PurePosixPath(name).parts else "file without a name"


def _too_large(path: str, name: str) -> UserError:
    return UserError(f"{path}: {name} in this archive has more than {MAX_MEMBER >> 20} MB; this is not the published archive")


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the system; gzip and bz2 raise an OSError without a number for damaged data
        reason = str(error).split("\n", 1)[0].rstrip(":")
        raise UserError(f"{path}: not an archive, or a damaged one ({reason}); download it again") from None
