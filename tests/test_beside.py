"""Test `python -m setup.beside`: packages go into a folder, and the Paddle that is there stays as it is. The index is a folder."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from setup import beside
from setup.requirement_files import ROOT, requirement_lines


def write_wheel(folder: Path, name: str, requires: str = "") -> str:
    """Write a wheel with one module into an index and return its SHA-256."""
    wheel = folder / name / f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}\n"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(f"{module}.py", "answer = 42\n")
        file.writestr(f"{info}/METADATA", metadata)
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", f"{module}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    (wheel.parent / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


@pytest.fixture
def project(tmp_path):
    """Return a folder with the setup's code and locks for one package, an index, and an image's folder with a paddlepaddle-gpu."""
    shutil.copytree(ROOT / "setup", tmp_path / "setup", ignore=shutil.ignore_patterns("__pycache__", "*.lock"))
    digest = write_wheel(tmp_path / "index", "demo-package")
    write_wheel(tmp_path / "index", "paddle-user", "Requires-Dist: paddlepaddle-gpu\n")
    write_wheel(tmp_path / "index", "paddlepaddle-gpu")  # the other version that an index has
    for name in ("build.lock", "gpu.lock"):
        (tmp_path / "setup" / name).write_text(f"demo-package==1.0 \\\n    --hash=sha256:{digest}\n")
    (tmp_path / beside.BASE).write_text("demo-package==1.0\n")
    add_paddle(tmp_path / "image", "paddlepaddle_gpu", "3.1.0")
    return tmp_path


def add_paddle(image: Path, name: str, version: str) -> None:
    (image / "paddle").mkdir(parents=True, exist_ok=True)
    (image / "paddle" / "__init__.py").write_text(f"__version__ = {version!r}\n")
    info = image / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def install(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run the command with the image's packages and the index of the project only."""
    settings = {"PIP_INDEX_URL": (project / "index").as_uri(), "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1",
                "PIP_NO_WARN_CONFLICTS": "off",  # that is: no warnings; they need a look at all packages of the tests
                "PYTHONPATH": str(project / "image")}  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")} | settings
    # The Paddle of the tests' own environment is hidden, because a machine has one Paddle.
    code = (
        "import importlib.metadata as m, os, sys; every, image = m.distributions, sys.argv.pop(1)\n"
        "m.distributions = lambda: (d for d in every() if str(d.locate_file('')).startswith(image))\n"
        "sys.path.insert(0, os.getcwd())\n"
        "from setup.beside import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", code, str(project / "image"), str(project / "libraries"), *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=120)


def test_packages_go_into_the_folder_and_paddle_stays(project):
    before = sorted((project / "image").rglob("*"))
    for _ in range(2):  # also when it is run again
        done = install(project)
        assert done.returncode == 0, done.stderr
        assert "done; paddlepaddle-gpu 3.1.0 is as it was" in done.stdout
    assert (project / "libraries" / "demo_package.py").is_file() and not (project / "libraries" / "paddle").exists()
    assert sorted((project / "image").rglob("*")) == before


def test_an_interrupted_installation_is_not_taken_for_a_whole_one(project):
    done_file = project / "libraries" / beside.DONE
    assert install(project).returncode == 0 and done_file.read_text() == "installed beside paddlepaddle-gpu 3.1.0\n"
    assert install(project, "--also", "no-such-package").returncode == 1 and not done_file.exists()
    for source in (ROOT / "notebooks" / "source").glob("*.md"):  # which install only where the file is missing
        assert f'(LIBRARIES / "{beside.DONE}").is_file()' in source.read_text(encoding="utf-8"), source.name


def test_a_package_that_would_bring_another_paddle_is_refused(project):
    done = install(project, "--also", "paddle-user")
    assert done.returncode == 1 and "conflicting dependencies" in done.stderr
    assert not (project / "libraries" / "paddle").exists()


def test_two_paddles_are_refused_before_anything_is_installed(project):
    add_paddle(project / "image", "paddlepaddle", "3.1.0")
    done = install(project)
    assert done.returncode == 2 and "overwrite each other's files" in done.stderr
    assert not (project / "libraries").exists()


@pytest.mark.parametrize(
    ("paddles", "message"),
    [({}, "no Paddle is installed"), ({"paddlepaddle-gpu": "2.6.2"}, "choose an environment with PaddlePaddle 3"),
     ({"paddlepaddle-gpu": "3.3.1"}, None), ({"paddlepaddle": "3.0.0"}, None)],
)  # fmt: skip
def test_which_paddle_is_accepted(paddles, message):
    problem = beside.find_problem(paddles, "python")
    assert message in problem if message else problem is None


def test_requirements_name_no_paddle():
    names = {line.partition("==")[0] for line in requirement_lines(ROOT / beside.BASE)}
    pinned = {pin.partition("==")[0] for pin in beside.pins(beside.LOCKS / "gpu.lock")}
    assert "paddlenlp" in names and not (names | pinned) & set(beside.PADDLES)
