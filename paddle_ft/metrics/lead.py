"""The lead baseline for summarization: the beginning of the source, cut to the mean length of the targets.

It is a strong baseline for news, where the most important facts come first.
"""

from __future__ import annotations

from collections.abc import Sequence

from paddle_ft.metrics.text import resolve_language


def mean_length(texts: Sequence[str], language: str = "auto") -> int:
    """Return the mean length of texts, at least 1.

    Args:
        texts: the texts.
        language: "zh" counts characters, "en" counts words between spaces, "auto" detects which to count.

    Raises:
        ValueError: there are no texts.
    """
    if not texts:
        raise ValueError("there are no targets, so the lead baseline has no length")
    if resolve_language(language, texts) == "zh":
        total = sum(len(text.strip()) for text in texts)
    else:
        total = sum(len(text.split()) for text in texts)
    return max(1, round(total / len(texts)))


def lead(sources: Sequence[str], length: int, language: str = "auto") -> list[str]:
    """Return the beginning of each source. A source that is shorter than `length` is returned completely.

    Args:
        sources: the texts to summarize.
        length: number of characters ("zh") or words ("en"), as `mean_length` counts them.
        language: "zh", "en" or "auto".

    Raises:
        ValueError: length is below 1.
    """
    if length < 1:
        raise ValueError(f"length of the lead baseline is {length}: it must be at least 1")
    if resolve_language(language, sources) == "zh":
        return [source.strip()[:length] for source in sources]
    return [" ".join(source.split()[:length]) for source in sources]
