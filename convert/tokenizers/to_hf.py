"""Write the tokenizer of a Paddle checkpoint for transformers."""

from __future__ import annotations

import shutil
from pathlib import Path

from convert.files import read_optional_json, write_json
from convert.tokenizers.files import HF_CLASS, PADDLE_CLASS, SETTINGS, VOCABULARIES, tokenizer_files

# PaddleNLP's classes of tokenizers that transformers knows by another name
HF_CLASSES = {PADDLE_CLASS: HF_CLASS, "GPTTokenizer": "GPT2Tokenizer"}


def write_hf_tokenizer(source: Path, target: Path, kept_folder: Path) -> dict:
    """Write the tokenizer's files: the originals if the conversion to Paddle stored them, else Paddle's with the class renamed.

    Args:
        source: The Paddle checkpoint.
        target: Where the files are written.
        kept_folder: Where the conversion to Paddle stored the originals. May not exist.

    Returns:
        The report's entry: {"kind", "files"}.
    """
    files = {path.name: path for path in tokenizer_files(source)}
    originals = {path.name: path for path in tokenizer_files(kept_folder)} if kept_folder.is_dir() else {}
    if originals:
        # replace what the conversion to Paddle wrote
        files = {name: path for name, path in files.items() if name not in (*SETTINGS, "tokenizer.json")} | originals
    elif kept_folder.is_dir() and any(name in files for name in ("vocab.txt", "vocab.json", "spiece.model")):
        # the original had vocabulary files only: leave out what the conversion to Paddle added
        files = {name: path for name, path in files.items() if name in VOCABULARIES and name != "tokenizer.json"}
    for name, path in files.items():
        shutil.copyfile(path, target / name)
    config = read_optional_json(target / "tokenizer_config.json")
    if config.get("tokenizer_class") in HF_CLASSES:
        write_json(target / "tokenizer_config.json", {**config, "tokenizer_class": HF_CLASSES[config["tokenizer_class"]]})
    vocabularies = ", ".join(name for name in sorted(files) if name in VOCABULARIES)
    return {"kind": "as in the original" if originals else vocabularies or "none", "files": sorted(files)}
