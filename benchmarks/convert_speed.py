"""Measure time and memory of a conversion, beside a plain copy of the same bytes through NumPy.

    python benchmarks/convert_speed.py [bert|bart] [megabytes]

The script writes a random checkpoint of about that size into a temporary folder ($TMPDIR). Then it copies the tensors one by one
through NumPy, hashes the file, and converts it in both directions. Each of these runs in its own process, five times, and the best
run counts. It prints one table. BART's Paddle form is larger than the original, because PaddleNLP stores the shared embedding under
three names and the head separately.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
RUNS = 5


def configuration(family: str, megabytes: int) -> dict:
    """Return the configuration of the base size, with as many layers as make about so many megabytes."""
    if family == "bart":
        layers = max(1, round((megabytes - 157) / 66))  # an encoder's and a decoder's layer: 66 MB; embeddings: 157 MB
        return {
            "model_type": "bart", "architectures": ["BartForConditionalGeneration"], "d_model": 768, "encoder_layers": layers,
            "decoder_layers": layers, "encoder_attention_heads": 12, "decoder_attention_heads": 12, "encoder_ffn_dim": 3072,
            "decoder_ffn_dim": 3072,
        }  # fmt: skip
    layers = max(1, round((megabytes - 98) / 28.4))
    return {"model_type": "bert", "architectures": ["BertModel"], "num_hidden_layers": layers}


def make(directory: Path, family_name: str, megabytes: int) -> None:
    """Write a random checkpoint in Hugging Face's layout."""
    from convert.config import complete
    from convert.families import load_families
    from convert.formats import safetensors

    config, family = configuration(family_name, megabytes), load_families()[family_name]
    task = family.task("seq2seq" if family_name == "bart" else "base")
    rng = np.random.default_rng(0)
    pairs = [pair for pair in family.pairs(task, complete(config, family.entries(task))) if not pair.tied_to]
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(config))
    tensors = [
        (pair.hf, "float32", pair.shape, lambda shape=pair.shape: rng.standard_normal(shape, dtype=np.float32)) for pair in pairs
    ]
    safetensors.write(directory / "model.safetensors", tensors, {"format": "pt"})


def copy(source: Path, target: Path) -> None:
    """Read every tensor into NumPy and write it to a file. The other times are compared with the time of this job."""
    from convert.formats import safetensors

    target.mkdir()
    with open(target / "copy.bin", "wb") as file:
        for tensor in safetensors.read(source / "model.safetensors").values():
            file.write(tensor.read().data)


def hashing(source: Path, target: Path) -> None:
    """Compute the sha256 of the weights, as a conversion does for its report."""
    from convert.files import sha256_in_background

    target.mkdir()
    for future in sha256_in_background([source / "model.safetensors"]).values():
        future.result()


def to_paddle(source: Path, target: Path) -> None:
    """Convert the checkpoint to Paddle."""
    import convert

    convert.to_paddle(source, target, progress=False)


def to_hf(source: Path, target: Path) -> None:
    """Convert the checkpoint back to Hugging Face."""
    import convert

    convert.to_hf(source, target, progress=False)


JOBS = {"copy through NumPy": copy, "sha256 alone": hashing, "to-paddle": to_paddle, "to-hf": to_hf}


def run_job(job: str, source: Path, target: Path) -> None:
    """Run one job. Print its seconds, its processor seconds and its peak resident memory in MB."""
    import convert.write_hf
    import convert.write_paddle  # noqa: F401  (imported here, so that the time of imports is not measured)

    started, busy = time.perf_counter(), time.process_time()
    JOBS[job](source, target)
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    print(json.dumps([seconds, busy, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def measure(job: str, source: Path, work: Path) -> tuple[float, float, float, float]:
    """Run a job several times. Return the best seconds, the best processor seconds, the peak memory in MB, and the MB written."""
    results = []
    for _ in range(RUNS):
        shutil.rmtree(work / "target", ignore_errors=True)
        command = [sys.executable, __file__, "--job", job, str(source), str(work / "target")]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        results.append(json.loads(output.splitlines()[-1]))
    written = sum(path.stat().st_size for path in (work / "target").rglob("*") if path.is_file()) / 1e6
    seconds, busy, memory = zip(*results, strict=True)
    return min(seconds), min(busy), max(memory), written


def compare(family: str, megabytes: int) -> None:
    """Measure all jobs on one checkpoint and print the table."""
    work = Path(tempfile.mkdtemp())
    try:
        make(work / "source", family, megabytes)
        size = (work / "source" / "model.safetensors").stat().st_size / 1e6
        to_paddle(work / "source", work / "paddle")
        print(f"{family} of {size:.0f} MB, best of {RUNS}, file cache warm\n")
        print("| what | seconds | times the copy | processor seconds | peak resident MB | MB written |")
        print("| --- | --- | --- | --- | --- | --- |")
        copy_seconds = None
        for job in JOBS:
            seconds, busy, memory, written = measure(job, work / ("paddle" if job == "to-hf" else "source"), work)
            copy_seconds = copy_seconds or seconds
            row = (job, f"{seconds:.2f}", f"{seconds / copy_seconds:.2f}", f"{busy:.2f}", f"{memory:.0f}", f"{written:.0f}")
            print(f"| {' | '.join(row)} |", flush=True)
    finally:
        shutil.rmtree(work)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", nargs="?", choices=("bert", "bart"), default="bert", help="architecture (default: bert)")
    parser.add_argument("megabytes", nargs="?", type=int, default=500, help="about how large the checkpoint is (default: 500)")
    options = parser.parse_args()
    compare(options.family, options.megabytes)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:  # one measurement, in a process that `measure` has started
        run_job(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main()
