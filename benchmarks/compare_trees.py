"""Train every recipe's sample for 60 steps and print hashes of the weights, for this checkout or two of them.

    python benchmarks/compare_trees.py                              print the hashes of this checkout
    python benchmarks/compare_trees.py --against ../other-checkout  compare the weights of two checkouts bit by bit
    python benchmarks/compare_trees.py --against ../other --time    also compare the seconds of a step

It shows whether a change to the code changes a result. The script uses only `python train.py` and the files of a run, so
checkouts with different modules can be compared. Hashes depend on the processor and on Paddle's version: compare only those
made on one machine. The exit code is 1 if the results of the two checkouts differ.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
STEPS = 60
WARMUP = 10  # steps that are not timed, because Paddle chooses kernels and allocates memory in them
TIMEOUT = 1800  # seconds for one recipe

# These settings only save time. They do not change the weights of a step.
SETTINGS = (
    "device=cpu",
    f"train.max_steps={STEPS}",
    "train.logging_steps=1",
    "eval.before_training=false",
    "eval.bootstrap_samples=100",
    "data.limit_validation=4",
    "data.limit_test=4",
)
# The fields of a step's event that training computes, without timings and memory.
COMPUTED = ("step", "epoch", "loss", "learning_rate", "grad_norm", "padding_share")


@dataclass
class SampleResult:
    """The results of one training of a recipe's sample."""

    weights: str  # sha256 of the model's weights after the last step
    losses: str  # sha256 of the computed figures of every step
    last_loss: float
    step_seconds: list[float] = field(repr=False)


def sample_recipes(tree: Path) -> list[str]:
    """Return the names of the recipes in a checkout that have a sample."""
    recipes = sorted((tree / "configs").glob("*.yaml"))
    if not recipes:
        raise SystemExit(f"error: {tree}/configs has no recipes; name the directory of a checkout.")
    return [path.stem for path in recipes if "sample" in yaml.safe_load(path.read_text(encoding="utf-8"))]


def train_sample(tree: Path, recipe: str) -> SampleResult:
    """Train a recipe's sample for STEPS steps with the train.py of a checkout, in an empty folder with an empty cache."""
    with tempfile.TemporaryDirectory(prefix="compare-trees-") as folder:
        run = Path(folder) / "run"
        command = [sys.executable, str(tree / "train.py"), "--config", recipe, "--sample", f"output_dir={run}", *SETTINGS]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment["PADDLE_FT_HOME"] = str(Path(folder) / "home")
        completed = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
        if completed.returncode != 0:
            raise SystemExit(f"error: {recipe} in {tree} ended with exit code {completed.returncode}:\n{completed.stderr[-3000:]}")
        return read_result(run)


def read_result(run: Path) -> SampleResult:
    """Read weights, losses and timings from the directory of a finished run."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [event for event in map(json.loads, lines) if event["event"] == "train"]
    if [event["step"] for event in steps] != list(range(1, STEPS + 1)):
        raise SystemExit(f"error: {run} has logged {len(steps)} steps instead of {STEPS}.")
    batch_size = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["train"]["train_batch_size"]
    computed = json.dumps([[event[name] for name in COMPUTED] for event in steps])
    return SampleResult(
        weights=hashlib.sha256((run / "last" / "model.safetensors").read_bytes()).hexdigest(),
        losses=hashlib.sha256(computed.encode()).hexdigest(),
        last_loss=steps[-1]["loss"],
        step_seconds=[batch_size / event["samples_per_second"] for event in steps[WARMUP:]],
    )


def print_hashes(tree: Path, recipes: list[str]) -> None:
    """Print a table of the hashes of one checkout."""
    print("| recipe | last loss | sha256 of the weights | sha256 of the losses |\n| --- | ---: | --- | --- |", flush=True)
    for recipe in recipes:
        result = train_sample(tree, recipe)
        print(f"| {recipe} | {result.last_loss:.6f} | {result.weights} | {result.losses} |", flush=True)


def compare(tree: Path, other: Path, recipes: list[str], repeats: int) -> bool:
    """Print a table that compares two checkouts, with timings if `repeats` is above 0. Return whether all results are the same.

    For timings each recipe runs several times in each checkout in turn (A B A B), so that changes of the machine's speed affect
    both. The table also has the ratio of the fastest tenths, which other processes on the machine disturb less than the medians.
    """
    timings = ["A, ms a step", "B, ms a step", "A / B", "A / B, fastest tenth"] if repeats else []
    head = ["recipe", "weights", "losses", *timings]
    print(f"A: {tree}\nB: {other}\n\n| {' | '.join(head)} |\n|{' --- |' * 3}{' ---: |' * (len(head) - 3)}", flush=True)
    all_equal = True
    for recipe in recipes:
        pairs = [(train_sample(tree, recipe), train_sample(other, recipe)) for _ in range(max(1, repeats))]
        weights = {result.weights for pair in pairs for result in pair}
        losses = {result.losses for pair in pairs for result in pair}
        all_equal = all_equal and len(weights) == len(losses) == 1
        cells = [recipe, describe(weights), describe(losses)]
        if repeats:
            first, second = ([seconds for pair in pairs for seconds in pair[side].step_seconds] for side in (0, 1))
            medians = [statistics.median(steps) for steps in (first, second)]
            fastest = [statistics.quantiles(steps, n=10)[0] for steps in (first, second)]
            cells += [f"{1000 * seconds:.1f}" for seconds in medians]
            cells += [f"{a / b:.3f}" for a, b in (medians, fastest)]
        print(f"| {' | '.join(cells)} |", flush=True)
    return all_equal


def describe(hashes: set[str]) -> str:
    """Return the table cell that tells whether the hashes of all trainings are equal."""
    if len(hashes) == 1:
        return f"equal ({next(iter(hashes))[:12]})"
    return f"DIFFERENT ({', '.join(sorted(digest[:12] for digest in hashes))})"


def main() -> int:
    """Run the command line. Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, default=ROOT, metavar="DIR", help="the checkout to run (default: this one)")
    parser.add_argument("--against", type=Path, metavar="DIR", help="a second checkout to compare with")
    parser.add_argument("--time", action="store_true", help="with --against: compare the time of a step too")
    parser.add_argument(
        "--repeats", type=int, default=2, metavar="N", help="with --time: trainings of each recipe and checkout (default: 2)"
    )
    parser.add_argument("--recipe", action="append", metavar="NAME", help="only this recipe; may be repeated")
    options = parser.parse_args()
    if options.time and options.against is None:
        parser.error("--time compares two checkouts: add --against DIR")
    tree = options.tree.resolve()
    recipes = sample_recipes(tree)
    if unknown := set(options.recipe or ()) - set(recipes):
        parser.error(f"no recipe with a sample is called {', '.join(sorted(unknown))}; there are {', '.join(recipes)}")
    recipes = options.recipe or recipes
    processor = platform.processor() or platform.machine()
    print(f"{STEPS} steps of each sample; {processor}, {len(os.sched_getaffinity(0))} cores,"
          f" paddlepaddle {version('paddlepaddle')}, {datetime.date.today()}\n")  # fmt: skip
    if options.against is None:
        print_hashes(tree, recipes)
        return 0
    other = options.against.resolve()
    if missing := set(recipes) ^ set(options.recipe or sample_recipes(other)):
        print(f"error: only one of the checkouts has a sample of {', '.join(sorted(missing))}", file=sys.stderr)
        return 1
    equal = compare(tree, other, recipes, max(1, options.repeats) if options.time else 0)
    print("\nall weights and losses are equal to the bit" if equal else "\nsome results are DIFFERENT")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
