"""Test the permissions of a checkpoint's files."""

import os
import stat

import numpy as np
import pytest
from safetensors.numpy import save_file

from paddle_ft.runs.integrity import write_directory


def fill(folder):
    save_file({"weight": np.zeros(3)}, folder / "model.safetensors")  # with 0600, whatever the umask
    (folder / "config.json").write_text("{}")


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_all_files_have_the_permissions_of_a_new_file(tmp_path, umask, expected):
    before = os.umask(umask)
    try:
        write_directory(tmp_path / "best", fill)
    finally:
        os.umask(before)
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "best").rglob("*") if path.is_file()}
    assert files == dict.fromkeys(["model.safetensors", "config.json", "checksums.json"], expected)
