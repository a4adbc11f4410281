"""What a machine and an installation are like. Facts only; what they mean is in verdicts.py."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

IMPORT_TIMEOUT = 180  # seconds

# Prints one line of JSON after paddle, one after paddlenlp: what came before a crash is still known.
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


def cache_folder() -> Path:
    """Where downloads and caches go; the same as paddle_ft.data.download.home(), which needs packages to import."""
    return Path(os.environ.get("PADDLE_FT_HOME") or Path.home() / ".cache" / "paddle_ft")


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    while not folder.is_dir():
        folder = folder.parent
    return folder


def write_error(folder: Path) -> str | None:
    """Why no file can be written into the folder (or into the one it would be made in); None where it can."""
    try:
        with tempfile.TemporaryFile(dir=existing(folder)):
            return None
    except OSError as error:
        return error.strerror or str(error)


def shared_memory() -> int | None:
    """Bytes that /dev/shm holds when empty; None where there is no such folder."""
    folder = Path("/dev/shm")
    return shutil.disk_usage(folder).total if folder.is_dir() else None


def installed_versions() -> dict[str, str]:
    """Registry name (lower case, "-" except in huggingface_hub) -> version, and "paddle" for whichever build is there."""
    versions = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            versions.setdefault(_normal(name), distribution.version)
    paddle = versions.get("paddlepaddle-gpu") or versions.get("paddlepaddle")
    return versions | {"paddle": paddle} if paddle else versions


def _normal(name: str) -> str:
    name = re.sub(r"[-_.]+", "-", name).lower()
    return "huggingface_hub" if name == "huggingface-hub" else name


def pinned_versions(project: Path) -> dict[str, str]:
    """What requirements-base.txt holds still, as registry name -> version; empty where there is no such file."""
    file = project / "requirements-base.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    pins = (re.match(r"([\w.-]+)==([\w.]+)", line) for line in lines)
    return {_normal(pin[1]): pin[2] for pin in pins if pin}


def nvidia_cards() -> list[dict] | None:
    """Cards that the NVIDIA driver shows: name, driver, total and free memory in bytes. None without nvidia-smi."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_nvidia_smi(output)


def parse_nvidia_smi(output: str) -> list[dict]:
    cards = []
    for line in output.strip().splitlines():
        name, driver, total, free = (part.strip() for part in line.split(","))
        megabyte = 1024**2
        sizes = [int(size) * megabyte if size.isdigit() else None for size in (total, free)]
        cards.append({"name": name, "driver": driver, "total": sizes[0], "free": sizes[1]})
    return cards


def probe_import(code: str = PROBE, timeout: float = IMPORT_TIMEOUT) -> tuple[dict, str | None]:
    """Runs `code` in a fresh Python. Returns the facts it printed and what stopped it, None where nothing did."""
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout)
        output, problem = done.stdout, failure(done.returncode, done.stderr)
    except subprocess.TimeoutExpired as expired:
        output = expired.stdout.decode() if isinstance(expired.stdout, bytes) else expired.stdout or ""
        problem = f"no end after {timeout:.0f} s"
    facts: dict = {}
    for line in output.splitlines():
        if line.startswith("@"):
            facts |= json.loads(line[1:])
    return facts, problem


def failure(returncode: int, stderr: str) -> str | None:
    """What ended a process that failed: its signal, or the last line it wrote."""
    if returncode == 0:
        return None
    if returncode < 0:
        return f"killed by {signal.Signals(-returncode).name}"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"exit code {returncode}"
