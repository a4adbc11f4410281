"""List the tokenizer files of a checkpoint, and find out the kind of its tokenizer."""

from __future__ import annotations

from pathlib import Path

from convert.family import Family
from convert.files import read_optional_json

SENTENCEPIECE = "spiece.model"
SENTENCEPIECE_FILES = (SENTENCEPIECE, "sentencepiece.bpe.model")
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", *SENTENCEPIECE_FILES)
SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
PADDLE_CLASS, HF_CLASS = "PretrainedTokenizerFast", "PreTrainedTokenizerFast"


def tokenizer_files(directory: Path) -> list[Path]:
    """Return the tokenizer files in a directory."""
    return [directory / name for name in (*VOCABULARIES, *SETTINGS) if (directory / name).is_file()]


def tokenizer_kind(directory: Path, family: Family) -> str:
    """Return how the directory's tokenizer is built.

    The files decide before the family does, because Chinese BART and GPT-2 checkpoints come with BERT's kind of vocabulary.

    Returns:
        A key of convert.tokenizers.builders.BUILDERS, "ready_made", or "none".
    """
    has_json = (directory / "tokenizer.json").is_file()
    model = read_optional_json(directory / "tokenizer.json").get("model")
    model_type = model.get("type") if isinstance(model, dict) else None
    has_byte_bpe = (directory / "vocab.json").is_file() and (directory / "merges.txt").is_file()
    if model_type == "WordPiece" or (model_type is None and (directory / "vocab.txt").is_file() and not has_byte_bpe):
        return "wordpiece"
    if has_byte_bpe and model_type in (None, "BPE"):
        return "byte_bpe" if family.tokenizer == "byte_bpe" else "byte_bpe_with_ends"
    if has_json or any((directory / name).is_file() for name in SENTENCEPIECE_FILES):
        return family.tokenizer
    return "none"
