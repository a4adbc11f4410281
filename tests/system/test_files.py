"""Test what is said about errors of disks."""

import errno
import os
from collections import namedtuple
from pathlib import Path

import pytest

from paddle_ft.cli import main
from paddle_ft.system import files
from paddle_ft.system.files import describe_file_error


def test_a_file_is_named():
    assert describe_file_error(OSError(errno.EACCES, "Permission denied", "/a/b")) == "/a/b: Permission denied."
    assert describe_file_error(FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")) == (
        "No usable temporary directory found in ['/tmp']."
    )


def test_a_full_disk_is_named_if_the_file_is_not_known(tmp_path, monkeypatch):
    """As it is for a write into an open file, which fails when Python flushes it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "full"))
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "missing"))
    (tmp_path / "full").mkdir()
    free = namedtuple("usage", "total used free")
    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: free(1, 1, 0 if "full" in folder else 2**30))
    assert describe_file_error(OSError(errno.ENOSPC, "No space left on device")) == (
        f"No space left on device: {tmp_path}/full (TMPDIR)."
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, which Linux has")
def test_the_command_line_ends_with_one_error(monkeypatch, capsys):
    monkeypatch.setattr("paddle_ft.cli._run", lambda argv, program: Path("/dev/full").write_bytes(b"x"))
    assert main(["train"]) == 2
    assert capsys.readouterr().err.startswith("error: No space left on device")
