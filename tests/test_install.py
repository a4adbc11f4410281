"""Test `make setup` after an interruption, offline, and on a damaged environment, with a local index of one package."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from setup import install
from setup.progress import Progress
from setup.requirement_files import ALL_FILES, ROOT, requirements_digest

WHEEL = "demo_package-1.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a folder with the setup's code, requirement files and locks for one package, and a local index that has it."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "setup", root / "setup", ignore=shutil.ignore_patterns("__pycache__", "*.lock"))
    for name in ALL_FILES:
        (root / name).write_text("demo-package==1.0\n")
    folder = root / "index" / "demo-package"
    folder.mkdir(parents=True)
    info = "demo_package-1.0.dist-info"
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("demo_package.py", "answer = 42\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: demo-package\nVersion: 1.0\n\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"demo_package.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    (folder / "index.html").write_text(f'<a href="{WHEEL}">{WHEEL}</a>')
    write_locks(root, hashlib.sha256((folder / WHEEL).read_bytes()).hexdigest())
    return root


def write_locks(root: Path, digest: str) -> None:
    for name in ("build.lock", "cpu.lock"):
        header = f"# requirements: sha256:{requirements_digest(root)}\n"
        (root / "setup" / name).write_text(f"{header}demo-package==1.0 \\\n    --hash=sha256:{digest}\n")


def start(project: Path, index: str) -> subprocess.Popen:
    """Start the setup with pip and this index only."""
    settings = {"PIP_INDEX_URL": index, "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1", "PIP_NO_CACHE_DIR": "1"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")} | settings
    command = [sys.executable, "-m", "setup.install", "--installer", "pip"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=project, env=environment, start_new_session=True, **pipes)


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error."""
    output, errors = process.communicate(timeout=120)
    assert "Traceback" not in errors
    return process.returncode, output, errors


def local_index(project: Path) -> str:
    return (project / "index").as_uri()


def stamps(project: Path) -> list[str]:
    return [path.name for path in (project / ".venv").glob(".installed-*")]


def test_setup_is_interrupted_and_completed(project):
    # Ctrl-C while pip waits for an index that never answers.
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = start(project, f"http://127.0.0.1:{server.getsockname()[1]}")
        log = project / ".venv" / "setup.log"
        deadline = time.monotonic() + 100
        while not (log.exists() and "Looking in indexes" in log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        code, _, errors = finish(process)
    assert code == 130
    assert "setup: stopped. `make setup` continues" in errors
    assert stamps(project) == []

    # A closed port: the message has the end of the log, its path and what to do.
    code, output, errors = finish(start(project, "http://127.0.0.1:9"))
    assert code == 1
    assert "No matching distribution found for demo-package==1.0" in errors
    assert ".venv/setup.log" in errors and "could not be reached" in errors
    assert "installing build tools with pip" in output and "Retrying" not in output
    assert stamps(project) == []

    # The index answers: the same .venv is completed.
    code, output, errors = finish(start(project, local_index(project)))
    assert (code, errors) == (0, "")
    assert stamps(project) == [".installed-requirements"]
    lines = output.splitlines()
    assert all(line.startswith("setup: ") for line in lines) and len(lines) < 10
    assert any("1 of 1" in line or "0 of 1" in line for line in lines)

    # A package whose installation was interrupted has METADATA but no INSTALLER.
    [packages] = (project / ".venv").glob("lib/python3*/site-packages")
    (packages / "demo_package.py").unlink()
    (packages / "demo_package-1.0.dist-info" / "INSTALLER").unlink()
    assert finish(start(project, local_index(project)))[0] == 0
    assert (packages / "demo_package.py").read_text() == "answer = 42\n"

    # A file that differs from the locked one is refused, and the environment no longer counts as set up.
    shutil.rmtree(packages / "demo_package-1.0.dist-info")
    write_locks(project, "0" * 64)
    code, _, errors = finish(start(project, local_index(project)))
    assert code == 1
    assert "differs from the one that was locked" in errors
    assert stamps(project) == []


@pytest.mark.parametrize(
    ("output", "remedy"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("error: Failed to fetch: x\n  cause: tcp connect error", "could not be reached"),
        ("cause: Hash mismatch for `tqdm==4.70.1`", "differs from the one that was locked"),
        ("ERROR: No matching distribution found for paddlepaddle-gpu==3.3.1", "PIP_EXTRA_INDEX_URL="),
        ("ERROR: No matching distribution found for tqdm==4.70.1", "does not have a file"),
        ("something else", "See the log"),
    ],
)
def test_a_failure_says_what_to_do(tmp_path, monkeypatch, output, remedy):
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(install, "LOG", tmp_path / "setup.log")
    install.LOG.write_text("")
    command = [sys.executable, "-c", f"print({output!r}); raise SystemExit(3)"]
    with pytest.raises(install.StepFailed):
        install.run(command, Progress(install.LOG), "installing packages")
    message = install.explain_failure("installing packages")
    assert output.splitlines()[-1] in message
    assert "setup failed while installing packages" in message and "setup.log" in message
    assert remedy in message


def test_progress_counts_packages(tmp_path):
    log = tmp_path / "setup.log"
    packages = tmp_path / "site-packages"
    (packages / "PyYAML-6.0.3.dist-info").mkdir(parents=True)
    progress = Progress(log)
    progress.count_packages(["pyyaml", "huggingface-hub", "tqdm", "numpy"], packages)
    progress.step = "installing packages"
    log.write_text("\n$ pip install\nCollecting huggingface_hub==0.36.2 (from -r x)\n  Downloading huggingface_hub-0.36.2.whl\n")
    assert "installing packages: 2 of 4, " in progress.text()
    with log.open("a") as file:
        file.write("Processing /wheels/tqdm-4.70.1-py3-none-any.whl\nCollecting numpy==1.26.4\n")
    assert "4 of 4, " in progress.text()
    with log.open("a") as file:
        file.write("Installing collected packages: tqdm, numpy, huggingface_hub\n")
    assert "1 of 4 installed, " in progress.text()
