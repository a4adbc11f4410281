"""Collect facts about the machine and the installation. verdicts.py decides what they mean."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

IMPORT_TIMEOUT = 180  # seconds

# It prints one line of JSON after each import, so that the facts about paddle are known even if paddlenlp crashes.
PROBE = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import paddle
gpus = []
if paddle.is_compiled_with_cuda():
    for index in range(paddle.device.cuda.device_count()):
        card = paddle.device.cuda.get_device_properties(index)
        gpus.append({"name": card.name, "memory": card.total_memory})
if gpus:
    paddle.set_device("gpu")
square = paddle.ones([64, 64])
assert float((square @ square).sum()) == 64 ** 3, "a matrix product gave a wrong result"
cuda, cudnn = (paddle.version.cuda(), paddle.version.cudnn()) if paddle.is_compiled_with_cuda() else (None, None)
print("@" + json.dumps({"paddle": paddle.__version__, "cuda": cuda, "cudnn": cudnn, "gpus": gpus}), flush=True)
import paddlenlp
from paddlenlp.transformers import BartForConditionalGeneration
print("@" + json.dumps({"paddlenlp": paddlenlp.__version__}), flush=True)
"""


def existing_folder(folder: Path) -> Path:
    """Return the folder itself, or its nearest parent that exists."""
    while not folder.is_dir():
        folder = folder.parent
    return folder


def write_error(folder: Path) -> str | None:
    """Return why no file can be written into the folder, or into its nearest existing parent. None means that it works."""
    try:
        with tempfile.TemporaryFile(dir=existing_folder(folder)):
            return None
    except OSError as error:
        return error.strerror or str(error)


def shared_memory() -> int | None:
    """Return the size of /dev/shm in bytes, or None if this system does not have it."""
    folder = Path("/dev/shm")
    return shutil.disk_usage(folder).total if folder.is_dir() else None


def installed_versions() -> dict[str, str]:
    """Return package name -> version of everything that is installed.

    Names are in lower case with "-" between words, except huggingface_hub. The extra key "paddle" is the installed build of
    Paddle, for the CPU or the GPU.
    """
    versions: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            versions.setdefault(_normalized_name(name), distribution.version)
    paddle = versions.get("paddlepaddle-gpu") or versions.get("paddlepaddle")
    return versions | {"paddle": paddle} if paddle else versions


def _normalized_name(name: str) -> str:
    name = re.sub(r"[-_.]+", "-", name).lower()
    return "huggingface_hub" if name == "huggingface-hub" else name


def pinned_versions(source_tree: Path | None) -> dict[str, str]:
    """Return package name -> version of the pins in requirements-base.txt, which are also the dependencies of the wheel.

    Args:
        source_tree: the folder of the source, or None if paddle_ft is installed as a package, whose metadata then has them.
    """
    if source_tree:
        lines = (source_tree / "requirements-base.txt").read_text(encoding="utf-8").splitlines()
    else:
        lines = [line for line in importlib.metadata.requires("paddle_ft") or [] if "extra ==" not in line]
    pins = (re.match(r"([\w.-]+)==([\w.]+)", line) for line in lines)
    return {_normalized_name(pin[1]): pin[2] for pin in pins if pin}


def nvidia_cards() -> list[dict] | None:
    """Return what parse_nvidia_smi returns for this machine's GPUs, or None if nvidia-smi cannot be run."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_nvidia_smi(output)


def parse_nvidia_smi(output: str) -> list[dict]:
    """Parse the output of nvidia-smi.

    Args:
        output: lines of "name, driver version, total memory, free memory", the memory in MiB.

    Returns:
        {"name", "driver", "total", "free"} for each card. Memory is in bytes, or None if the driver does not report it.
    """
    cards = []
    for line in output.strip().splitlines():
        name, driver, total, free = (cell.strip() for cell in line.split(","))
        megabyte = 1024**2
        sizes = [int(size) * megabyte if size.isdigit() else None for size in (total, free)]
        cards.append({"name": name, "driver": driver, "total": sizes[0], "free": sizes[1]})
    return cards


def probe_import(code: str = PROBE, timeout: float = IMPORT_TIMEOUT) -> tuple[dict, str | None]:
    """Import paddle and paddlenlp in a new Python process.

    Args:
        code: what the process runs. It prints facts as lines of "@" followed by a JSON object.
        timeout: in seconds.

    Returns:
        The facts, merged into one dictionary, and why the process failed (None if it did not). If it did not end in time, it has
        not failed, and the facts have "timed_out": True.
    """
    facts: dict = {}
    try:
        process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout)
        output, problem = process.stdout, failure_reason(process.returncode, process.stderr)
    except subprocess.TimeoutExpired as expired:
        output = expired.stdout.decode() if isinstance(expired.stdout, bytes) else expired.stdout or ""
        problem, facts["timed_out"] = f"no end after {timeout:.0f} s", True
    for line in output.splitlines():
        if line.startswith("@"):
            facts |= json.loads(line[1:])
    return facts, problem


def failure_reason(returncode: int, stderr: str) -> str | None:
    """Return why a process failed: the signal that killed it, or the last line on stderr. None means that it did not fail."""
    if returncode == 0:
        return None
    if returncode < 0:
        return f"killed by {signal.Signals(-returncode).name}"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"exit code {returncode}"
