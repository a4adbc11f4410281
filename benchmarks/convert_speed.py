"""Time and memory of a conversion beside a plain copy of the same bytes through NumPy.

    python benchmarks/convert_speed.py [bert|bart] [megabytes]

Writes a random checkpoint of about that size (500 by default) into a temporary folder ($TMPDIR), then, each in a process of its
own, copies its tensors one by one through NumPy, hashes the file, and converts it both ways; the best of five runs counts.
BART's Paddle form is larger than the original: PaddleNLP stores the shared embedding under three names and the head apart.
Prints one table.
"""

from __future__ import annotations

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
    """The base size of the architecture, with as many layers as make the size."""
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
    """A random checkpoint in Hugging Face's layout."""
    from convert.config import complete
    from convert.families import load_families
    from convert.formats import safetensors

    config, family = configuration(family_name, megabytes), load_families()[family_name]
    task = family.task("seq2seq" if family_name == "bart" else "base")
    random = np.random.default_rng(0)
    pairs = [pair for pair in family.pairs(task, complete(config, family.entries(task))) if not pair.tied_to]
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(config))
    tensors = [
        (pair.hf, "float32", pair.shape, lambda shape=pair.shape: random.standard_normal(shape, dtype=np.float32)) for pair in pairs
    ]
    safetensors.write(directory / "model.safetensors", tensors, {"format": "pt"})


def copy(source: Path, target: Path) -> None:
    """The yardstick: every tensor read into NumPy and written out again."""
    from convert.formats import safetensors

    target.mkdir()
    with open(target / "copy.bin", "wb") as file:
        for tensor in safetensors.read(source / "model.safetensors").values():
            file.write(tensor.read().data)


def hashing(source: Path, target: Path) -> None:
    """What the report's sha256 costs by itself."""
    from convert.files import sha256_in_background

    target.mkdir()
    for future in sha256_in_background([source / "model.safetensors"]).values():
        future.result()


def forward(source: Path, target: Path) -> None:
    import convert

    convert.to_paddle(source, target, progress=False)


def back(source: Path, target: Path) -> None:
    import convert

    convert.to_hf(source, target, progress=False)


JOBS = {"copy through NumPy": copy, "sha256 alone": hashing, "to-paddle": forward, "to-hf": back}


def child(job: str, source: Path, target: Path) -> None:
    """Runs one job and prints its seconds, its seconds of processor, and its peak resident memory in MB."""
    import convert.write_hf
    import convert.write_paddle  # noqa: F401  (imports are not what is measured)

    started, busy = time.perf_counter(), time.process_time()
    JOBS[job](source, target)
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    print(json.dumps([seconds, busy, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def measure(job: str, source: Path, work: Path) -> tuple[float, float, float, float]:
    """Best seconds, best seconds of processor, peak memory in MB, and MB written."""
    results = []
    for _ in range(RUNS):
        shutil.rmtree(work / "target", ignore_errors=True)
        command = [sys.executable, __file__, "--child", job, str(source), str(work / "target")]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        results.append(json.loads(output.splitlines()[-1]))
    written = sum(path.stat().st_size for path in (work / "target").rglob("*") if path.is_file()) / 1e6
    seconds, busy, memory = zip(*results, strict=True)
    return min(seconds), min(busy), max(memory), written


def main(family: str, megabytes: int) -> None:
    work = Path(tempfile.mkdtemp())
    try:
        make(work / "source", family, megabytes)
        size = (work / "source" / "model.safetensors").stat().st_size / 1e6
        forward(work / "source", work / "paddle")
        print(f"{family} of {size:.0f} MB, best of {RUNS}, file cache warm\n")
        print("| what | seconds | times the copy | processor seconds | peak resident MB | MB written |")
        print("| --- | --- | --- | --- | --- | --- |")
        yardstick = None
        for job in JOBS:
            seconds, busy, memory, written = measure(job, work / ("paddle" if job == "to-hf" else "source"), work)
            yardstick = yardstick or seconds
            row = (job, f"{seconds:.2f}", f"{seconds / yardstick:.2f}", f"{busy:.2f}", f"{memory:.0f}", f"{written:.0f}")
            print(f"| {' | '.join(row)} |", flush=True)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main(sys.argv[1] if len(sys.argv) > 1 else "bert", int(sys.argv[2]) if len(sys.argv) > 2 else 500)
