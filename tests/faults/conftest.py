"""A training of seconds in processes of its own, and a disk of a few megabytes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faults import Training
from tests.support.prepared import Preparation, shared_preparation


@pytest.fixture(scope="package")
def prepared() -> Preparation:
    """Return the process that commands are started from."""
    return shared_preparation()


@pytest.fixture(scope="package")
def uninterrupted(tmp_path_factory, prepared) -> Path:
    """Return the run of the training that nothing happens to."""
    training = Training(tmp_path_factory.mktemp("uninterrupted"), prepared)
    training.start().check()
    return training.run


@pytest.fixture
def training(tmp_path, prepared) -> Training:
    """Return a training that has not begun."""
    return Training(tmp_path, prepared)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """Return a folder on a disk of its own, of 8 MB. Skip the test where nobody may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]).returncode == 0
    if not mounted:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
