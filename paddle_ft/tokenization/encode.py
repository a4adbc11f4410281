"""Encode all texts of a data set as token ids in compact arrays, and cache the arrays on disk for the next run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tokenizers

from convert.files import cache_folder
from paddle_ft.data.arrays import ArrayFile, ArrayWriter, cached_arrays, in_parts
from paddle_ft.system.cache import CacheEntry
from paddle_ft.system.progress import Progress, print_info
from paddle_ft.tokenization.fast import fast_tokenizer

__all__ = ["Encoded", "encode_texts", "fast_tokenizer"]

BATCH = 2000  # texts that the tokenizer encodes at once, enough for many cores
TEXTS_OF_PART = 10_000  # texts whose ids are read at once where all are needed
FORMAT = 2  # version of the cache: entries of another version are not read
SINGLE = {"ids": "int32", "offsets": "int64"}
PAIRS = {**SINGLE, "seconds": "int32"}


@dataclass(frozen=True)
class Encoded:
    """Token ids of many texts in one array. `encoded[i]` is an int32 array of the ids of text i.

    The arrays of many texts are ArrayFiles. Then only the ids that are asked for are read from disk.

    Attributes:
        flat: [number of tokens] int32, the ids of all texts.
        offsets: [texts + 1] int64, where each text begins in `flat`.
        truncated: number of texts that were cut to max_length.
        second_starts: [texts] int32, where the second text of each pair begins in its ids; None for single texts.
    """

    flat: np.ndarray | ArrayFile
    offsets: np.ndarray | ArrayFile
    truncated: int
    second_starts: np.ndarray | ArrayFile | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        start, end = self.offsets[index : index + 2]
        return self.flat[start:end]

    @property
    def lengths(self) -> np.ndarray:
        """Return the number of tokens of each text [texts], special tokens included."""
        if isinstance(self.offsets, np.ndarray):
            return np.diff(self.offsets)
        return np.concatenate([np.diff(part).astype(np.int32) for part in in_parts(self.offsets, overlap=1)])

    def parts(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the ids of many texts at once, and where each of these texts begins in them."""
        for offsets in in_parts(self.offsets, overlap=1, size=TEXTS_OF_PART):
            yield self.flat[offsets[0] : offsets[-1]], offsets[:-1] - offsets[0]


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

    With the cache, the ids of many texts stay on disk. A process that is killed has kept what it had encoded, and the next one
    continues there.

    Args:
        tokenizer: the fast tokenizer.
        texts: single texts, or pairs of texts. With the cache, those that have an `identity` (see data.row_texts) are read only if
            they are not in the cache.
        max_length: maximum number of tokens, special tokens included. Longer texts are cut at their end and keep their special
            tokens. In a pair the longer text is cut first.
        label: name of the progress bar.
        cache: read the result from disk if it is there, else write it. Its key is made of the texts, the tokenizer and
            max_length.
        folder: the cache's folder (default: tokenised/ in PADDLE_FT_HOME).
    """
    types = SINGLE if not texts or isinstance(texts[0], str) else PAIRS
    entry = None
    if cache:
        key = {
            "format": FORMAT,
            "texts": getattr(texts, "identity", None) or _digest(texts),
            "tokenizer": hashlib.sha256(tokenizer.to_str().encode()).hexdigest(),
            "library": tokenizers.__version__,
            "max_length": max_length,
        }
        entry = CacheEntry(folder or cache_folder() / "tokenised", key, "The tokenised data", label)
    arrays, numbers = cached_arrays(entry, types, partial(_encode, tokenizer, texts, max_length, label))
    return Encoded(arrays["ids"], arrays["offsets"], numbers["truncated"], arrays.get("seconds"))


def _encode(tokenizer: tokenizers.Tokenizer, texts: Sequence, max_length: int | None, label: str, writer: ArrayWriter) -> None:
    """Append the ids of all texts to the arrays of a writer. Continue where it is."""
    numbers = writer.numbers
    if numbers:
        print_info(f"{label}: an earlier run was stopped at text {numbers['texts']:,} of {len(texts):,}; this one goes on there")
    else:
        numbers.update(texts=0, tokens=0, truncated=0)
        writer.append(offsets=np.zeros(1))
    pairs = "seconds" in writer.types
    if max_length is not None and not pairs:
        tokenizer.enable_truncation(max_length)
    try:
        with Progress(len(texts), label, unit="text", initial=numbers["texts"]) as progress:
            for batch in _encode_batches(tokenizer, texts, numbers["texts"]):
                ids: list[int] = []
                lengths = np.zeros(len(batch), dtype=np.int64)
                seconds = np.zeros(len(batch), dtype=np.int64)
                for number, encoding in enumerate(batch):
                    kept, cut = encoding.ids, bool(encoding.overflowing)
                    if pairs:
                        kept, seconds[number] = cut_pair(encoding, max_length)
                        cut = len(kept) < len(encoding)
                    lengths[number] = len(kept)
                    ids += kept
                    numbers["truncated"] += cut
                writer.append(ids=np.array(ids, dtype=np.int32), offsets=numbers["tokens"] + np.cumsum(lengths))
                if pairs:
                    writer.append(seconds=seconds)
                numbers["texts"] += len(batch)
                numbers["tokens"] += len(ids)
                progress.update(len(batch))
                writer.checkpoint(numbers["texts"], len(texts), "text")
    finally:
        tokenizer.no_truncation()


def _encode_batches(tokenizer: tokenizers.Tokenizer, texts: Sequence, first: int) -> Iterator[list[tokenizers.Encoding]]:
    """Yield the encodings of batches of texts, from text `first` on.

    The tokenizer uses all cores for a batch. A thread encodes each batch while the caller works on the one before, because that
    work takes one core and would leave the others idle.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="tokenise") as pool:
        waiting = None
        for start in range(first, len(texts), BATCH):
            batch = pool.submit(tokenizer.encode_batch_fast, list(texts[start : start + BATCH]))
            if waiting:
                yield waiting.result()
            waiting = batch
        if waiting:
            yield waiting.result()


def cut_pair(encoding: tokenizers.Encoding, max_length: int | None) -> tuple[list[int], int]:
    """Return the ids of a pair, at most max_length, and where its second text begins. Of an empty text that is its closing token.

    The longer text is cut first, as the tokenizer's own truncation does. That one also makes every combination of what it cuts off
    of the two texts: for texts of some thousand words, gigabytes.
    """
    texts = encoding.sequence_ids  # of each token: 0, 1, or None for a special token
    ids = encoding.ids
    if max_length is not None and len(ids) > max_length:
        lengths = [texts.count(0), texts.count(1)]
        room = max(0, max_length - texts.count(None))
        shorter = min(*lengths, room // 2)
        first = shorter if lengths[0] <= lengths[1] else room - shorter
        ends = {0: texts.index(0) + first if lengths[0] else 0}
        ends[1] = (texts.index(1) if lengths[1] else 0) + room - first
        kept = [place for place, text in enumerate(texts) if text is None or place < ends[text]]
        ids, texts = [ids[place] for place in kept], [texts[place] for place in kept]
    return ids, texts.index(1) if 1 in texts else len(ids) - 1


def _digest(texts: Sequence[str] | Sequence[tuple[str, str]]) -> str:
    pairs = bool(texts) and not isinstance(texts[0], str)
    digest = hashlib.sha256(b"pairs" if pairs else b"")
    for text in (text for pair in texts for text in pair) if pairs else texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))  # with lengths ["ab", "c"] and ["a", "bc"] differ
        digest.update(data)
    return digest.hexdigest()
