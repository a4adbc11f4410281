"""Load, build and save a model together with its tokenizer.

A name can be a directory, one of PaddleNLP's built-in names, or a Hugging Face id (org/name), and is tried in this order. A
checkpoint in Hugging Face's format is converted once. A model from scratch takes its sizes from `model.config` and its vocabulary
from the tokenizer.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from paddle_ft.models.architectures import Architecture, architecture_of
from paddle_ft.models.build import architecture_from_scratch, build_model, load_pretrained
from paddle_ft.models.choices import describe_model, describe_tokenizer
from paddle_ft.models.request import ModelRequest
from paddle_ft.models.resolve import resolve
from paddle_ft.models.start import load_start
from paddle_ft.models.vocabulary import check_vocabulary, resize_vocabulary, tie_head
from paddle_ft.system.formatting import join_some
from paddle_ft.tokenization.build import new_tokenizer
from paddle_ft.tokenization.fit import describe_absent, describe_case
from paddle_ft.tokenization.load import load_tokenizer


@dataclass
class ModelBundle:
    """A model and its tokenizers.

    Attributes:
        model: the PaddleNLP model.
        tokenizer: its PaddleNLP tokenizer.
        fast_tokenizer: the same tokenizer in Rust, for whole data sets.
        tokenizer_files: the tokenizer's files, name -> bytes. They are kept in memory because PaddleNLP saves a tokenizer by
            copying the files that it was loaded from, which fails hours later if they are gone.
        frozen_rows: (parameter, row) pairs that training must not change.
        has_new_tokens: whether the vocabulary has tokens that the model has not been trained on.
        decisions: what was decided for the user when the model was loaded (see system.decisions), such as weights that start anew.
    """

    model: Any
    tokenizer: Any
    fast_tokenizer: Any
    tokenizer_files: dict[str, bytes]
    frozen_rows: list[tuple] = field(default_factory=list)
    has_new_tokens: bool = False
    decisions: list[str] = field(default_factory=list)

    @cached_property
    def architecture(self) -> Architecture:
        """Return the record of the model's architecture."""
        return architecture_of(self.model)

    def save(self, directory: Path) -> None:
        """Write weights (safetensors, LoRA merged), configuration and tokenizer, so that plain PaddleNLP loads the directory."""
        from paddle_ft.models import lora

        state = lora.merged_state(self.model)
        self.model.save_pretrained(str(directory), safe_serialization=True, state_dict=state)
        for name, content in self.tokenizer_files.items():
            (directory / name).write_bytes(content)


def download_model_files(section, head_type: str) -> None:
    """Download the files that the `model` section needs. Raise UserError with the names of those that are not available."""
    if section.pretrained is not None:
        resolve(section.pretrained, head_type)
    if section.tokenizer is not None:
        resolve(section.tokenizer, head_type, weights=False)


def load_bundle(section, request: ModelRequest, folder: Path) -> ModelBundle:
    """Load or build the model and the tokenizer of the `model` section.

    Args:
        section: the configuration's model section.
        request: what the task needs of the model.
        folder: a temporary directory for the tokenizer's files.

    Raises:
        UserError: the model does not exist, or does not fit the task.
    """
    head_type, known_tokens, decisions, tokenizer_directory = request.head_type, 0, [], None
    if section.pretrained is not None:
        directory = resolve(section.pretrained, head_type)
        tokenizer_directory = directory if section.tokenizer is None else resolve(section.tokenizer, head_type, weights=False)
        tokenizer = load_tokenizer(tokenizer_directory)
        model, decisions = load_start(head_type, directory, section, request.settings)
        decisions = [*describe_model(section.pretrained, head_type), *decisions]
        check_vocabulary(model, tokenizer, section.pretrained)
        decisions += describe_absent(tokenizer_directory, tokenizer)
        if tie_head(model) is False:
            decisions.append("the checkpoint's output head differs from its input embedding: they stay two parameters")
        known_tokens = len(tokenizer)
        if request.special_tokens:
            tokenizer.add_special_tokens(request.special_tokens)
            resize_vocabulary(model, len(tokenizer), known_tokens)
            decisions += _describe_new_tokens(tokenizer, known_tokens)
    else:
        if section.tokenizer is not None:
            tokenizer_directory = resolve(section.tokenizer, head_type, weights=False)
            tokenizer = load_tokenizer(tokenizer_directory)
        else:
            algorithm = architecture_from_scratch(head_type, section.config).new_tokenizer
            tokenizer = new_tokenizer(algorithm, request.texts, folder, section.new_vocabulary)
            decisions.append(_describe_new_tokenizer(algorithm, section.new_vocabulary, len(tokenizer)))
        if request.special_tokens:
            tokenizer.add_special_tokens(request.special_tokens)
        model = build_model(head_type, section.config, tokenizer, request.settings)
        tie_head(model, from_scratch=True)
    _set_special_ids(model, tokenizer, request.special_tokens)
    bundle = make_bundle(model, tokenizer, folder, has_new_tokens=len(tokenizer) > known_tokens, decisions=decisions)
    if tokenizer_directory is not None:
        bundle.decisions += [*describe_tokenizer(tokenizer_directory), *describe_case(bundle.fast_tokenizer)]
    return bundle


def _describe_new_tokenizer(algorithm: str, size: int | None, tokens: int) -> str:
    """Return what is said about a tokenizer that was built from the training texts. `size` is model.new_vocabulary."""
    if size is not None:
        return f"the tokenizer is new, made of the words and parts of words of the training texts: {tokens:,} tokens"
    unit = "bytes" if algorithm == "byte_level" else "characters"
    return (
        f"the tokenizer is new, made of the {unit} of the training texts: {tokens:,} tokens (model.new_vocabulary=N makes one of"
        " words and parts of words)"
    )


def _describe_new_tokens(tokenizer, known: int) -> list[str]:
    """Return what is said about the tokens that were added to a vocabulary of `known` tokens."""
    tokens = tokenizer.convert_ids_to_tokens(list(range(known, len(tokenizer))))
    what = f"{len(tokens)} new token{'s' if len(tokens) > 1 else ''} ({join_some(tokens)})"
    return [f"{what} in the vocabulary: their embeddings start as the mean of the checkpoint's"] if tokens else []


def _set_special_ids(model, tokenizer, special_tokens: dict[str, Any]) -> None:
    """Set the ids of the task's bos, eos and pad tokens in the model's configuration."""
    for role in ("bos_token", "eos_token", "pad_token"):
        if role in special_tokens:
            for settings in (model.config, model.generation_config):
                setattr(settings, f"{role}_id", getattr(tokenizer, f"{role}_id"))


def reload_bundle(head_type: str, directory: Path) -> ModelBundle:
    """Load what ModelBundle.save wrote. A training checkpoint also gets its LoRA adapters back.

    Raises:
        UserError: the directory has no model.
    """
    from paddle_ft.models import lora

    model = load_pretrained(head_type, directory)
    tie_head(model)
    if (adapters := directory / "trainer" / lora.ADAPTERS_FILE).is_file():
        lora.restore_adapters(model, adapters)
    tokenizer = load_tokenizer(directory)
    check_vocabulary(model, tokenizer, str(directory))
    with tempfile.TemporaryDirectory() as folder:
        return make_bundle(model, tokenizer, Path(folder))


def make_bundle(model, tokenizer, folder: Path, has_new_tokens: bool = False, decisions: list[str] | None = None) -> ModelBundle:
    """Return the bundle of a model and its tokenizer. The fast tokenizer is built from the files written to `folder`."""
    from paddle_ft.tokenization.encode import fast_tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(str(folder))
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    return ModelBundle(model, tokenizer, fast_tokenizer(folder), files, has_new_tokens=has_new_tokens, decisions=decisions or [])
