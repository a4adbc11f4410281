"""Install all packages but Paddle into a folder, beside a Paddle that is already there: `python -m setup.beside FOLDER`.

This is for AI Studio and other machines whose image has a paddlepaddle-gpu that fits the driver. pip writes into the folder alone,
and neither the requirements nor what they need name Paddle, so the installed one is neither replaced nor removed. The versions are
those of the lock files, whose tools for tests and pages are left out. The folder goes in front of everything else on PYTHONPATH, so
that its versions are the ones that are imported. Only the standard library is imported here.
"""

import argparse
import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from setup.install import pins
from setup.requirement_files import LOCKS, ROOT

BASE = "requirements-base.txt"
DONE = "setup-complete.txt"  # written into the folder at the end; without it an installation was cut
PADDLES = ("paddlepaddle-gpu", "paddlepaddle")
NONE = (
    "no Paddle is installed for {python}. On AI Studio choose an environment with PaddlePaddle 3 when the project is started;"
    " elsewhere `make setup` installs everything."
)
TWO = (
    "both paddlepaddle and paddlepaddle-gpu are installed for {python}; they overwrite each other's files. On AI Studio start the"
    " environment again; elsewhere remove both and install one of them."
)
OLD = (
    "Paddle {version} is installed, and PaddleNLP 3 needs Paddle 3. On AI Studio choose an environment with PaddlePaddle 3 for the"
    " project instead of upgrading Paddle by hand: its build has to fit the driver."
)


def installed_paddles() -> dict[str, str]:
    """Return name -> version of the installed builds of Paddle."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()
        if name in PADDLES:
            found.setdefault(name, distribution.version)
    return found


def find_problem(paddles: dict[str, str], python: str) -> str | None:
    """Return why nothing can be installed beside these builds of Paddle (name -> version), or None if it can."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        return f"Python 3.10, 3.11 or 3.12 is needed; {python} is {sys.version.split()[0]}"
    if len(paddles) != 1:
        return (TWO if paddles else NONE).format(python=python)
    [version] = paddles.values()
    return None if int(version.split(".")[0]) >= 3 else OLD.format(version=version)


def main() -> int:
    """Install into the folder that the command line names, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m setup.beside", description="Install all packages but Paddle into a folder.")
    parser.add_argument("folder", type=Path, help="where to install, on AI Studio /home/aistudio/external-libraries")
    parser.add_argument("--also", nargs="+", default=[], metavar="PACKAGE", help="further packages, such as gradio")
    arguments = parser.parse_args()
    paddles = installed_paddles()
    if problem := find_problem(paddles, sys.executable):
        print(f"error: {problem}", file=sys.stderr)
        return 2
    folder = arguments.folder.expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DONE).unlink(missing_ok=True)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])  # the build tools are found there
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONPATH": path}
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--progress-bar", "off", "--upgrade", "--target", str(folder)]
    with tempfile.TemporaryDirectory() as temporary:
        constraints = Path(temporary) / "constraints.txt"
        lines = [*pins(LOCKS / "gpu.lock"), *(f"{name}=={version}" for name, version in paddles.items())]
        constraints.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        commands = [
            [*pip, "--require-hashes", "-r", str(LOCKS / "build.lock")],
            [*pip, "--no-build-isolation", "-c", str(constraints), "-r", str(ROOT / BASE), *arguments.also],
        ]
        for number, command in enumerate(commands, start=1):
            print(f"step {number} of {len(commands)}: pip install into {folder}", flush=True)
            if subprocess.run(command, env=environment).returncode:
                print("error: pip failed, see above. After a broken connection run the same command again.", file=sys.stderr)
                return 1
    if (folder / "paddle").exists():
        print(f"error: {folder / 'paddle'} hides the installed Paddle: remove it and its dist-info.", file=sys.stderr)
        return 1
    [(name, version)] = paddles.items()
    (folder / DONE).write_text(f"installed beside {name} {version}\n", encoding="utf-8")
    print(f"done; {name} {version} is as it was. Use it with:\n  export PYTHONPATH={folder}{os.pathsep}{ROOT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
