"""Say what was chosen where the name of a model, or its files, leave a choice."""

from __future__ import annotations

import os
from pathlib import Path

from convert.files import cache_folder
from convert.tensors import READERS
from paddle_ft.models.resolve import builtin_names
from paddle_ft.system.files import read_object
from paddle_ft.tokenization.load import CONFIG, guessed_class, read_json


def describe_model(name: str, head_type: str) -> list[str]:
    """Return what was chosen for model.pretrained.

    Args:
        name: its value.
        head_type: the model class that is loaded.
    """
    path = Path(os.path.expanduser(name))
    if not path.is_dir():
        return _describe_download(name)
    decisions = []
    if name in builtin_names(head_type):
        decisions.append(f"model.pretrained: the folder {name} in the working directory is used, not PaddleNLP's model {name}")
    weights = [file for form in READERS for file in (form, f"{form}.index.json") if (path / file).is_file()]
    if len(weights) > 1:
        decisions.append(f"model.pretrained: of the files {', '.join(weights)} the first is read; the others are not")
    return decisions


def _describe_download(name: str) -> list[str]:
    """Return which commit of a repository of the Hugging Face hub is used."""
    file = cache_folder() / "hub" / name.replace("/", "--") / ".source.json"
    if not file.is_file():
        return []
    source = read_object(file)
    return [f"model.pretrained: {name} is its revision {source.get('revision')}, commit {str(source.get('commit'))[:12]}"]


def describe_tokenizer(directory: Path) -> list[str]:
    """Return what was chosen for a tokenizer whose files do not name its class."""
    guess = guessed_class(directory)
    if guess is None:
        return []
    name, file = guess
    lowers = file == "vocab.txt" and read_json(directory / CONFIG).get("do_lower_case", True)
    more = ", which lower-cases all texts" if lowers else ""
    return [f"tokenizer: no {CONFIG} names its class, so {file} is read by {name}{more}"]
