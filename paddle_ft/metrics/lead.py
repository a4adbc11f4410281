"""The lead baseline: the beginning of the source, as long as a target usually is. News is hard to beat with less."""

from __future__ import annotations

from collections.abc import Sequence

from .text import resolve_language


def mean_length(texts: Sequence[str], language: str = "auto") -> int:
    """Mean length of the texts, at least 1: in characters for "zh", in words between spaces for "en".

    Raises ValueError where there are no texts.
    """
    if not texts:
        raise ValueError("no targets to take the length of the lead baseline from")
    if resolve_language(language, texts) == "zh":
        total = sum(len(text.strip()) for text in texts)
    else:
        total = sum(len(text.split()) for text in texts)
    return max(1, round(total / len(texts)))


def lead(sources: Sequence[str], length: int, language: str = "auto") -> list[str]:
    """The first `length` characters ("zh") or words ("en") of each source; all of a shorter one.

    Pass the language that `mean_length` counted in. Raises ValueError where length is below 1.
    """
    if length < 1:
        raise ValueError(f"length of the lead baseline is {length}: at least 1 expected")
    if resolve_language(language, sources) == "zh":
        return [source.strip()[:length] for source in sources]
    return [" ".join(source.split()[:length]) for source in sources]
