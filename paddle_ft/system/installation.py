"""How paddle_ft is installed: in the folder of its source, or as a package."""

from __future__ import annotations

from pathlib import Path

PARENT = Path(__file__).resolve().parents[2]  # contains the package paddle_ft; child processes need it on PYTHONPATH

# The folder of the source, with train.py and configs/. None if paddle_ft was installed into an environment by `pip install`.
SOURCE_TREE = PARENT if (PARENT / "train.py").is_file() and (PARENT / "setup" / "install.py").is_file() else None

PADDLE_VERSION = "3.3.1"
PADDLE_INDEX = "https://www.paddlepaddle.org.cn/packages/stable/cu126/"
INSTALL_PADDLE = (
    f"pip install paddlepaddle=={PADDLE_VERSION}; for an NVIDIA GPU instead:"
    f" pip install paddlepaddle-gpu=={PADDLE_VERSION} --extra-index-url {PADDLE_INDEX}"
)


def install_hint(package: str) -> str:
    """Return what to do if a package that paddle_ft needs is not installed.

    Args:
        package: the name of the module that is missing, for example "paddle".
    """
    if SOURCE_TREE:
        return "Run `make setup` and use .venv/bin/python, or: pip install -r requirements.txt"
    if package == "paddle":
        return f"paddle_ft leaves the choice between CPU and GPU to you: {INSTALL_PADDLE}"
    return "Install paddle_ft again with its dependencies: pip install --force-reinstall WHEEL-OR-FOLDER"
