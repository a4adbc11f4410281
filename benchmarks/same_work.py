"""Do the same work with paddle_ft and with transformers' Trainer over several seeds, and compare the results.

    python benchmarks/same_work.py --data FOLDER --minilm DIRECTORY --tiny DIRECTORY --chinese DIRECTORY --peer-python PYTHON
    python benchmarks/same_work.py qqp sst2 --rows 20000 --data FOLDER --minilm DIRECTORY --peer-python PYTHON
    python benchmarks/same_work.py --table

Both start from the same checkpoint and get the same rows, batch size, schedule, epochs, weight decay and clipping (works.py). The
same seed draws another head in each framework, so transformers draws one for each seed, and both read the same file. What is not
the same: the order of the rows, which rows are grouped by length, dropout and the masks of training. Evaluation masks are the same.
The same code scores both tools' predictions.

The figures of a run are stored in --output when it ends, so the same command continues after an interruption. The Markdown table
gives mean and deviation over the seeds, 95 % intervals of each mean and of the mean difference (Student's t, pairs by seed), and
whether the intervals of the two means overlap.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from peers import versions
from same_work_peer import read_rows
from works import WORKS, Work, overrides, threads

ROOT = Path(__file__).resolve().parent.parent
OURS, PEER = "paddle_ft", "transformers"
# two-sided 95 % quantiles of Student's t by degrees of freedom
T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
FIRST_SEED = 2022


# ---------------------------------------------------------------------------------------------------- runs
def train_paddle_ft(work: Work, options, start: Path, seed: int, folder: Path) -> dict[str, Any]:
    """Train with paddle_ft's command line. Return the figures."""
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)  # what an interrupted run has left
    settings = overrides(work, options, start, seed)
    command = [sys.executable, str(ROOT / "train.py"), "--config", work.recipe, f"output_dir={run}", *settings]
    if code := subprocess.run(command, cwd=ROOT).returncode:
        raise SystemExit(code)  # train.py has already printed the error
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    metrics = results["metrics"]["validation"]
    data = results["data"]
    figures = {"metrics": {name: metrics[name] for name in work.metrics}, "train_rows": data["train"]["rows"],
               "validation_rows": data["validation"]["rows"], "steps": results["train"]["steps"],
               "seconds": results["train"]["seconds"], "samples_per_second": results["train"]["samples_per_second"],
               "versions": versions("paddlepaddle", "paddlenlp")}  # fmt: skip
    shutil.rmtree(run)
    return figures


def write_masked_blocks(work: Work, options, start: Path, path: Path) -> None:
    """Write the validation blocks of paddle_ft with their masks, which are the same for every seed."""
    sys.path.insert(0, str(ROOT))
    from paddle_ft.system.runtime import import_frameworks_quietly, prepare_cpu

    prepare_cpu()
    import_frameworks_quietly()
    from paddle_ft.config.load import load_config
    from paddle_ft.system.world import World
    from paddle_ft.tasks.shared.rows import load_rows
    from paddle_ft.training.run import encode, load_model, make_task

    config = load_config(work.recipe, overrides(work, options, start, FIRST_SEED))
    task = make_task(config, World())
    rows = load_rows(config, task)
    load_model(task, rows["train"])
    data, _ = encode(task, rows)
    columns = data["validation"].columns
    blocks = [
        {"input_ids": ids.tolist(), "labels": labels.tolist()}
        for ids, labels in zip(columns["masked_ids"], columns["labels"], strict=True)
    ]
    path.write_text(json.dumps(blocks), encoding="utf-8")


def run_peer(options, verb: str, work: Work, start: Path, seed: int, *arguments: str) -> None:
    """Run same_work_peer.py in the other Python."""
    script = str(ROOT / "benchmarks" / "same_work_peer.py")
    command = [options.peer_python, script, verb, "--work", work.name, "--start", str(start), "--seed", str(seed), *arguments]
    if subprocess.run(command).returncode:
        raise SystemExit(f"error: transformers failed: {' '.join(command)}")


def train_transformers(work: Work, options, start: Path, seed: int, folder: Path) -> dict[str, Any]:
    """Train with transformers' Trainer in the other Python. Return the figures, from the scores of paddle_ft."""
    output, masked = folder / "peer.json", []
    if work.kind == "masked_lm":
        path = folder.parent / "masked.json"
        if not path.exists():
            write_masked_blocks(work, options, start, path)
        masked = ["--masked", str(path)]
    run_peer(
        options, "train", work, start, seed, "--data", options.data, "--rows", str(options.rows), "--output", str(output), *masked
    )
    figures = json.loads(output.read_text(encoding="utf-8"))
    metrics = score(work, read_rows(Path(options.data, work.validation), work, options.validation_rows), figures)
    output.unlink()
    shutil.rmtree(f"{output}.trainer", ignore_errors=True)
    kept = ("train_rows", "validation_rows", "steps", "seconds", "samples_per_second", "versions")
    return {"metrics": {name: metrics[name] for name in work.metrics}, **{name: figures[name] for name in kept}}


def score(work: Work, rows: list[dict], figures: dict[str, Any]) -> dict[str, float]:
    """Return the metrics of transformers' predictions for the validation rows, computed by paddle_ft's code."""
    sys.path.insert(0, str(ROOT))
    import numpy as np

    if work.kind == "classification":
        from paddle_ft.metrics.classification import classification_scores

        probabilities = np.array(figures["probabilities"])
        return classification_scores([int(row["label"]) for row in rows], probabilities / probabilities.sum(-1, keepdims=True))
    if work.kind == "summarization":
        from paddle_ft.metrics.rouge import rouge
        from paddle_ft.tasks.shared.seq2seq import join_chinese

        texts = [join_chinese(text) for text in figures["texts"]]
        return {"loss": figures["loss"], **rouge(texts, [row["target"] for row in rows], bootstrap=0)[0]}
    return {"perplexity": figures["perplexity"]}


def run_all(options) -> None:
    """Run what is missing of the chosen works: for each seed both tools, one after the other."""
    rows = {"rows": options.rows, "validation_limit": options.validation_rows}
    sources = {"minilm": options.minilm, "tiny": options.tiny, "new": options.chinese}
    for work in (WORKS[name] for name in options.works):
        for seed in range(FIRST_SEED, FIRST_SEED + options.seeds):
            folder = Path(options.output, work.name, str(seed)).resolve()
            start = folder / "start"
            for tool, train in ((OURS, train_paddle_ft), (PEER, train_transformers)):
                path = folder / f"{tool}.json"
                if path.exists():
                    check_rows(path, rows)
                    continue
                if not (start / "config.json").exists():
                    folder.mkdir(parents=True, exist_ok=True)
                    run_peer(options, "start", work, start, seed, "--source", sources[work.checkpoint])
                print(f"\n=== {work.name}, seed {seed}: {tool}", flush=True)
                figures = train(work, options, start, seed, folder)
                figures |= {**rows, "date": str(datetime.date.today()), "threads": threads()}
                temporary = path.with_suffix(".tmp")
                temporary.write_text(json.dumps(figures, indent=1), encoding="utf-8")
                temporary.replace(path)
            shutil.rmtree(start, ignore_errors=True)


def check_rows(path: Path, rows: dict[str, int]) -> None:
    """Stop if a stored result is of other numbers of rows."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    if found := {name: stored[name] for name in rows if stored[name] != rows[name]}:
        wanted = {name: rows[name] for name in found}
        raise SystemExit(f"error: {path} was made with {found}, not {wanted}: name another --output")


# ---------------------------------------------------------------------------------------------------- the table
def interval(values: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of a mean, by Student's t."""
    mean = statistics.fmean(values)
    half = T95[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))
    return mean - half, mean + half


def compare(work: Work, folder: Path) -> dict[str, Any] | None:
    """Return the comparison of a work from the stored figures, or None if fewer than two seeds have both tools.

    Returns:
        "seeds"; "runs" (the figures of the first seed by tool); and "metrics": metric -> tool -> the values of the seeds.
    """
    pairs = {}
    for seed in sorted(path for path in (folder / work.name).glob("*") if path.is_dir()):
        files = {tool: seed / f"{tool}.json" for tool in (OURS, PEER)}
        if all(path.exists() for path in files.values()):
            pairs[int(seed.name)] = {tool: json.loads(path.read_text(encoding="utf-8")) for tool, path in files.items()}
    if len(pairs) < 2:
        return None
    metrics = {
        name: {tool: [pair[tool]["metrics"][name] for pair in pairs.values()] for tool in (OURS, PEER)} for name in work.metrics
    }
    return {"seeds": list(pairs), "runs": next(iter(pairs.values())), "metrics": metrics}


def table(folder: Path) -> str:
    """Return the Markdown table of all works that have results, and what they were made with."""
    lines = [
        "| work | metric | paddle_ft: mean ± deviation (seeds) | transformers: mean ± deviation (seeds) | difference [95 %]"
        " | intervals of the means |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    notes, used = [], {}
    for work in WORKS.values():
        found = compare(work, folder)
        if found is None:
            continue
        for name, values in found["metrics"].items():
            lines.append(f"| {work.title} | {name} | {row_of(values)} |")
        run = found["runs"][OURS]
        rows = "blocks" if work.kind == "masked_lm" else "rows"
        notes.append(f"{work.title}: {run['train_rows']:,} {rows}, {run['steps']:,} steps,"
                     f" {run['validation_rows']:,} for validation, seeds {', '.join(map(str, found['seeds']))},"
                     f" {run['date']}, {run['threads']} threads, fp32.")  # fmt: skip
        used |= {tool: figures["versions"] for tool, figures in found["runs"].items()}
    if not notes:
        return f"{folder} has no work with two seeds of both tools."
    made_with = "; ".join(f"{tool}: {text}" for tool, text in used.items())
    return "\n".join([*lines, "", *(f"- {note}" for note in notes), f"- {made_with}."])


def row_of(values: dict[str, list[float]]) -> str:
    """Return the cells of a metric: both tools, the difference and whether the intervals overlap."""
    cells = [
        f"{statistics.fmean(own):.2f} ± {statistics.stdev(own):.2f} ({', '.join(f'{value:.2f}' for value in own)})"
        for own in values.values()
    ]
    differences = [ours - peer for ours, peer in zip(values[OURS], values[PEER], strict=True)]
    low, high = interval(differences)
    cells.append(f"{statistics.fmean(differences):+.2f} [{low:+.2f}, {high:+.2f}]")
    (first, second) = (interval(own) for own in values.values())
    cells.append("overlap" if max(first[0], second[0]) <= min(first[1], second[1]) else "do not overlap")
    return " | ".join(cells)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"what to do: {', '.join(WORKS)} (default: all)")
    parser.add_argument(
        "--data", metavar="FOLDER", help="the data: sst2/, qqp/, imdb/ and lcsts/ with the files that works.py names"
    )
    parser.add_argument(
        "--minilm", metavar="DIRECTORY", help="qqp and sst2: a BERT in Hugging Face's layout, such as all-MiniLM-L6-v2"
    )
    parser.add_argument("--tiny", metavar="DIRECTORY", help="mlm: a BERT in Hugging Face's layout")
    parser.add_argument("--chinese", metavar="DIRECTORY", help="lcsts: a Chinese BERT's tokenizer, such as bert-base-chinese's")
    parser.add_argument("--peer-python", metavar="PYTHON", help="a python with torch, transformers and accelerate")
    parser.add_argument("--seeds", type=int, default=3, choices=range(2, 11), metavar="N", help="seeds, 2 to 10 (default: 3)")
    parser.add_argument("--rows", type=int, default=0, metavar="N", help="only the first N training rows (default: 0, all)")
    parser.add_argument("--validation-rows", type=int, default=0, metavar="N", help="score the first N rows (default: 0, all)")
    parser.add_argument("--output", default="runs/same_work", metavar="FOLDER", help="the figures (default: runs/same_work)")
    parser.add_argument("--table", action="store_true", help="train nothing, print the table of what is there")
    options = parser.parse_args()
    options.works = options.works or list(WORKS)
    if unknown := [name for name in options.works if name not in WORKS]:
        parser.error(f"{unknown[0]}: not a work; the works are {', '.join(WORKS)}")
    if not options.table:
        needed = {"minilm": "--minilm", "tiny": "--tiny", "new": "--chinese"}
        flags = {"--data", "--peer-python", *(needed[WORKS[name].checkpoint] for name in options.works)}
        if missing := sorted(flag for flag in flags if getattr(options, flag.strip("-").replace("-", "_")) is None):
            parser.error(f"{' '.join(options.works)}: {', '.join(missing)} must be set, or --table")
        for flag in sorted(flags - {"--peer-python"}):
            path = getattr(options, flag.strip("-"))
            if not Path(path).is_dir():
                parser.error(f"{flag}: {path} is no directory")
            setattr(options, flag.strip("-"), str(Path(path).resolve()))
        run_all(options)
    print(f"\n{table(Path(options.output))}")


if __name__ == "__main__":
    main()
