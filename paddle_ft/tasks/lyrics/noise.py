"""Replace some words of a source by the mask token, as in the pretraining of BART.

Source: Lewis et al. (2020), BART; Sinclair (2020), Teaching BART to Rap, which keeps the noise in fine-tuning.
"""

from __future__ import annotations

import numpy as np

from paddle_ft.metrics.rhyme import without_asides
from paddle_ft.metrics.text import word_spans


def mask_words(lines: list[str], share: float, mask: str, rng: np.random.Generator) -> list[str]:
    """Return the lines with a share of their words replaced by the mask token, one token for each word.

    The last word of a line is never replaced, because it carries the rhyme. If a line ends with an ad-lib in parentheses, the
    word before the ad-lib is not replaced either. Punctuation around a replaced word stays.

    Args:
        lines: the lines of one source.
        share: share of all words (see word_spans) to replace. If this is not a whole number of words, `rng` decides between
            the two nearest numbers, so that the share is right on average.
        mask: the mask token.
        rng: the random generator.
    """
    words = [word_spans(line) for line in lines]
    maskable = [(number, span) for number, line in enumerate(lines) for span in _maskable_spans(line, words[number])]
    count = min(len(maskable), int(share * sum(map(len, words)) + rng.random()))
    masked = list(lines)
    # from the end, so that the remaining spans stay valid
    for i in sorted(rng.choice(len(maskable), count, replace=False) if count else [], reverse=True):
        number, (start, end) = maskable[i]
        masked[number] = masked[number][:start] + mask + masked[number][end:]
    return masked


def _maskable_spans(line: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans of a line's words without the last word, and without the last one before an ad-lib at the end."""
    end = len(without_asides(line))
    before_asides = [span for span in spans if span[1] <= end]
    return [span for span in spans if span not in (*spans[-1:], *before_asides[-1:])]
