"""Make a folder read-only for a while."""

import contextlib
import os
from pathlib import Path

NOBODY = 65534


@contextlib.contextmanager
def read_only(folder: Path):
    """Take away the right to write into a folder while the block runs, also from root, who may write everywhere otherwise."""
    is_root = os.geteuid() == 0
    folder.chmod(0o555)
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)
