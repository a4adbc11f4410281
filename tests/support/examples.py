"""Run the examples of docs/extend.md as a user does: from a folder of their own, on the command line."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.prepared import run_prepared

EXAMPLES = ROOT / "docs" / "examples"
# the words of reviews.csv, for checkpoints that come without a tokenizer
WORDS = ("the", "battery", "screen", "camera", "sound", "keyboard", "case", "is", "was", "seems", "awful", "useless", "poor",
         "dull", "average", "fair", "good", "nice", "excellent", "wonderful", "i", "think", "so", "far", ".", ",")  # fmt: skip
# settings for a training of seconds in the folder run/
SHORT = ("output_dir=run", "device=cpu", "train.logging_steps=1", "eval.bootstrap_samples=100")

# settings in place of a sample's small model from scratch, to go with model.pretrained: for tests/fixtures
FROM_CHECKPOINT = ("model.config=null", "model.new_vocabulary=null", "task.max_text_length=16", "train.num_train_epochs=1")


def copy_examples(folder: Path, *names: str) -> Path:
    """Copy these files and folders of docs/examples to a new folder. Return the folder."""
    folder.mkdir()
    for name in names:
        source = EXAMPLES / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    return folder


def launch_commands(example: str) -> list[list[str]]:
    """Return the commands in the header of an example, each as its arguments without "python -m"."""
    text = (EXAMPLES / example).read_text(encoding="utf-8")
    return [shlex.split(line) for line in re.findall(r"^(?:# +)?python -m (.*)$", text, re.MULTILINE)]


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a user with paddle_ft on PYTHONPATH and an own cache."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PADDLE_FT_HOME": str(folder / "cache")}


def run_command(folder: Path, *arguments: str, exit_code: int = 0, afresh: bool = False) -> subprocess.CompletedProcess:
    """Run python with these arguments in the folder, and check its exit code.

    Args:
        folder: the working directory.
        arguments: the arguments of python.
        exit_code: the expected one.
        afresh: in a new Python, for variables that are read when a package is imported, such as HF_ENDPOINT.
    """
    if afresh:
        command = [sys.executable, *arguments]
        process = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=300)
    else:
        process = run_prepared(arguments, cwd=folder, env=environment(folder), timeout=300)
    assert process.returncode == exit_code, process.stdout + process.stderr
    assert "Traceback" not in process.stderr
    return process


def train_example(folder: Path, example: str, *settings: str) -> str:
    """Run the command in the header of an example, with settings for a short training. Return its standard output."""
    ((module, *arguments),) = launch_commands(example)
    return run_command(folder, "-m", module, *arguments, *SHORT, *settings).stdout


def evaluate_and_predict(folder: Path, split: str, input_name: str, *imports: str) -> tuple[dict, list[dict]]:
    """Evaluate the run and predict for new texts: two command lines, in one process to save time.

    Args:
        folder: the working directory, which contains the run.
        split: the split that `evaluate` must choose by default.
        input_name: the file with the texts, in the folder.
        imports: modules for --import.

    Returns:
        The metrics of the split, and the rows of the predictions.
    """
    program = "import json, sys; from paddle_ft.cli import main; sys.exit(any([main(line) for line in json.loads(sys.argv[1])]))"
    flags = [f"--import={module}" for module in imports]
    commands = [
        ["evaluate", "run", *flags, "--json"],
        ["predict", "run", *flags, "--input", input_name, "--output", "output.jsonl"],
    ]
    evaluation = json.loads(run_command(folder, "-c", program, json.dumps(commands)).stdout)
    assert evaluation["split"] == split
    lines = (folder / "output.jsonl").read_text(encoding="utf-8").splitlines()
    return evaluation["metrics"], [json.loads(line) for line in lines]


def write_vocabulary(checkpoint: Path) -> None:
    """Write the vocab.txt of a tokenizer for reviews.csv to a tiny checkpoint of tests/fixtures. Its vocabulary has 37 entries."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (checkpoint / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")


def read_results(folder: Path) -> dict:
    """Return results.json of the run."""
    return json.loads((folder / "run" / "results.json").read_text(encoding="utf-8"))
