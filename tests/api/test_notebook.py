"""Run the API in a real Jupyter kernel: progress, display, errors, and a notebook's stop button."""

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

from tests.support.paths import ROOT
from tests.support.tiny_recipes import tiny_settings

PROGRESS = """
import time

clock, now = time.time, [1000.0]
time.time = lambda: now[0]  # so that the test need not wait; before tqdm is imported
from paddle_ft.system.progress import Progress, print_info

time.time = clock
with Progress(10, "outer") as outer:
    for number in range(10):
        with Progress(4, "inner") as inner:
            for _ in range(4):
                now[0] += 1
                inner.update()
        outer.update()
        if number == 3:
            print_info("a message")
print_info("done")
"""


class Notebook:
    """A kernel that runs cells."""

    def __init__(self, folder: Path):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
        self.manager, self.client = start_new_kernel(kernel_name="python3", env=environment, cwd=str(folder))

    def run(self, code: str, interrupt_at: str | None = None) -> dict:
        """Run a cell.

        Args:
            code: its code.
            interrupt_at: press the stop button when the cell prints this.

        Returns:
            "stdout" and "stderr" as text, "error" as the lines of a traceback, "result" with the displayed MIME types.
        """
        shown = {"stdout": "", "stderr": "", "error": [], "result": {}}

        def collect(message: dict) -> None:
            nonlocal interrupt_at
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                shown[content["name"]] += content["text"]
                if interrupt_at and interrupt_at in shown["stdout"]:
                    interrupt_at = None
                    self.manager.interrupt_kernel()
            elif kind == "error":
                shown["error"] = content["traceback"]
            elif kind in ("execute_result", "display_data"):
                shown["result"] = content["data"]

        self.client.execute_interactive(code, output_hook=collect, timeout=200)
        return shown


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def notebook(folder):
    notebook = Notebook(folder)
    yield notebook
    with suppress(RuntimeError):
        notebook.client.stop_channels()
    notebook.manager.shutdown_kernel(now=True)


def screen(text: str) -> list[str]:
    """Return the lines that a notebook shows: a carriage return begins a line again."""
    lines = []
    for line in text.split("\n"):
        shown = ""
        for piece in line.split("\r"):
            shown = piece + shown[len(piece) :]
        lines.append(shown.rstrip())
    return [line for line in lines if line]


def test_bars_are_redrawn_on_one_line(notebook):
    """Bars leave nothing behind, nested bars add no lines, and a message is whole."""
    shown = notebook.run(PROGRESS)
    assert shown["error"] == [] and shown["stderr"] == ""
    assert "outer:" in shown["stdout"] and "inner:" in shown["stdout"] and shown["stdout"].count("\r") > 20
    assert "\x1b[A" not in shown["stdout"]
    assert shown["stdout"].count("\n") == 2
    assert screen(shown["stdout"]) == ["a message", "done"]


def test_a_training_shows_its_run(notebook, folder):
    settings = json.dumps(tiny_settings(folder, "train.max_steps=4"))
    shown = notebook.run(f"import json, paddle_ft\nsettings = json.loads({settings!r})\npaddle_ft.train('bart_lcsts', settings)")
    assert shown["error"] == []
    assert shown["stderr"] == ""  # no warning of a library either
    assert "step 4, epoch 2.00" in shown["stdout"]
    assert shown["result"]["text/plain"].startswith("<Run ") and "lead baseline" in shown["result"]["text/html"]
    assert "image/png" in notebook.run(f"paddle_ft.load_run({str(folder / 'run')!r}).plots['loss']")["result"]


def test_a_users_mistake_is_a_message(notebook, folder):
    """A second training into the same directory: what a user does who runs a cell twice."""
    shown = notebook.run("paddle_ft.train('bart_lcsts', settings)")
    assert len(shown["error"]) == 1
    assert shown["error"][0].startswith(f"error: output_dir: {folder / 'run'} already contains a run. Use resume=True")


def test_the_stop_button_saves_and_says_how_to_resume(notebook, folder):
    notebook.run(f"settings |= {{'output_dir': {str(folder / 'long')!r}, 'train.max_steps': 5000}}")
    shown = notebook.run("paddle_ft.train('bart_lcsts', settings)", interrupt_at="step 4, epoch 2.00")
    config = str(folder / "long" / "config.yaml")
    assert shown["error"] == [f"stopped and saved; resume with:\n  paddle_ft.train({config!r}, resume=True)"]
    assert "stopping: saving a checkpoint first" in shown["stdout"]
    assert (folder / "long" / "last" / "model.safetensors").is_file()
    handler = notebook.run("import signal\nsignal.getsignal(signal.SIGINT) is signal.default_int_handler")
    assert handler["result"]["text/plain"] == "True"


def test_a_second_press_does_not_end_the_kernel(notebook):
    """The kernel has the variables of all cells, so it must live on even if saving hangs."""
    code = """
import os, time
from paddle_ft.training.signals import SignalHandler
with SignalHandler() as handler, handler.deferred():
    os.kill(os.getpid(), signal.SIGINT)
    print("hanging", flush=True)
    time.sleep(100)
"""
    shown = notebook.run(code, interrupt_at="hanging")
    assert "stopped immediately; all files written so far are complete" in shown["error"][-1]
    assert notebook.run("1 + 1")["result"]["text/plain"] == "2"


def test_a_conversion_shows_its_report(notebook, folder):
    shown = notebook.run(f"import convert\nconvert.to_hf({str(folder / 'run' / 'best')!r}, {str(folder / 'hf')!r})")
    assert shown["error"] == []
    assert "TqdmWarning" not in shown["stderr"]
    assert "load it with" in shown["result"]["text/plain"] and len(shown["result"]["text/plain"].splitlines()) < 15
    shown = notebook.run("convert.to_hf('nowhere', 'x')")
    assert len(shown["error"]) == 1 and shown["error"][0].startswith("error: nowhere")
