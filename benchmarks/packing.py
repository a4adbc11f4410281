"""Compare training with and without task.packing: predicted tokens a second, padding, and the perplexity that results.

    python benchmarks/packing.py [--config gpt2_booksum] [--repeats 3] [section.key=value ...]

Each variant is a whole training of a recipe's sample, in a process of its own. Of a causal language model, padded and packed rows
are the same batches, so their perplexities are equal up to rounding; grouped by length the batches are others. A masked language
model without packing has blocks of joined texts, so that both the examples and their number differ. Further settings go to every
variant, for example a larger model or data of your own (with data.source=null).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# recipe -> name of a variant -> its settings
VARIANTS = {
    "gpt2_booksum": {
        "padded, random rows": ["train.group_by_length=false"],
        "packed, random rows": ["train.group_by_length=false", "task.packing=true"],
        "padded, grouped by length": ["train.group_by_length=true"],
    },
    "distilbert_imdb_mlm": {"blocks of joined texts": [], "packed texts": ["task.packing=true"]},
}


def train(config: str, folder: Path, settings: list[str]) -> dict[str, float]:
    """Train a recipe's sample, and return the figures of the table."""
    run = folder / "run"
    command = [sys.executable, "train.py", "--config", config, "--sample", "--overwrite", f"output_dir={run}", "device=cpu",
               "train.logging_steps=10", "eval.before_training=false", *settings]  # fmt: skip
    completed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if completed.returncode:
        sys.exit(completed.stderr)
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    shares = [event["padding_share"] for event in events if event["event"] == "train"]
    return {
        "steps": results["train"]["steps"],
        "seconds": results["train"]["seconds"],
        "speed": results["train"]["target_tokens_per_second"],
        "padding": statistics.mean(shares),
        "perplexity": results["metrics"]["validation"]["perplexity"],
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", choices=VARIANTS, help="only this recipe (default: all)")
    parser.add_argument("--repeats", type=int, default=3, help="trainings of each variant; speed is their median (default: 3)")
    parser.add_argument("settings", nargs="*", metavar="section.key=value", help="settings of every variant")
    options = parser.parse_args()
    for config in [options.config] if options.config else VARIANTS:
        print(f"\n{config} --sample {' '.join(options.settings)}\n", flush=True)
        print("| rows | predicted tokens/s | ratio | padding | steps | seconds | validation perplexity |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
        first = None
        for name, settings in VARIANTS[config].items():
            with tempfile.TemporaryDirectory() as folder:
                runs = [train(config, Path(folder), [*settings, *options.settings]) for _ in range(options.repeats)]
            speed = statistics.median(run["speed"] for run in runs)
            first = first or speed
            figures = runs[0]
            print(
                f"| {name} | {speed:,.0f} | {speed / first:.2f} | {figures['padding']:.0%} | {figures['steps']:,}"
                f" | {statistics.median(run['seconds'] for run in runs):.1f} | {figures['perplexity']} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
