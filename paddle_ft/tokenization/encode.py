"""Encode all texts of a data set as token ids in compact arrays, and cache the arrays on disk for the next run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers

from convert.files import cache_folder
from paddle_ft.system.progress import Progress, print_info
from paddle_ft.tokenization.fast import fast_tokenizer

__all__ = ["Encoded", "cached", "encode_texts", "fast_tokenizer"]

BATCH = 1000  # texts that the tokenizer encodes at once
FORMAT = 1  # version of the cache files: files of another version are not read


@dataclass(frozen=True)
class Encoded:
    """Token ids of many texts in one array. `encoded[i]` is an int32 view of the ids of text i.

    Attributes:
        flat: [number of tokens] int32, the ids of all texts.
        offsets: [texts + 1] int64, where each text begins in `flat`.
        truncated: number of texts that were cut to max_length.
        second_starts: [texts] int32, where the second text of each pair begins in its ids; None for single texts.
    """

    flat: np.ndarray
    offsets: np.ndarray
    truncated: int
    second_starts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.flat[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """Return the number of tokens of each text [texts], special tokens included."""
        return np.diff(self.offsets)


def encode_texts(
    tokenizer: tokenizers.Tokenizer,
    texts: Sequence[str] | Sequence[tuple[str, str]],
    *,
    max_length: int | None = None,
    label: str = "tokenise",
    cache: bool = True,
    folder: Path | None = None,
) -> Encoded:
    """Encode all texts, with the special tokens that the tokenizer adds.

    Args:
        tokenizer: the fast tokenizer.
        texts: single texts, or pairs of texts.
        max_length: maximum number of tokens, special tokens included. Longer texts are cut at their end and keep their special
            tokens. In a pair the longer text is cut first.
        label: name of the progress bar.
        cache: read the result from disk if it is there, else write it. Its key is made of the texts, the tokenizer and
            max_length.
        folder: the cache's folder (default: tokenised/ in PADDLE_FT_HOME).
    """
    if not cache:
        return _encode(tokenizer, texts, max_length, label)
    key = {
        "texts": _digest(texts),
        "tokenizer": hashlib.sha256(tokenizer.to_str().encode()).hexdigest(),
        "library": tokenizers.__version__,
        "max_length": max_length,
    }
    arrays = cached(key, folder or cache_folder() / "tokenised", lambda: _to_arrays(_encode(tokenizer, texts, max_length, label)))
    return Encoded(arrays["flat"], arrays["offsets"], int(arrays["truncated"]), arrays.get("seconds"))


def _encode(tokenizer: tokenizers.Tokenizer, texts: Sequence[str], max_length: int | None, label: str) -> Encoded:
    if max_length is not None:
        tokenizer.enable_truncation(max_length)
    pieces: list[np.ndarray] = []
    lengths = np.zeros(len(texts) + 1, dtype=np.int64)
    truncated = 0
    pairs = bool(texts) and not isinstance(texts[0], str)
    second_starts = np.zeros(len(texts), dtype=np.int32) if pairs else None
    try:
        with Progress(len(texts), label, unit="text") as progress:
            for start in range(0, len(texts), BATCH):
                batch = tokenizer.encode_batch_fast(texts[start : start + BATCH])
                for number, encoding in enumerate(batch, start=start + 1):
                    lengths[number] = len(encoding)
                    truncated += bool(encoding.overflowing)
                    if pairs:
                        second_starts[number - 1] = _second_start(encoding)
                pieces.append(np.fromiter((i for encoding in batch for i in encoding.ids), dtype=np.int32))
                progress.update(len(batch))
    finally:
        tokenizer.no_truncation()
    flat = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int32)
    return Encoded(flat, np.cumsum(lengths), truncated, second_starts)


def _second_start(encoding: tokenizers.Encoding) -> int:
    """Return where the second text of a pair begins. For an empty text this is the position of its closing token."""
    return next((i for i in range(len(encoding)) if encoding.token_to_sequence(i) == 1), len(encoding) - 1)


def _digest(texts: Sequence[str] | Sequence[tuple[str, str]]) -> str:
    pairs = bool(texts) and not isinstance(texts[0], str)
    digest = hashlib.sha256(b"pairs" if pairs else b"")
    for text in (text for pair in texts for text in pair) if pairs else texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))  # with lengths ["ab", "c"] and ["a", "bc"] differ
        digest.update(data)
    return digest.hexdigest()


def _to_arrays(encoded: Encoded) -> dict[str, np.ndarray]:
    """Return the arrays of a cache file. Their names are part of the file format."""
    arrays = {"flat": encoded.flat, "offsets": encoded.offsets, "truncated": np.array(encoded.truncated)}
    return arrays if encoded.second_starts is None else {**arrays, "seconds": encoded.second_starts}


def cached(key: dict, folder: str | Path, build: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return arrays by name from the cache, or build them and write them to the cache.

    The file is an .npz of plain arrays with checksums, without pickled objects. It gets its name only when it is complete. A
    damaged file is built anew. If the folder cannot be written, the arrays are still returned and a warning is printed.

    Args:
        key: everything that the arrays depend on; must be serialisable as JSON.
        folder: where the cache files are.
        build: computes the arrays.
    """
    name = hashlib.sha256(json.dumps([FORMAT, key], sort_keys=True).encode()).hexdigest()
    path = Path(folder) / f"{name}.npz"
    try:
        if path.exists():
            with np.load(path, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        print_info(f"The cached file {path} is damaged and is built anew ({error}).")
    arrays = build()
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            np.savez(file, **arrays)
        os.replace(part, path)
    except OSError as error:
        print_info(f"The tokenised data is not kept for the next run: {path.parent}: {error.strerror or error}.")
        with contextlib.suppress(OSError):
            part.unlink()
    return arrays
