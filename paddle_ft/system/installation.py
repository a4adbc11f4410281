"""How paddle_ft is installed: in the folder of its source, or as a package, and whether this is Baidu AI Studio.

Every message that says what to install takes its words from here, because a file or a command of the source is not there in an
installed package, and because nothing may replace the Paddle of an AI Studio image: its build has to fit the driver.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

PARENT = Path(__file__).resolve().parents[2]  # contains the package paddle_ft; child processes need it on PYTHONPATH

# The folder of the source, with train.py and configs/. None if paddle_ft was installed into an environment by `pip install`.
SOURCE_TREE = PARENT if (PARENT / "train.py").is_file() and (PARENT / "setup" / "install.py").is_file() else None

PADDLE_VERSION = "3.3.1"
PADDLE_INDEX = "https://www.paddlepaddle.org.cn/packages/stable/cu126/"
INSTALL_CPU = f"pip install paddlepaddle=={PADDLE_VERSION}"
INSTALL_GPU = f"pip install paddlepaddle-gpu=={PADDLE_VERSION} --extra-index-url {PADDLE_INDEX}"
INSTALL_PADDLE = f"{INSTALL_CPU}; for an NVIDIA GPU instead: {INSTALL_GPU}"

# Baidu AI Studio: the home folder of every notebook project, and the folder that script tasks have (docs/aistudio.md).
AI_STUDIO_HOME = Path("/home/aistudio")
AI_STUDIO_TASK = Path("/root/paddlejob")
AI_STUDIO_IMAGE = (
    "choose an environment with PaddlePaddle 3 and Python 3.10 to 3.12 when the project is started; do not replace its Paddle with"
    " pip: the build has to fit the driver"
)


def train_program() -> str:
    """Return the program that trains, as it is called from the working directory, which may be a folder of the user's own."""
    if SOURCE_TREE:
        return f"python {shlex.quote(os.path.relpath(SOURCE_TREE / 'train.py'))}"
    return "python -m paddle_ft train"


def ai_studio_packages() -> Path | None:
    """Return the folder that takes further packages on AI Studio, or None if this is another machine.

    A project keeps its folder after a restart; a script task runs once, so a folder next to its code will do.
    """
    if AI_STUDIO_HOME.is_dir():
        return AI_STUDIO_HOME / "external-libraries"
    return Path("libraries") if AI_STUDIO_TASK.is_dir() else None


def install_beside(folder: Path) -> str:
    """Return how to install everything but Paddle into a folder on AI Studio."""
    return f"python -m setup.beside {folder} in the repository, then export PYTHONPATH={folder} (Paddle stays as it is)"


def install_hint(package: str, build: str | None = None) -> str:
    """Return what to do if something that paddle_ft needs is not installed, or is the wrong version or build.

    Args:
        package: "python", "paddle", or the name of any other module.
        build: for "paddle": "cpu" or "gpu" if only this build will do.
    """
    if folder := ai_studio_packages():
        if package not in ("python", "paddle"):
            return install_beside(folder)
        return f"start the project with a GPU; {AI_STUDIO_IMAGE}" if build == "gpu" else AI_STUDIO_IMAGE
    if package == "python":
        make = "make setup PYTHON=python3.11" if SOURCE_TREE else "install paddle_ft into an environment that has it"
        return f"Python 3.10, 3.11 or 3.12 is needed: {make}"
    if SOURCE_TREE:
        if build == "gpu":
            return "make setup REQUIREMENTS=requirements-gpu.txt"
        if package == "paddle" and build is None:
            return "run `make setup`, for an NVIDIA GPU `make setup REQUIREMENTS=requirements-gpu.txt`, and use .venv/bin/python"
        return "run `make setup` and use .venv/bin/python"
    if build == "gpu":
        return f"pip uninstall -y paddlepaddle, then {INSTALL_GPU}"
    if build == "cpu":
        return f"pip uninstall -y paddlepaddle-gpu, then {INSTALL_CPU}"
    if package == "paddle":
        return f"paddle_ft leaves the choice between CPU and GPU to you: {INSTALL_PADDLE}"
    return "install paddle_ft again with its dependencies: pip install --force-reinstall WHEEL-OR-FOLDER"
