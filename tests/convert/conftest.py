"""Fixtures of the converter's tests."""

import shutil
from pathlib import Path

import pytest

from tests.support.checkpoints import unpack


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """Return a function name -> directory, such as checkpoints("bert/masked_lm"). It unpacks once a session; do not write to it."""
    root = tmp_path_factory.mktemp("fixtures")

    def directory(name: str) -> Path:
        family = name.split("/")[0]
        if not (root / family).is_dir():
            unpack(family, root / family)
        return root / name

    return directory


@pytest.fixture
def checkpoint_copy(checkpoints, tmp_path):
    """Return a function name -> a copy that the test may change. A second copy is merged into the first one's directory."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(checkpoints(name), tmp_path / "source", dirs_exist_ok=True))

    return copy


@pytest.fixture(autouse=True, scope="session")
def quiet():
    """Import Paddle and PaddleNLP without their banners before any test runs."""
    from paddle_ft.system.runtime import import_frameworks_quietly

    import_frameworks_quietly()
