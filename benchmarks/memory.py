"""Print how much GPU memory each recipe needs at full size: the table of docs/aistudio.md.

    python benchmarks/memory.py                               all recipes: some ten minutes on two CPU cores, 12 GB
    python benchmarks/memory.py --recipes distilbert_sst2     these only

Each recipe's architecture is built at full size with random weights, so nothing is downloaded. `--check` then trains two steps with
a few rows that are as long as the recipe allows, and prints the peak memory of the tensors. Three numbers of rows are tried. The
first two give a straight line, the third checks it, and the line gives the memory of the recipe's own batch. (With still fewer
rows the peak is in the update of the weights, where no activations are left, and not on the line.)

The figures are estimates for fp32 and PaddleNLP's own attention. A GPU needs more for the CUDA context and for gaps between
tensors, and less where memory-efficient attention runs. --reserve is what is set aside for this.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import re
import subprocess
import sys
import tempfile
from datetime import date
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CARDS = (16, 32)  # GB, of 10**9 bytes

BART = {"d_model": 768, "encoder_layers": 6, "decoder_layers": 6, "encoder_attention_heads": 12, "decoder_attention_heads": 12,
        "encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072, "max_position_embeddings": 1024}  # fmt: skip
DISTILBERT = {"model_type": "distilbert", "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 6,
              "num_attention_heads": 12, "intermediate_size": 3072, "max_position_embeddings": 512}  # fmt: skip
GPT2 = {"vocab_size": 50260, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
        "max_position_embeddings": 1024}  # fmt: skip
BERT_LARGE = {**DISTILBERT, "model_type": "bert", "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
              "intermediate_size": 4096}  # fmt: skip
# recipe -> the architecture of its pretrained model, the setting with the length of its rows, and the numbers of rows to try
LONG, SHORT = (2, 3, 4), (8, 12, 16)
RECIPES = {
    "bart_lcsts": ({**BART, "vocab_size": 51271}, "max_source_length", LONG),
    "bart_lcsts_english": ({**BART, "vocab_size": 50265}, "max_source_length", LONG),
    "bart_lyrics": ({**BART, "vocab_size": 50265}, "max_source_length", SHORT),
    "distilbert_sst2": (DISTILBERT, "max_text_length", SHORT),
    "bert_sst2": (BERT_LARGE, "max_text_length", (6, 8, 10)),
    "distilbert_qqp": (DISTILBERT, "max_text_length", SHORT),
    "distilbert_imdb_cls": (DISTILBERT, "max_text_length", LONG),
    "distilbert_imdb_mlm": (DISTILBERT, "chunk_size", SHORT),
    "gpt2_booksum": (GPT2, "max_text_length", LONG),
}


def write_rows(recipe: str, count: int, folder: Path) -> list[str]:
    """Write rows that are longer than the recipe's limits into a file, and return the settings that make it the training data.

    Args:
        recipe: name of the recipe.
        count: how many rows (or songs) to write.
        folder: where to write the file.
    """
    text = " ".join("abcdefghijklmnopqrstuvwxyz" * 60)
    rows = [{"text": text, "label": number % 2} for number in range(count)]
    if recipe.startswith("bart_lcsts"):
        rows = [{"source": text, "target": text} for _ in range(count)]
    elif recipe == "distilbert_qqp":
        rows = [{**row, "text_pair": text} for row in rows]
    if recipe == "bart_lyrics":
        file = folder / "songs.jsonl"
        words = ("".join(letters) for letters in itertools.product("abcdefgh", repeat=5))
        # no line twice, because repeated lines and songs are removed
        rows = [{"lyrics": "\n".join(f"{next(words)} {text[:400]}" for _ in range(20))} for _ in range(count)]
    else:
        file = folder / "rows.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    source = "songs" if recipe == "bart_lyrics" else "null"
    return [f"data.source={source}", f"data.train={file}", "data.validation=null", "data.test=null", "data.name=null",
            "data.columns={}", "data.limit_validation=null"]  # fmt: skip


def tensor_memory(recipe: str, rows: int) -> tuple[float, int]:
    """Return the peak memory of tensors in MB and the number of parameters, which --check prints for batches of `rows` rows."""
    architecture = RECIPES[recipe][0]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "paddle_ft", "train", "--config", recipe, "--check"),
            *write_rows(recipe, 4 * rows, Path(folder)),  # so many that both steps have a full batch
            *("model.pretrained=null", f"model.config={json.dumps(architecture)}", f"output_dir={folder}/run", "device=cpu"),
            *(f"train.train_batch_size={rows}", "train.max_steps=2"),
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    found = re.search(r"parameters +([\d,]+).*memory +([\d,]+) MB for the tensors", done.stdout, re.DOTALL)
    if not found:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    parameters, megabytes = (int(number.replace(",", "")) for number in found.groups())
    return megabytes, parameters


def main() -> int:
    """Measure the recipes that the command line names, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--reserve", type=float, default=1.5, help="GB set aside for CUDA and gaps (default: 1.5)")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from paddle_ft.config.load import load_config

    packages = ", ".join(f"{name} {version(name)}" for name in ("paddlepaddle", "paddlenlp"))
    print(f"{date.today()}, {platform.machine()}, Python {platform.python_version()}, {packages}\n")
    cards = " | ".join(f"rows that fit {card} GB" for card in CARDS)
    print(f"| recipe | weights, M | batch | tokens in a row | fixed, GB | each row, MB | the batch, GB | {cards} |")
    print("| --- |" + " ---: |" * (6 + len(CARDS)))
    for recipe in options.recipes:
        config = load_config(recipe, [])
        _, limit, counts = RECIPES[recipe]
        (first, parameters), (second, _), (third, _) = (tensor_memory(recipe, rows) for rows in counts)
        row, batch = (second - first) / (counts[1] - counts[0]), config.train.train_batch_size
        fixed = first - counts[0] * row
        if abs(third - (fixed + counts[2] * row)) > 0.03 * third:
            raise SystemExit(f"{recipe}: {first}, {second}, {third} MB for {counts} rows is no straight line")
        length = getattr(config.task, limit)
        target = getattr(config.task, "max_target_length", None)
        fitting = [max(0, int(((card - options.reserve) * 1000 - fixed) / row)) for card in CARDS]
        cells = [f"`{recipe}`", f"{parameters / 1e6:.0f}", batch, f"{length} + {target}" if target else length,
                 f"{fixed / 1000:.1f}", f"{row:,.0f}", f"{(fixed + batch * row) / 1000:.1f}", *fitting]  # fmt: skip
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
