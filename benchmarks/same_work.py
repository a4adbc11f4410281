"""Do the same work with paddle_ft and with transformers' Trainer over several seeds, and compare the results.

    python benchmarks/same_work.py --data FOLDER --minilm DIRECTORY --tiny DIRECTORY --chinese DIRECTORY --peer-python PYTHON
    python benchmarks/same_work.py qqp sst2 --rows 20000 --data FOLDER --minilm DIRECTORY --peer-python PYTHON
    python benchmarks/same_work.py --table
    python benchmarks/same_work.py lcsts qqp sst2 --exact --data FOLDER --minilm DIRECTORY --chinese DIRECTORY --peer-python PYTHON

Both start from the same checkpoint and get the same rows, batch size, schedule, epochs, weight decay and clipping (works.py). The
same seed draws another head in each framework, so transformers draws one for each seed, and both read the same file. What is not
the same: the order of the rows, which rows are grouped by length, dropout and the masks of training. Evaluation masks are the same.
The same code scores both tools' predictions.

The figures of a run are stored in --output when it ends, so the same command continues after an interruption. The Markdown table
gives mean and deviation over the seeds, 95 % intervals of each mean and of the mean difference (Student's t, pairs by seed), and
whether the intervals of the two means overlap.

With --exact nothing is left to chance: without dropout, both train some steps on the same single batch. The losses of every step
must then agree to the accuracy of fp32, or the arithmetic, the schedule, AdamW, weight decay or clipping differ. It takes minutes.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from peers import versions
from same_work_peer import read_rows
from same_work_table import EXACT_HEADER, OURS, PEER, exact_row, table
from works import WORKS, Work, overrides, threads

ROOT = Path(__file__).resolve().parent.parent
FIRST_SEED = 2022
EXACT_STEPS = 20


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
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    metrics, data, train = results["metrics"]["validation"], results["data"], results["train"]
    figures = {"metrics": {name: metrics[name] for name in work.metrics}, "train_rows": data["train"]["rows"],
               "validation_rows": data["validation"]["rows"], "steps": train["steps"],
               "losses": [event["loss"] for event in events if event["event"] == "train"], "seconds": train["seconds"],
               "samples_per_second": train["samples_per_second"], "versions": versions("paddlepaddle", "paddlenlp")}  # fmt: skip
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
    settings = {"--data": options.data, "--rows": options.rows, "--validation-rows": options.validation_rows,
                "--epochs": work.epochs, "--output": output}  # fmt: skip
    run_peer(options, "train", work, start, seed, *(str(part) for setting in settings.items() for part in setting), *masked)
    figures = json.loads(output.read_text(encoding="utf-8"))
    metrics = score(work, read_rows(Path(options.data, work.validation), work, options.validation_rows), figures)
    output.unlink()
    shutil.rmtree(f"{output}.trainer", ignore_errors=True)
    kept = ("train_rows", "validation_rows", "steps", "losses", "seconds", "samples_per_second", "versions")
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


def run_exact(options) -> str:
    """Train the chosen works on a single batch without dropout with both tools. Return the table of their losses."""
    sources = {"minilm": options.minilm, "new": options.chinese}
    lines = [EXACT_HEADER]
    for work in (replace(WORKS[name], epochs=EXACT_STEPS) for name in options.works):
        options.rows, options.validation_rows = work.batch, 2  # each step is an epoch, which ends with an evaluation
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            run_peer(options, "start", work, folder / "start", FIRST_SEED, "--source", sources[work.checkpoint], "--no-dropout")
            losses = {
                tool: train(work, options, folder / "start", FIRST_SEED, folder)["losses"]
                for tool, train in ((OURS, train_paddle_ft), (PEER, train_transformers))
            }
        lines.append(exact_row(work, losses))
    return "\n".join(lines)


def check_rows(path: Path, rows: dict[str, int]) -> None:
    """Stop if a stored result is of other numbers of rows."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    if found := {name: stored[name] for name in rows if stored[name] != rows[name]}:
        wanted = {name: rows[name] for name in found}
        raise SystemExit(f"error: {path} was made with {found}, not {wanted}: name another --output")


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
    parser.add_argument("--exact", action="store_true", help="compare the losses of some steps on one batch without dropout")
    parser.add_argument("--table", action="store_true", help="train nothing, print the table of what is there")
    options = parser.parse_args()
    options.works = options.works or [name for name in WORKS if not (options.exact and WORKS[name].kind == "masked_lm")]
    if unknown := [name for name in options.works if name not in WORKS]:
        parser.error(f"{unknown[0]}: not a work; the works are {', '.join(WORKS)}")
    if options.exact and "mlm" in options.works:
        parser.error("mlm: its masks are drawn anew in each step, so --exact is for the other works")
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
        if options.exact:
            print(f"\n{run_exact(options)}")
            return
        run_all(options)
    print(f"\n{table(Path(options.output))}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\ninterrupted: the same command continues with the runs that are missing", file=sys.stderr)
        sys.exit(130)
