"""PaddleNLP tokenizers: loaded from a directory, or built from the training texts of a model from scratch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from paddle_ft.errors import UserError

TOKENIZER_CLASSES = {
    "bart": ("BartTokenizer",),
    "distilbert": ("DistilBertTokenizer",),
    "bert": ("BertTokenizer",),
    "ernie": ("ErnieTokenizer",),
    "roberta": ("RobertaBPETokenizer", "RobertaChineseTokenizer"),
    "gpt": ("GPTTokenizer",),
}


def default_tokenizer_class(model_type: str, name: str):
    """The class that has the files of a built-in's tokenizer, None if none has."""
    import paddlenlp.transformers as library

    classes = [getattr(library, one) for one in TOKENIZER_CLASSES[model_type]]
    return next((cls for cls in classes if all(name in files for files in cls.pretrained_resource_files_map.values())), None)


def load_tokenizer(directory: Path):
    """PaddleNLP's tokenizer of a directory: the class its tokenizer_config.json names, else the one its files fit."""
    directory = Path(directory)
    settings = {}
    path = directory / "tokenizer_config.json"
    if path.exists():
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise UserError(f"{path}: not valid JSON: {error}") from None
    name = str(settings.get("tokenizer_class") or "")
    if not name:
        if (directory / "vocab.txt").exists():
            name = "BertTokenizer"
        elif (directory / "merges.txt").exists():
            name = "BartTokenizer"
        else:
            raise UserError(f"{directory}: there is no tokenizer here (no vocab.txt, no vocab.json with merges.txt).")
    try:
        return _tokenizer_class(name, path).from_pretrained(str(directory))
    except (TypeError, AttributeError, ValueError, OSError) as error:  # PaddleNLP's ways to say that files do not fit the class
        raise UserError(f"{directory}: {name} (tokenizer_class) cannot be made of the files here: {error}") from None


def _tokenizer_class(name: str, path: Path):
    """PaddleNLP's class. Raises UserError for what is no tokenizer, and for one of which a file is a pickle, which could run
    anything."""
    import paddlenlp.transformers as library
    from paddlenlp.transformers.tokenizer_utils_base import PretrainedTokenizerBase

    cls = getattr(library, name, None) or getattr(library, name.removesuffix("Fast"), None)
    is_tokenizer = isinstance(cls, type) and issubclass(cls, (PretrainedTokenizerBase, library.RobertaTokenizer))
    if not is_tokenizer:
        raise UserError(f"{path}: PaddleNLP has no tokenizer class {name}.")
    if pickled := [file for file in getattr(cls, "resource_files_names", {}).values() if file.endswith(".pickle")]:
        raise UserError(f"{path}: a {name} is not allowed: its {pickled[0]} is a pickle, which can run anything. Name another.")
    return cls


def new_tokenizer(kind: str, texts: Iterable[str], folder: Path, size: int | None):
    """A tokenizer made from the texts: BERT's of their characters, or with `size` of their words and pieces of words; for
    causal language models GPT-2's, of bytes, or with `size` bytes and pieces."""
    if kind == "causal_lm":
        return byte_level_tokenizer(texts, folder, size or 0)
    return character_tokenizer(texts, folder) if size is None else wordpiece_tokenizer(texts, folder, size)


def wordpiece_tokenizer(texts: Iterable[str], folder: Path, size: int):
    """A lower-case BERT tokenizer with a WordPiece vocabulary of about `size` entries, written to folder/vocab.txt.

    Every character of the texts is in it, so nothing of them becomes [UNK]. The same texts give the same vocabulary.
    """
    from paddlenlp.transformers import BertTokenizer
    from tokenizers import BertWordPieceTokenizer

    from paddle_ft.data.samples import character_vocab

    trainer = BertWordPieceTokenizer(lowercase=True)
    texts = list(texts)
    # numbered beforehand: the trainer meets the ##characters in random order, and breaks ties between merges by their numbers
    base = character_vocab(trainer.normalizer.normalize_str(text) for text in texts)
    trainer.train_from_iterator(texts, vocab_size=size, min_frequency=2, special_tokens=base, show_progress=False)
    entries = sorted(trainer.get_vocab().items(), key=lambda entry: entry[1])
    folder.mkdir(parents=True, exist_ok=True)
    vocab = folder / "vocab.txt"
    vocab.write_text("".join(f"{token}\n" for token, _ in entries), encoding="utf-8")
    return BertTokenizer(str(vocab), do_lower_case=True)


def byte_level_tokenizer(texts: Iterable[str], folder: Path, size: int):
    """A GPT-2 tokenizer: the 256 bytes, <|endoftext|>, and pieces made from the texts up to `size` entries in all.

    Written to folder/vocab.json and folder/merges.txt.
    """
    from paddlenlp.transformers import GPTTokenizer
    from tokenizers import ByteLevelBPETokenizer

    trainer = ByteLevelBPETokenizer()
    trainer.train_from_iterator(texts, vocab_size=max(size, 257), min_frequency=2, special_tokens=["<|endoftext|>"],
                                show_progress=False)  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    trainer.save_model(str(folder))
    return GPTTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


def character_tokenizer(texts: Iterable[str], folder: Path):
    """A BERT tokenizer whose vocabulary is the characters of the texts, written to folder/vocab.txt."""
    from paddlenlp.transformers import BertTokenizer

    from paddle_ft.data.samples import character_vocab

    folder.mkdir(parents=True, exist_ok=True)
    vocab = folder / "vocab.txt"
    vocab.write_text("\n".join(character_vocab(texts)) + "\n", encoding="utf-8")
    return BertTokenizer(str(vocab), do_lower_case=True)
