"""Export runs and real checkpoints, and print the table of docs/export.md: difference, equal predictions, size, latency.

    python benchmarks/exports.py --runs runs/bart_lcsts_sample ... --checkpoints bert-tiny-question-classifier ...

A checkpoint in Hugging Face's layout is converted and exported like a run of the recipe for its class. It has no data here, so it
is verified on random ids, and if it has no tokenizer that paddle_ft reads, it gets one that only names its ids. Wall-clock times
mean little on a machine that others use at the same time; the ratio is of two medians of the same process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from convert import to_paddle
from paddle_ft.export.export import export_run
from paddle_ft.runs.integrity import write_directory
from paddle_ft.system.errors import FTError
from paddle_ft.system.runtime import prepare_cpu

PACKAGES = ("paddlepaddle", "paddlenlp", "paddle2onnx", "onnxruntime", "torch", "transformers")
FORMATS = ["inference", "onnx", "int8", "hf"]
COLUMNS = ("model", "export", "difference", "equal", "size, MB", "of the model's size", "latency, ms", "of the model's",
           "float32 -> int8")  # fmt: skip
# class of a checkpoint -> the recipe whose run it becomes, with settings that every size of model can take
RECIPES = {
    "BartForConditionalGeneration": ("bart_lcsts", "task: {max_source_length: 48, max_target_length: 24}"),
    "BertForSequenceClassification": ("distilbert_sst2", "task: {max_text_length: 64}"),
    "BertForMaskedLM": ("distilbert_imdb_mlm", "task: {chunk_size: 64}"),
    "GPT2LMHeadModel": ("gpt2_booksum", "task: {max_text_length: 64}"),
}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="*", default=[], metavar="RUN", help="directories of runs")
    parser.add_argument("--checkpoints", nargs="*", default=[], metavar="DIR", help="checkpoints in Hugging Face's layout")
    parser.add_argument("--to", nargs="*", default=FORMATS, metavar="FORMAT", help=f"some of {', '.join(FORMATS)} (default: all)")
    parser.add_argument("--limit", type=int, default=200, metavar="N", help="validation rows for int8 (default: 200)")
    options = parser.parse_args()
    prepare_cpu()
    print(f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, {', '.join(filter(None, map(describe, PACKAGES)))}\n")
    print("| " + " | ".join(COLUMNS) + " |\n|" + " --- |" * len(COLUMNS), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        runs = [(Path(run).name, Path(run)) for run in options.runs]
        for checkpoint in map(Path, options.checkpoints):
            runs.append((checkpoint.name, make_run(checkpoint, Path(temporary, checkpoint.name))))
        for number, (name, run) in enumerate(runs):
            has_data = number < len(options.runs)
            for to in options.to if has_data else [to for to in options.to if to != "int8"]:
                print(row(name, run, to, Path(temporary, f"{name}-{to}"), options.limit), flush=True)


def describe(package: str) -> str:
    """Return the name and version of a package, "" if it is not installed."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""


def make_run(checkpoint: Path, folder: Path) -> Path:
    """Return a run with the model of a checkpoint.

    Args:
        checkpoint: a directory in Hugging Face's layout.
        folder: the run's directory, which does not exist yet.
    """
    config = json.loads((checkpoint / "config.json").read_text())
    recipe, settings = RECIPES[config["architectures"][0]]

    def fill(best: Path) -> None:
        to_paddle(checkpoint, best, overwrite=True, progress=False)
        if not (checkpoint / "tokenizer_config.json").is_file():
            name_ids(best, config)

    write_directory(folder / "best", fill)
    data = "{source: null, columns: {}, train: none.jsonl, validation: none.jsonl, test: null}"
    (folder / "config.yaml").write_text(f"extends: {recipe}\noutput_dir: {folder}\ndata: {data}\n{settings}\n")
    return folder


def name_ids(folder: Path, config: dict) -> None:
    """Write a tokenizer that has a name for each id of a model, and the special tokens at their ids."""
    size = config["vocab_size"]
    tokens = [f"t{number}" for number in range(size)]
    if config["model_type"] == "gpt2":
        tokens[config["pad_token_id"]], tokens[config["eos_token_id"]] = "<PAD>", "<EOS>"
        tokens[0] = "<BOS>"
        (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
        (folder / "merges.txt").write_text("#version: 0.2\n")
        special = {"pad_token": "<PAD>", "eos_token": "<EOS>", "bos_token": "<BOS>", "unk_token": "<EOS>"}
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPTTokenizer", **special}))
        return
    if not (folder / "vocab.txt").is_file():
        special_ids = {"[PAD]": config["pad_token_id"], "[CLS]": config["bos_token_id"], "[SEP]": config["eos_token_id"]}
        free = [number for number in range(size) if number not in special_ids.values()]
        for token, number in {**special_ids, "[UNK]": free[0], "[MASK]": free[1]}.items():
            tokens[number] = token
        (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))


def row(name: str, run: Path, to: str, output: Path, limit: int) -> str:
    """Export a run and return its row of the table.

    Args:
        name: name of the run.
        run: its directory.
        to: a format of the command, or int8.
        output: the folder of the export.
        limit: validation rows for int8.
    """
    try:
        int8 = to == "int8"
        exported = export_run(str(run), "onnx" if int8 else to, str(output), int8=int8, limit=limit if int8 else None)
    except FTError as error:
        return f"| {name} | {to} | {str(error).splitlines()[0]} | | | | | | |"
    size, of_model = (megabytes(folder) for folder in (exported.path, run / "best"))
    sizes = f"{size:.3g} | {size / of_model:.2f}"
    facts = exported.figures
    measured = "equal" in facts  # without torch, nothing computes a checkpoint for transformers
    equal = f"{facts['equal']} of {facts['inputs']}" if measured else ""
    latency = f"{facts['latency_ms']:.3g} | {facts['latency_ms'] / facts['model_latency_ms']:.2f}" if measured else " | "
    cost = next((line.rpartition(": ")[2] for line in exported.lines if line.startswith("int8 on")), "")
    return f"| {name} | {to} | {facts['difference']:.1g} | {equal} | {sizes} | {latency} | {cost} |"


def megabytes(folder: Path) -> float:
    """Return the size of a folder's files in MB, without what only training needs."""
    files = [path for path in folder.rglob("*") if path.is_file() and "trainer" not in path.relative_to(folder).parts]
    return sum(path.stat().st_size for path in files) / 1e6


if __name__ == "__main__":
    main()
