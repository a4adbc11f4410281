"""Create .venv and install the locked packages: `make setup`, or `python -m setup.install` on systems without make.

The terminal shows one line of progress, and the output of pip or uv goes to .venv/setup.log. Only the standard library is imported.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from setup.progress import Progress, installed_names
from setup.requirement_files import CPU, GPU, LOCKS, ROOT, recorded_digest, requirement_lines, requirements_digest

VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
LOG = VENV / "setup.log"
TAIL_LINES = 15
# Lines that pip repeats for every package. They are left out when a failed step is explained.
REPEATED_LINES = ("WARNING: Retrying", "WARNING: Location", "Requirement already satisfied", "Ignoring ")

AGAIN = "Then run `make setup` again: it keeps what is already downloaded."
# Pattern in the output of pip or uv -> what the user can do. The first one that matches is shown.
REMEDIES = {
    r"No space left on device|Errno 28": f"The disk is full: the downloads and .venv need about 3 GB. {AGAIN}",
    r"DO NOT MATCH THE HASHES|[Hh]ash mismatch": "The package index sent a file that differs from the one that was locked."
    f" Clear the download cache (pip cache purge, uv cache clean) or use another index. {AGAIN}",
    r"paddlepaddle-gpu": "paddlepaddle-gpu is only in Paddle's own index. Name the folder of your CUDA version, for example:\n"
    "  export PIP_EXTRA_INDEX_URL=https://www.paddlepaddle.org.cn/packages/stable/cu126/\n"
    f"{AGAIN}",
    r"NewConnectionError|ConnectTimeout|ReadTimeout|ConnectionError|ConnectionResetError|ProxyError|SSLError|SSL:|"
    r"from versions: none|name resolution|error sending request|tcp connect|timed out|[Ff]ailed to fetch": "The package index"
    " could not be reached. Check the connection; behind a proxy set HTTPS_PROXY; PIP_INDEX_URL names a mirror (uv gets it"
    f" too). {AGAIN}",
    r"ensurepip|No module named venv": "This Python cannot create environments. On Debian and Ubuntu: apt install python3-venv."
    " Or name another Python: make setup PYTHON=/path/to/python",
    r"No matching distribution|ResolutionImpossible|No solution found|not found in the package registry": "The package index"
    f" does not have a file that was locked. Use another index (PIP_INDEX_URL). {AGAIN}",
}


class StepFailed(Exception):
    """A command of the setup failed. Its output is in the log."""


def main() -> int:
    """Set up .venv as the command line asks, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m setup.install", description="Create .venv with the locked packages.")
    parser.add_argument("requirements", nargs="?", default=CPU, choices=[CPU, GPU], help=f"the variant (default: {CPU})")
    parser.add_argument("--installer", default="auto", choices=["auto", "uv", "pip"], help="auto: uv if it is installed")
    arguments = parser.parse_args()
    gpu = arguments.requirements == GPU
    lock = LOCKS / ("gpu.lock" if gpu else "cpu.lock")
    if problem := find_problem(lock, arguments.installer):
        print(f"error: {problem}", file=sys.stderr)
        return 2

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not (usable := environment_is_usable()) and VENV.exists():
        print("setup: .venv is not a Python 3.10 to 3.12 environment with pip; creating it again", flush=True)
        shutil.rmtree(VENV)
    VENV.mkdir(exist_ok=True)
    for stamp in VENV.glob(".installed-*"):
        stamp.unlink()
    LOG.write_bytes(b"")
    progress = Progress(LOG)
    try:
        if not usable:
            version = ".".join(map(str, sys.version_info[:3]))
            run([sys.executable, "-m", "venv", VENV], progress, f"creating .venv with Python {version}")
        remove_incomplete_packages()
        uv = None if arguments.installer == "pip" else shutil.which("uv")
        install(uv, gpu, lock, progress)
    except StepFailed as failure:
        progress.end()
        print(explain_failure(str(failure)), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        progress.end()
        print("setup: stopped. `make setup` continues; it keeps what is already downloaded.", file=sys.stderr)
        return 130
    (VENV / f".installed-{Path(arguments.requirements).stem}").touch()
    progress.end()
    print(f"setup: done in {progress.seconds():.0f} s; use it with: source .venv/bin/activate", flush=True)
    return 0


def find_problem(lock: Path, installer: str) -> str | None:
    """Return why the setup cannot start, or None if it can.

    Args:
        lock: the lock file to install.
        installer: "auto", "uv" or "pip".
    """
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        return f"Python 3.10, 3.11 or 3.12 is needed; this is {sys.version.split()[0]}: make setup PYTHON=/path/to/python"
    if recorded_digest(lock) != requirements_digest():
        return (
            f"the requirements*.txt files have changed since {lock.relative_to(ROOT)} was written. Run `make lock`,"
            " or install without the lock: pip install -r requirements.txt"
        )
    if installer == "uv" and not shutil.which("uv"):
        return "--installer uv: uv is not on the PATH"
    return None


def environment_is_usable() -> bool:
    """Return whether .venv has a supported Python and pip. An environment whose creation was stopped has not."""
    code = "import sys, pip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))"
    return PYTHON.exists() and subprocess.run([PYTHON, "-c", code], capture_output=True).returncode == 0


def remove_incomplete_packages() -> None:
    """Remove the records of packages whose installation was stopped, so that they are installed again.

    pip and uv treat a package as installed as soon as its METADATA file exists. They write its INSTALLER file last, so a package
    without that file is incomplete.
    """
    for record in site_packages().glob("*.dist-info"):
        if not (record / "INSTALLER").exists():
            shutil.rmtree(record)


def site_packages() -> Path:
    """Return the folder in .venv where packages are installed."""
    if os.name == "nt":
        return VENV / "Lib" / "site-packages"
    return next(VENV.glob("lib/python3*/site-packages"))


def install(uv: str | None, gpu: bool, lock: Path, progress: Progress) -> None:
    """Install the build requirements, the locked packages and, for a GPU, the wheel that cannot be locked.

    Args:
        uv: path of uv, or None to use pip.
        gpu: install the GPU variant.
        lock: the lock file.
        progress: shows the progress.

    Raises:
        StepFailed: a command failed.
    """
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    pip = [PYTHON, "-m", "pip", "install", "--progress-bar", "off"]
    command = pip
    if uv:
        environment |= uv_index()
        # Bytecode as pip writes it: without it every program compiles all of Paddle again where Python may not write it.
        command = [uv, "pip", "install", "--python", PYTHON, "--compile-bytecode"]
    name = "uv" if uv else "pip"
    command = [*command, "--require-hashes"]
    if ("paddlepaddle" if gpu else "paddlepaddle-gpu") in installed_names(site_packages()):
        # Both variants install files into the same folder, so removing one breaks the other. Therefore both are removed.
        uninstall = [PYTHON, "-m", "pip", "uninstall", "--yes", "paddlepaddle", "paddlepaddle-gpu"]
        run(uninstall, progress, "removing the other variant of paddlepaddle", environment)
    run([*command, "-r", LOCKS / "build.lock"], progress, f"installing build tools with {name}", environment)
    progress.count_packages(applicable_pins(lock), site_packages())
    run([*command, "--no-build-isolation", "-r", lock], progress, f"installing packages with {name}", environment)
    progress.count_packages([], None)
    if gpu:
        # Always with pip: Paddle documents its index for pip, and uv has other rules for choosing between two indexes.
        constraints = VENV / "constraints.txt"
        constraints.write_text("".join(f"{pin}\n" for pin in pins(lock)), encoding="utf-8")
        run([*pip, "-c", constraints, "-r", ROOT / GPU], progress, "installing paddlepaddle-gpu from Paddle's index", environment)


def uv_index() -> dict[str, str]:
    """Return the environment variable that makes uv use pip's index. It is {} if pip uses the default or uv has its own setting."""
    if {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & os.environ.keys():
        return {}
    config = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    index_urls = dict(re.findall(r"^(:env:|install|global)\.index-url='(.*)'$", config, re.MULTILINE))
    for scope in (":env:", "install", "global"):
        if scope in index_urls:
            return {"UV_DEFAULT_INDEX": index_urls[scope]}
    return {}


def pins(lock: Path) -> list[str]:
    """Return "name==version ; marker" for each package in a lock file and in the lock files that it includes."""
    return [line.removesuffix("\\").strip() for line in requirement_lines(lock) if not line.startswith("--hash")]


def applicable_pins(lock: Path) -> list[str]:
    """Return the names of the packages in a lock file that apply to this Python and platform.

    The markers are read by the pip of the environment, because the standard library cannot read them.
    """
    code = (
        "import sys; from pip._vendor.packaging.requirements import Requirement\n"
        "for line in sys.stdin.read().splitlines():\n"
        "    requirement = Requirement(line)\n"
        "    if requirement.marker is None or requirement.marker.evaluate(): print(requirement.name)"
    )
    process = subprocess.run([PYTHON, "-c", code], input="\n".join(pins(lock)), capture_output=True, text=True, check=True)
    return process.stdout.split()


def run(command: list, progress: Progress, step: str, environment: dict[str, str] | None = None) -> None:
    """Run a command and append its output to the log.

    Args:
        command: the program and its arguments.
        progress: shows the progress.
        step: what the command does, such as "installing packages".
        environment: environment variables. None: those of this process.

    Raises:
        StepFailed: the command failed.
    """
    with LOG.open("ab") as log:
        log.write(f"\n$ {' '.join(map(str, command))}\n".encode())
        log.flush()
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment)
        try:
            progress.start(step)
            while process.poll() is None:
                progress.show()
                time.sleep(0.2)
        except KeyboardInterrupt:
            stop(process)
            raise
    if process.returncode:
        raise StepFailed(step)


def stop(process: subprocess.Popen) -> None:
    """Stop a command after Ctrl-C.

    A terminal sends Ctrl-C to the command too, so it gets some time to clean up. If it does not end, it is terminated.
    """
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()


def explain_failure(step: str) -> str:
    """Return the message for a failed step: the last lines of the log, the path of the log, and what the user can do."""
    text = LOG.read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(REPEATED_LINES)]
    tail = "\n".join(f"  {line[:200]}" for line in lines[-TAIL_LINES:])
    tail = re.sub(r"(?<=://)[^/\s]+(?=@)", "***", tail)  # the name and the password of a package index
    output = text.rsplit("\n$ ", 1)[-1].partition("\n")[2]
    remedy = next((remedy for pattern, remedy in REMEDIES.items() if re.search(pattern, output)), f"See the log. {AGAIN}")
    return f"{tail}\n\nerror: setup failed while {step}. The complete output is in {LOG.relative_to(ROOT)}.\n{remedy}"


if __name__ == "__main__":
    sys.exit(main())
