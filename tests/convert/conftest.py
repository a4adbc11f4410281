"""Fixtures of the converter's tests: the tiny checkpoints of tests/fixtures, unpacked once a session."""

import tarfile
from pathlib import Path

import pytest

ARCHIVES = Path(__file__).parent.parent / "fixtures"


def fixture_names(*families: str) -> list[str]:
    """ "bert/masked_lm", "bert/masked_lm-old", ...: every checkpoint of every archive, or of these families' archives."""
    names = []
    for archive in sorted(ARCHIVES.glob("*.tar.xz")):
        family = archive.name.removesuffix(".tar.xz")
        if family == "tokenizers" or (families and family not in families):
            continue
        with tarfile.open(archive) as tar:
            names += [f"{family}/{member.name}" for member in tar if member.isdir() and "/" not in member.name]
    return names


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """checkpoints("bert/masked_lm") -> the directory; treat it as read-only."""
    root = tmp_path_factory.mktemp("fixtures")

    def directory(name: str) -> Path:
        family = name.split("/")[0]
        if not (root / family).is_dir():
            with tarfile.open(ARCHIVES / f"{family}.tar.xz") as archive:
                archive.extractall(root / family, filter="data")
        return root / name

    return directory


@pytest.fixture(autouse=True, scope="session")
def quiet():
    from paddle_ft.system.runtime import import_frameworks_quietly

    import_frameworks_quietly()
