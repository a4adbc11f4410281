"""What is different on Baidu AI Studio: which folders survive a restart, and that the Paddle of the image must stay.

Source: the first cells that AI Studio puts into a notebook project. Changes in data/ are lost, those in work/ are kept, and
packages that shall stay go into external-libraries/. Nobody has run the doctor there.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from paddle_ft.system.doctor.verdicts import OK, WARNING, Check
from paddle_ft.system.installation import AI_STUDIO_IMAGE, install_beside

# checks that only another environment puts right
ABOUT_THE_IMAGE = ("Python", "paddle", "import paddle", "CUDA")


def check_folder(name: str, folder: Path, home: Path) -> Check:
    """Check that what is written into a folder is still there after the project restarts.

    Args:
        name: "working folder" or "cache folder".
        folder: its path.
        home: AI Studio's home folder.
    """
    text = f"{name} {folder}"
    remedy = f"work in {home / 'work'}" if name == "working folder" else f"export PADDLE_FT_HOME={home / 'work' / 'cache'}"
    if folder == home / "data" or home / "data" in folder.parents:
        return Check(WARNING, "AI Studio", text, f"{remedy}: changes in {home / 'data'} are lost after a restart")
    if folder != home and home not in folder.parents:
        return Check(WARNING, "AI Studio", text, f"{remedy}: what is not below {home} is lost after a restart")
    return Check(OK, "AI Studio", f"{text} survives a restart")


def with_safe_remedy(check: Check, folder: Path) -> Check:
    """Return a check whose remedy leaves the image's paddlepaddle-gpu as it is.

    Elsewhere the remedies install packages with pip or `make setup`. On AI Studio the packages go into a folder of their own, and
    Paddle comes with the environment.

    Args:
        check: any check.
        folder: the folder for packages, which installation.ai_studio_packages returns.
    """
    if check.level == OK or not any(word in check.remedy for word in ("pip", "make setup", "requirements")):
        return check
    if check.name in ABOUT_THE_IMAGE or "paddlepaddle" in check.remedy:
        return dataclasses.replace(check, remedy=AI_STUDIO_IMAGE)
    return dataclasses.replace(check, remedy=install_beside(folder))
