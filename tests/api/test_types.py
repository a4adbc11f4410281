"""Test that a type checker knows the public API: a user's script passes, and a wrong one does not."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

RIGHT = """
from pathlib import Path

import convert
import paddle_ft

run: paddle_ft.Run = paddle_ft.train("bart_lcsts", {"train.learning_rate": 3e-5}, sample=True)
rate: float = paddle_ft.load_run(Path("runs/x")).config.train.learning_rate
rows = run.predict(["a", ("b", "c")])
text: str = run.generate("The sea", n=2, top_k=50, length=20)[0]["text"]
score: float = run.evaluate("test").metrics["rougeL"]
family: str = convert.to_paddle("a", "b", dtype="float16").family
equal: bool = convert.verify("a", Path("b")).equal
try:
    convert.to_hf("a", "b")
except (paddle_ft.UserError, convert.ConvertError) as error:
    code: int = error.exit_code
"""
WRONG = """
import convert
import paddle_ft

paddle_ft.train("bart_lcsts", ["train.learning_rate=1"])
paddle_ft.load_run("runs/x").predict(3)
paddle_ft.load_run("runs/x").generate("The sea", top_k="50")
paddle_ft.load_run("runs/x").config.train.lerning_rate
paddle_ft.load_runs("runs/x")
convert.to_paddle("a", "b", dtype=16)
convert.verify("a", "b").same
"""
# Only our own packages are read, which takes seconds. A user's type checker reads the libraries too.
SETTINGS = """
[mypy]
plugins = pydantic.mypy
follow_imports = silent
[mypy-paddle.*,paddlenlp.*,numpy.*,matplotlib.*,tqdm.*,tokenizers.*,pandas.*,yaml.*,requests.*,huggingface_hub.*,jinja2.*]
follow_imports = skip
ignore_missing_imports = True
"""


def type_errors(folder: Path, **scripts: str) -> list[tuple[str, int]]:
    """Return file and line of each error that mypy finds in scripts of a user."""
    (folder / "mypy.ini").write_text(SETTINGS)
    for name, code in scripts.items():
        (folder / f"{name}.py").write_text(code)
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", *(f"{name}.py" for name in scripts)]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return [(name, int(line)) for name, line in re.findall(r"^(\w+)\.py:(\d+): error", done.stdout, re.MULTILINE)]


def test_a_users_script(tmp_path):
    wrong_lines = [number for number, line in enumerate(WRONG.splitlines(), start=1) if "(" in line]
    assert type_errors(tmp_path, right=RIGHT, wrong=WRONG) == [("wrong", number) for number in wrong_lines]


def test_the_packages_say_that_they_are_typed():
    """Without this file a type checker does not look at the annotations of an installed package (PEP 561)."""
    assert all((ROOT / package / "py.typed").is_file() for package in ("paddle_ft", "convert"))
