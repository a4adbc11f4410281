"""Build new tokenizers from the training texts, for models that are trained from scratch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import tokenizers

from convert.files import cache_folder
from paddle_ft.data.text import HAN_BASIC, regex_class
from paddle_ft.system.cache import CacheEntry, code_digest
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

ALGORITHMS = ("wordpiece", "byte_level")
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_HAN = re.compile(f"[{regex_class(HAN_BASIC)}]")


def new_tokenizer(algorithm: str, texts: Iterable[str], folder: Path, size: int | None):
    """Build a tokenizer from texts and write its files.

    Args:
        algorithm: "wordpiece" for BERT's tokenizer, "byte_level" for GPT-2's.
        texts: the training texts. If they have an `identity` (see data.row_texts), the tokenizer is kept in the cache.
        folder: where the tokenizer's files are written.
        size: approximate number of entries in the vocabulary. None builds the smallest vocabulary: single characters for
            "wordpiece", single bytes for "byte_level".

    Returns:
        A PaddleNLP tokenizer.

    Raises:
        UserError: the algorithm is unknown. Only a record of a user's own can cause this.
    """
    if algorithm not in ALGORITHMS:
        raise UserError(
            f"Architecture.new_tokenizer: {algorithm!r} is unknown: it must be {' or '.join(map(repr, ALGORITHMS))}."
            " Correct the record of your architecture."
        )
    if iter(texts) is texts:
        texts = list(texts)  # they are needed more than once
    identity = getattr(texts, "identity", None)
    if identity is None:
        return _build(algorithm, texts, folder, size)
    key = {"texts": identity, "algorithm": algorithm, "size": size, "code": [code_digest(__file__), tokenizers.__version__]}
    entry = CacheEntry(cache_folder() / "tokenizers", key, "The new tokenizer", "build a tokenizer")

    def build(part: Path | None) -> dict[str, bytes] | None:
        if part is not None:
            try:
                _build(algorithm, texts, part, size)
                return None
            except OSError as error:
                entry.warn(error)
        _build(algorithm, texts, folder, size)
        return _read_files(folder)

    folder.mkdir(parents=True, exist_ok=True)
    for name, content in entry.load_or_build(_read_files, build).items():
        (folder / name).write_bytes(content)
    return _open(algorithm, folder)


def _build(algorithm: str, texts: Iterable[str], folder: Path, size: int | None):
    if algorithm == "byte_level":
        return byte_level_tokenizer(texts, folder, size or 0)
    return character_tokenizer(texts, folder) if size is None else wordpiece_tokenizer(texts, folder, size)


def _open(algorithm: str, folder: Path):
    from paddlenlp.transformers import BertTokenizer, GPTTokenizer

    if algorithm == "byte_level":
        return GPTTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    return BertTokenizer(str(folder / "vocab.txt"), do_lower_case=True)


def _read_files(folder: Path) -> dict[str, bytes]:
    """Return the files of a tokenizer in a folder. Raise ValueError if there are none."""
    names = [name for name in ("vocab.txt", "vocab.json", "merges.txt") if (folder / name).is_file()]
    if "vocab.txt" not in names and len(names) < 2:
        raise ValueError("it has no vocabulary")
    return {name: (folder / name).read_bytes() for name in names}


def _shown(texts: Iterable[str], label: str) -> Iterator[str]:
    """Yield texts and show the progress."""
    with Progress(None, label, unit="text") as progress:
        for text in texts:
            yield text
            progress.update()


def wordpiece_tokenizer(texts: Iterable[str], folder: Path, size: int):
    """Build a lower-case BERT tokenizer with about `size` WordPiece entries, and write its folder/vocab.txt.

    The vocabulary has every character of the texts, so no part of them becomes [UNK]. The same texts always give the same
    vocabulary.
    """
    from tokenizers import BertWordPieceTokenizer

    trainer = BertWordPieceTokenizer(lowercase=True)
    # Pass the characters in a fixed order. The trainer would number the ## forms in random order, and it breaks ties between
    # merges by these numbers.
    base = character_vocab(trainer.normalizer.normalize_str(text) for text in _shown(texts, "characters of the texts"))
    texts = _shown(texts, "words of the texts")
    trainer.train_from_iterator(texts, vocab_size=size, min_frequency=2, special_tokens=base, show_progress=False)
    entries = sorted(trainer.get_vocab().items(), key=lambda entry: entry[1])
    folder.mkdir(parents=True, exist_ok=True)
    vocab = folder / "vocab.txt"
    vocab.write_text("".join(f"{token}\n" for token, _ in entries), encoding="utf-8")
    return _open("wordpiece", folder)


def byte_level_tokenizer(texts: Iterable[str], folder: Path, size: int):
    """Build a GPT-2 tokenizer, and write its folder/vocab.json and folder/merges.txt.

    The vocabulary has the 256 bytes, <|endoftext|>, and merges learned from the texts, up to `size` entries in all.
    """
    from tokenizers import ByteLevelBPETokenizer

    trainer = ByteLevelBPETokenizer()
    trainer.train_from_iterator(_shown(texts, "words of the texts"), vocab_size=max(size, 257), min_frequency=2,
                                special_tokens=["<|endoftext|>"], show_progress=False)  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    trainer.save_model(str(folder))
    return _open("byte_level", folder)


def character_tokenizer(texts: Iterable[str], folder: Path):
    """Build a BERT tokenizer whose vocabulary is the characters of the texts, and write its folder/vocab.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    vocab = "\n".join(character_vocab(_shown(texts, "characters of the texts"))) + "\n"
    (folder / "vocab.txt").write_text(vocab, encoding="utf-8")
    return _open("wordpiece", folder)


def character_vocab(texts: Iterable[str]) -> list[str]:
    """Return the lines of a vocab.txt with which BertTokenizer splits `texts` into single characters, without any [UNK].

    Every character except Chinese ones also gets the ## form that continues a word. Letters are included as written and in
    lower case, so the vocabulary works with and without do_lower_case.
    """
    characters = {character for text in texts for character in text + text.lower() if not character.isspace()}
    ordered = sorted(characters)
    return SPECIAL_TOKENS + ordered + [f"##{character}" for character in ordered if not _HAN.match(character)]
