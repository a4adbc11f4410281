"""Test that archives are read within bounds, and that none is unpacked that would write elsewhere."""

import gzip
import io
import re
import struct
import tarfile
import zipfile

import pytest

from paddle_ft.data import archives
from paddle_ft.data.archives import MAX_MEMBER, read_tar_member, read_zip_member, refuse_unsafe
from paddle_ft.system.errors import UserError


def write_tar(path, *members):
    """Write a tar archive of (name, type, target of the link, size that the header has) with four bytes each."""
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, link, size in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, link, size
            archive.addfile(info, io.BytesIO(b"text") if size == 4 else None)
    return str(path)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (("/etc/x", tarfile.REGTYPE, "", 4), "'/etc/x' in it would be written outside its folder"),
        (("a/../../x", tarfile.REGTYPE, "", 4), "'a/../../x' in it would be written outside its folder"),
        (("a\\..\\..\\x", tarfile.REGTYPE, "", 4), "would be written outside its folder"),
        (("C:/x", tarfile.REGTYPE, "", 4), "'C:/x' in it would be written outside its folder"),
        (("x", tarfile.SYMTYPE, "/etc", 0), "'x' in it is a link"),
        (("x", tarfile.LNKTYPE, "../x", 0), "'x' in it is a link"),
        (("x", tarfile.CHRTYPE, "", 0), "'x' in it is a device"),
        (("x", tarfile.FIFOTYPE, "", 0), "'x' in it is a device"),
        ((".", tarfile.REGTYPE, "", 4), "'.' in it is a file without a name"),
        (("x", tarfile.REGTYPE, "", 2**50), "it has more than the "),
    ],
)
def test_tar_archives_that_are_not_unpacked(tmp_path, member, message):
    path = write_tar(tmp_path / "data.tar.gz", ("good/file.txt", tarfile.REGTYPE, "", 4), ("good", tarfile.DIRTYPE, "", 0), member)
    with pytest.raises(UserError, match=re.escape(message)):
        refuse_unsafe(path)


def test_good_archives_are_unpacked(tmp_path):
    refuse_unsafe(write_tar(tmp_path / "data.tar.gz", ("CoLA/train.tsv", tarfile.REGTYPE, "", 4), ("./", tarfile.DIRTYPE, "", 0)))
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("CoLA/train.tsv", "text")
    refuse_unsafe(str(tmp_path / "data.zip"))


def test_zip_archives_that_are_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("../x", "text")
    with pytest.raises(UserError, match="'../x' in it would be written outside its folder"):
        refuse_unsafe(str(tmp_path / "data.zip"))
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr(".", "text")
    with pytest.raises(UserError, match="'.' in it is a file without a name"):
        refuse_unsafe(str(tmp_path / "data.zip"))
    (tmp_path / "data.zip").write_bytes(b"PK no archive")
    with pytest.raises(UserError, match="data.zip: not an archive, or a damaged one .*; download it again"):
        refuse_unsafe(str(tmp_path / "data.zip"))


def test_a_gzip_archive_with_a_wrong_checksum_is_refused(tmp_path):
    path = tmp_path / "data.tar.gz"
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("train.tsv"))
    content = bytearray(gzip.compress((tmp_path / "data.tar").read_bytes()[:512]))  # without the end, so that all of it is read
    content[-8] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"data.tar.gz: not an archive, or a damaged one \(CRC check failed .*; download it again"):
        refuse_unsafe(str(path))


def test_a_file_that_cannot_be_read_is_not_called_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        refuse_unsafe(str(tmp_path / "data.tar.gz"))


def test_a_large_member_is_not_read_into_memory(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("train.txt", "text")
    path = tmp_path / "data.zip"
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 4), struct.pack("<I", MAX_MEMBER + 1)))
    with pytest.raises(UserError, match="train.txt in this archive has more than 512 MB; this is not the published archive"):
        read_zip_member(str(path), lambda names: names[0])
    monkeypatch.setattr(archives, "MAX_MEMBER", 3)
    path = write_tar(tmp_path / "data.tar.gz", ("a.txt", tarfile.REGTYPE, "", 4))
    with tarfile.open(path) as archive, pytest.raises(UserError, match="a.txt in this archive has more than"):
        read_tar_member(path, archive, archive.getmembers()[0])
