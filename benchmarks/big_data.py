"""Measure memory, and the time until the first step, of a training on many rows. Print a Markdown table.

    python benchmarks/big_data.py                                       0.1, 1 and 10 million rows
    python benchmarks/big_data.py --rows 100000 1000000                 fewer
    python benchmarks/big_data.py --against 6c9cd90                     also with the code of another revision of git
    python benchmarks/big_data.py --against ../other-checkout --task summarization
    python benchmarks/big_data.py --task lyrics --rows 20000 200000     rows are songs, of 24 lines each

The rows are generated: short English-like texts with one of two classes, or with a short target, or songs, some of which are
repeated with a line changed. The model is tiny, so that nearly all memory beyond that of Paddle itself is the data's. Each training
runs twice: with an empty cache, and again with what the first run has left there. 10 million rows take about 3 GB on the disk,
which are removed at the end.

Peak memory is the highest value of VmRSS and of RssAnon in /proc/PID/status, read every 20 ms. The difference is pages of files,
which the system takes back when others need the memory.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
STEPS = 3
WRITTEN = 100_000  # rows that are written at once
PERIOD = 0.02  # seconds between two looks at the memory

SMALL = "hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64"
TASKS = {
    "classification": (
        "distilbert_sst2",
        f"model.config={{model_type: distilbert, {SMALL}}}",
        "data.columns={text: 0, label: 1}",
        "task.labels=[a, b]",
        "task.round_labels=false",
        "task.max_text_length=64",
    ),
    "summarization": (
        "bart_lcsts",
        "model.config={d_model: 32, encoder_layers: 1, decoder_layers: 1, encoder_attention_heads: 2,"
        " decoder_attention_heads: 2, encoder_ffn_dim: 64, decoder_ffn_dim: 64}",
        "data.columns={source: 0, target: 1}",
        "task.max_source_length=64",
        "task.max_target_length=16",
        "generation.num_beams=1",
    ),
    "causal_lm": (
        "gpt2_booksum",
        f"model.config={{{SMALL}}}",
        "data.columns={text: 0}",
        "task.max_text_length=64",
        "task.metadata=[]",
    ),
    "masked_lm": (
        "distilbert_imdb_mlm",
        f"model.config={{model_type: distilbert, {SMALL}}}",
        "data.columns={text: 0}",
        "task.chunk_size=64",
        "task.train_chunks=null",
    ),
    "lyrics": (
        "bart_lyrics",
        "model.config={d_model: 32, encoder_layers: 1, decoder_layers: 1, encoder_attention_heads: 2,"
        " decoder_attention_heads: 2, encoder_ffn_dim: 64, decoder_ffn_dim: 64}",
        "task.generated_lines=50",
        "generation.num_beams=1",
    ),
}
FILES = {"classification": "classes-{}.tsv", "lyrics": "songs-{}.jsonl"}  # of the other tasks: texts-{}.tsv  # fmt: skip
SETTINGS = (
    "device=cpu", "model.pretrained=null", "data.source=null", "data.test=none", "train.train_batch_size=32",
    f"train.max_steps={STEPS}", "train.logging_steps=1", "eval.before_training=false", "eval.bootstrap_samples=100",
)  # fmt: skip

# Runs in the process that is measured, with the code of either checkout.
PROGRAM = """
import functools, json, sys, time
tree, log, *arguments = sys.argv[1:]
sys.path.insert(0, tree)
from paddle_ft.system.runtime import import_frameworks_quietly, prepare_cpu
prepare_cpu()
import_frameworks_quietly()
from paddle_ft.config.load import load_config
from paddle_ft.training import run, step

def note(name, function):
    @functools.wraps(function)
    def noted(*args, **kwargs):
        result = function(*args, **kwargs)
        with open(log, "a") as file:
            file.write(json.dumps([name, time.time()]) + "\\n")
        return result
    return noted

run.make_task = note("made", run.make_task)
run.load_rows = note("read", run.load_rows)
run.load_model = note("loaded", run.load_model)
run.encode = note("tokenised", run.encode)
step.Stepper.train_step = note("step", step.Stepper.train_step)
run.train(load_config(arguments[0], arguments[1:]))
"""


@dataclass
class Measured:
    """What one training took. Seconds count from the start of its process, except `read` and `tokenise`."""

    read: float
    tokenise: float
    first_step: float
    resident: float  # MB, at most
    anonymous: float  # MB, at most
    stages: dict[str, float] = field(default_factory=dict)


# ---------------------------------------------------------------------------------------------------- the data
def make_words() -> list[str]:
    """Return the words of the generated language, all different."""
    consonants, vowels = "bdfgklmnprstvz", "aeiou"
    syllables = [consonant + vowel for consonant in consonants for vowel in vowels]
    return [first + second for second in syllables for first in syllables]


def write_rows(path: Path, count: int, seed: int) -> None:
    """Write a TSV file without a header: a text of 4 to 16 words, and a class or a short text of two words."""
    words, rng = np.array(make_words()), np.random.default_rng(seed)
    is_classes = path.name.startswith("classes")
    with open(path, "w", encoding="utf-8") as file:
        for start in range(0, count, WRITTEN):
            rows = min(WRITTEN, count - start)
            lengths = rng.integers(4, 17, rows)
            drawn = words[rng.integers(0, len(words), int(lengths.sum()))].tolist()
            seconds = rng.choice(["a", "b"], rows).tolist() if is_classes else words[rng.integers(0, len(words), rows)].tolist()
            ends = np.cumsum(lengths).tolist()
            file.writelines(
                f"{' '.join(drawn[end - length : end])}\t{second}\n"
                for end, length, second in zip(ends, lengths.tolist(), seconds, strict=True)
            )


def write_songs(path: Path, count: int, seed: int) -> None:
    """Write a JSONL file of songs: verses of 8 lines with a chorus of 4 between them. Every tenth song is nearly one before it."""
    words, rng = np.array(make_words()), np.random.default_rng(seed)
    songs: list[list[str]] = []  # the latest ones
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            if number % 10 == 9:
                song = [*songs[int(rng.integers(len(songs)))][:-1], f"the last line is number {number}"]
            else:
                lines = [" ".join(drawn) for drawn in words[rng.integers(0, len(words), [20, 7])].tolist()]
                chorus = ["[Chorus]", *lines[:4]]
                song = ["[Verse 1]", *lines[4:12], *chorus, "[Verse 2]", *lines[12:20], *chorus]
            songs = [*songs[-50:], song]
            file.write(json.dumps({"lyrics": "\n".join(song), "title": f"Song {number}"}) + "\n")


def write_tokenizer(folder: Path) -> None:
    """Write a BERT tokenizer that knows half of the words, and the pieces of the others."""
    words = make_words()
    pieces = sorted({word[i : i + 2] for word in words for i in (0, 2)} | set("abcdefghijklmnopqrstuvwxyz"))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words[::2], *(p for p in pieces if p not in words[::2])]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join([*vocabulary, *(f"##{piece}" for piece in pieces)]) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}))


# ---------------------------------------------------------------------------------------------------- measuring
def read_memory(process: subprocess.Popen) -> tuple[float, float]:
    """Return the resident and the anonymous memory of a process in MB, zeros if it has ended."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    values = {name: float(value.split()[0]) * 1024 / 1e6 for name, _, value in (line.partition(":") for line in lines)
              if name in ("VmRSS", "RssAnon")}  # fmt: skip
    return values.get("VmRSS", 0.0), values.get("RssAnon", 0.0)


def measure(tree: Path, folder: Path, task: str, settings: list[str]) -> Measured:
    """Train STEPS steps with the code of a checkout, and return what it took until the first of them."""
    recipe, *own = TASKS[task]
    with tempfile.TemporaryDirectory(prefix="run-", dir=folder) as run:
        log = Path(run) / "log"
        arguments = [str(tree), str(log), recipe, *SETTINGS, *own, *settings, f"output_dir={run}/run"]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment["PADDLE_FT_HOME"] = str(folder / "home")
        started, resident, anonymous = time.time(), 0.0, 0.0
        with open(Path(run) / "errors", "w+") as errors:
            process = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], cwd=tree, env=environment, stdout=errors,
                                       stderr=errors)  # fmt: skip
            try:
                while process.poll() is None:
                    values = read_memory(process)
                    resident, anonymous = max(resident, values[0]), max(anonymous, values[1])
                    time.sleep(PERIOD)
            finally:
                process.kill()
            if process.returncode != 0:
                errors.seek(0)
                raise SystemExit(f"error: a training in {tree} ended with exit code {process.returncode}:\n{errors.read()[-3000:]}")
        stages: dict[str, float] = {}
        for name, at in map(json.loads, log.read_text().splitlines()):
            stages.setdefault(name, at - started)
    read, tokenise = stages["read"] - stages["made"], stages["tokenised"] - stages["loaded"]
    return Measured(read, tokenise, stages["step"], resident, anonymous, stages)


def forget_pages(folder: Path) -> None:
    """Let the system forget the content of all files in a folder, so that it is read from the disk again."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def check_out(revision: str, folder: Path) -> Path:
    """Return the directory of another checkout, or write a revision of git into a folder and return that."""
    if Path(revision).is_dir():
        return Path(revision).resolve()
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True)
    if archive.returncode != 0:
        raise SystemExit(f"error: {revision} is neither a directory nor a revision: {archive.stderr.decode().strip()}")
    target = folder / "tree"
    target.mkdir()
    subprocess.run(["tar", "-x", "-C", str(target)], input=archive.stdout, check=True)
    return target


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000], metavar="N")
    parser.add_argument("--task", choices=TASKS, default="classification")
    parser.add_argument("--against", metavar="REVISION", help="also measure this revision of git, or checkout")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where data and cache are written (default: $TMPDIR)")
    parser.add_argument("--cold", action="store_true", help="let the system forget the cache's files before the cached training")
    options = parser.parse_args()
    print(f"{options.task}, {STEPS} steps; {platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores,"
          f" {datetime.date.today()}\n")  # fmt: skip
    print("| rows | code | cache | read, s | tokenise, s | first step after, s | peak resident, MB | of it anonymous, MB |")
    print("| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    with tempfile.TemporaryDirectory(prefix="big-data-", dir=options.folder) as name:
        folder = Path(name)
        trees = {"this": ROOT} | ({options.against: check_out(options.against, folder)} if options.against else {})
        write_tokenizer(folder / "tokenizer")
        train, validation = (folder / FILES.get(options.task, "texts-{}.tsv").format(split) for split in ("train", "validation"))
        write = write_songs if options.task == "lyrics" else write_rows
        for count in options.rows:
            write(train, count, seed=0)
            write(validation, 64, seed=1)
            settings = [f"data.train={train}", f"data.validation={validation}", f"model.tokenizer={folder / 'tokenizer'}"]
            for code, tree in trees.items():
                subprocess.run(["rm", "-rf", str(folder / "home")], check=True)
                for cache in ("empty", "filled"):
                    if options.cold and cache == "filled":
                        forget_pages(folder / "home")
                    took = measure(tree, folder, options.task, settings)
                    cells = [f"{count:,}", code, cache, f"{took.read:.1f}", f"{took.tokenise:.1f}", f"{took.first_step:.1f}",
                             f"{took.resident:,.0f}", f"{took.anonymous:,.0f}"]  # fmt: skip
                    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
