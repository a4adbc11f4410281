"""Take away the right to write into a folder, or to read it, for a while."""

import contextlib
import os
from pathlib import Path

NOBODY = 65534


@contextlib.contextmanager
def with_mode(folder: Path, mode: int):
    """Give a folder other permissions while the block runs. They hold for root too, who may do everything otherwise."""
    is_root = os.geteuid() == 0
    folder.chmod(mode)
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)


def read_only(folder: Path):
    """Take away the right to write into a folder while the block runs."""
    return with_mode(folder, 0o555)


def unreadable(folder: Path, mode: int = 0o000):
    """Take away the right to read a folder, or with 0o444 only the right to use what is in it, while the block runs."""
    return with_mode(folder, mode)
