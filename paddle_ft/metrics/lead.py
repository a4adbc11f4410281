"""The lead baseline of summarization: the beginning of the source, as long as targets are on average.

It is a strong baseline for news, which begins with what matters most.
"""

from __future__ import annotations

from collections.abc import Sequence

from paddle_ft.metrics.text import resolve_language


def mean_length(texts: Sequence[str], language: str = "auto") -> int:
    """Return the mean length of texts, at least 1: in characters for "zh", in words between spaces for "en".

    Raises:
        ValueError: there are no texts.
    """
    if not texts:
        raise ValueError("no targets to take the length of the lead baseline from")
    if resolve_language(language, texts) == "zh":
        total = sum(len(text.strip()) for text in texts)
    else:
        total = sum(len(text.split()) for text in texts)
    return max(1, round(total / len(texts)))


def lead(sources: Sequence[str], length: int, language: str = "auto") -> list[str]:
    """Return the first `length` characters ("zh") or words ("en") of each source, or all of a shorter one.

    Args:
        length: as mean_length counts it, in the same language.

    Raises:
        ValueError: length is below 1.
    """
    if length < 1:
        raise ValueError(f"length of the lead baseline is {length}: at least 1 expected")
    if resolve_language(language, sources) == "zh":
        return [source.strip()[:length] for source in sources]
    return [" ".join(source.split()[:length]) for source in sources]
