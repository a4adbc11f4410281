"""Compare the speed of generation: paddle_ft, PaddleNLP's own `generate` and, with --peer-python, transformers on torch.

    python benchmarks/generate_speed.py [--peer-python /path/to/python-with-torch-and-transformers]

Each library runs in its own process, one after the other, with random weights of the same size and the same random input. No row
ends early, so all generate the same number of tokens. The script prints one Markdown table of medians. Wall-clock times mean little
on a machine that others use at the same time. There, --cpu-time runs each library on one thread and takes its processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

from peers import AVX2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

MODELS = {  # vocabulary, width, layers, heads: bart-base and gpt2
    "bart": {"vocabulary": 50265, "width": 768, "layers": 6, "heads": 12, "positions": 1024},
    "gpt2": {"vocabulary": 50257, "width": 768, "layers": 12, "heads": 12, "positions": 1024},
}
CASES = [  # model, input tokens, new tokens, beams
    ("bart", 128, 24, 1),
    ("bart", 128, 24, 4),
    ("gpt2", 64, 32, 1),
    ("gpt2", 64, 32, 4),
]
END_TOKEN = 3  # never generated, because the minimal length is the maximal one


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", metavar="PYTHON", help="a python with torch and transformers (default: leave them out)")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="rows a batch (default: 8)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="calls of each case; the median counts (default: 3)")
    parser.add_argument("--avx2", action="store_true", help="hide AVX-512 from all libraries")
    parser.add_argument("--cpu-time", action="store_true", help="measure processor time on one thread instead of wall-clock time")
    parser.add_argument("--worker", choices=list(WORKERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(WORKERS[options.worker](options)))
        return
    if options.cpu_time:
        os.environ["OMP_NUM_THREADS"] = "1"
    if options.avx2:
        os.environ.update(AVX2)
    results = {"paddle_ft": run_worker(sys.executable, "paddle_ft", options)}
    results["paddlenlp"] = run_worker(sys.executable, "paddlenlp", options)
    if options.peer_python:
        results["transformers"] = run_worker(options.peer_python, "transformers", options)
    print(table(results, options))


def run_worker(python: str, name: str, options) -> dict:
    """Measure one library in its own process. Return its seconds by case, and its versions."""
    from paddle_ft.system.runtime import prepare_cpu

    prepare_cpu()
    print(f"{name} ...", file=sys.stderr)
    command = [python, __file__, "--worker", name, "--batch", str(options.batch), "--repeats", str(options.repeats)]
    command += ["--cpu-time"] * options.cpu_time
    completed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(completed.stdout.splitlines()[-1])


def measure(generate, options) -> float:
    """Return the median seconds of a call, after one call to warm up."""
    clock = time.process_time if options.cpu_time else time.perf_counter
    generate()
    seconds = []
    for _ in range(options.repeats):
        start = clock()
        generate()
        seconds.append(clock() - start)
    return statistics.median(seconds)


def batch(model: str, length: int, size: int):
    """Return random input ids of shape [size, length]."""
    import numpy as np

    return np.random.default_rng(0).integers(10, MODELS[model]["vocabulary"], [size, length])


def paddle_model(name: str):
    """Return a PaddleNLP model with random weights."""
    import paddle

    from paddle_ft.system.runtime import import_frameworks_quietly

    import_frameworks_quietly()
    from paddlenlp.transformers import BartConfig, BartForConditionalGeneration, GPTConfig, GPTLMHeadModel

    paddle.seed(0)
    size = MODELS[name]
    common = {"vocab_size": size["vocabulary"], "max_position_embeddings": size["positions"], "eos_token_id": END_TOKEN}
    if name == "bart":
        model = BartForConditionalGeneration(BartConfig(forced_eos_token_id=None, **common))
    else:
        model = GPTLMHeadModel(GPTConfig(num_hidden_layers=size["layers"], **common))
    model.eval()
    return model


def run_paddle_ft(options) -> dict:
    """Measure all cases with paddle_ft."""
    from paddle_ft.generation import GenerationOptions, generate

    seconds = {}
    models = {name: paddle_model(name) for name in MODELS}
    from paddle_ft.models.cpu_layers import use_cpu_layers

    for model in models.values():
        use_cpu_layers(model)  # as in every run on a CPU
    for name, length, new, beams in CASES:
        ids = batch(name, length, options.batch)
        total = new + (1 if name == "bart" else length)
        settings = GenerationOptions(max_length=total, min_length=total, num_beams=beams)
        seconds[label(name, length, new, beams)] = measure(
            lambda m=models[name], i=ids, s=settings: generate(m, i, None, s), options
        )
    return {"seconds": seconds, "versions": f"paddlepaddle {version('paddlepaddle')}"}


def run_paddlenlp(options) -> dict:
    """Measure all cases with PaddleNLP's own `generate`."""
    import paddle

    seconds = {}
    models = {name: paddle_model(name) for name in MODELS}
    for name, length, new, beams in CASES:
        ids = paddle.to_tensor(batch(name, length, options.batch))
        strategy = {"decode_strategy": "beam_search", "num_beams": beams} if beams > 1 else {}
        settings = {"max_length": new, "min_length": new, "eos_token_id": END_TOKEN, "pad_token_id": 1, **strategy}
        seconds[label(name, length, new, beams)] = measure(lambda m=models[name], i=ids, s=settings: m.generate(i, **s), options)
    return {"seconds": seconds, "versions": f"paddlenlp {version('paddlenlp')}"}


def run_transformers(options) -> dict:
    """Measure all cases with transformers, in the other Python."""
    import torch
    import transformers
    from transformers import BartConfig, BartForConditionalGeneration, GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(0)
    models = {
        "bart": BartForConditionalGeneration(
            BartConfig(encoder_layers=6, decoder_layers=6, d_model=768, encoder_ffn_dim=3072, decoder_ffn_dim=3072,
                       encoder_attention_heads=12, decoder_attention_heads=12, forced_eos_token_id=None)
        ).eval(),
        "gpt2": GPT2LMHeadModel(GPT2Config()).eval(),
    }  # fmt: skip
    seconds = {}
    for name, length, new, beams in CASES:
        ids = torch.tensor(batch(name, length, options.batch))
        settings = {"max_new_tokens": new, "min_new_tokens": new, "num_beams": beams, "do_sample": False,
                    "attention_mask": torch.ones_like(ids), "eos_token_id": END_TOKEN, "pad_token_id": 1}  # fmt: skip
        seconds[label(name, length, new, beams)] = measure(lambda m=models[name], i=ids, s=settings: m.generate(i, **s), options)
    return {"seconds": seconds, "versions": f"transformers {transformers.__version__}, torch {torch.__version__}"}


WORKERS = {"paddle_ft": run_paddle_ft, "paddlenlp": run_paddlenlp, "transformers": run_transformers}


def label(model: str, length: int, new: int, beams: int) -> str:
    """Return the name of a case in the table."""
    return f"{model}-base size, {length} -> {new} tokens, {'greedy' if beams == 1 else f'beam {beams}'}".replace(
        "gpt2-base", "gpt2"
    )


def processor() -> str:
    """Return the name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def table(results: dict, options) -> str:
    """Return the Markdown table: seconds of each library, and paddle_ft's seconds divided by each other library's."""
    names = list(results)
    others = [name for name in names if name != "paddle_ft"]
    kind = "processor" if options.cpu_time else "wall-clock"
    cores = os.environ["OMP_NUM_THREADS"]
    versions = "; ".join(result["versions"] for result in results.values())
    lines = [
        f"Batch {options.batch}, fp32, {kind} seconds a batch (median of {options.repeats}). {processor()}, {cores} thread(s), "
        f"Python {platform.python_version()}, {versions}, {date.today()}.",
        "",
        "| | " + " | ".join(names + [f"paddle_ft / {name}" for name in others]) + " |",
        "| --- |" + " ---: |" * (len(names) + len(others)),
    ]
    for case in results["paddle_ft"]["seconds"]:
        seconds = [result["seconds"][case] for result in results.values()]
        ratios = [seconds[0] / results[name]["seconds"][case] for name in others]
        lines.append(f"| {case} | " + " | ".join(f"{x:.2f}" for x in seconds + ratios) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
