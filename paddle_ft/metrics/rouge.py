"""Compute ROUGE with the rouge_score library and a tokenizer that keeps Chinese.

rouge_score's own tokenizer keeps only [a-z0-9], so two identical Chinese texts score 0 with it.
Source: Lin (2004), ROUGE: A Package for Automatic Evaluation of Summaries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from paddle_ft.metrics.bootstrap import confidence_intervals
from paddle_ft.metrics.text import TOKENIZER_NAME, CharacterWordTokenizer, check_pairs, resolve_language

TYPES = ("rouge1", "rouge2", "rougeL")


def rouge(
    predictions: Sequence[str],
    references: Sequence[str],
    *,
    language: str = "auto",
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict:
    """Return the mean F1 of ROUGE-1, ROUGE-2 and ROUGE-L over the pairs, for English also of ROUGE-Lsum.

    Args:
        language: "zh", "en", or "auto" (from the references). It only decides about ROUGE-Lsum.
        bootstrap: resamples for the 95 % intervals over examples; 0: no intervals.
        seed: of the resampling.

    Returns:
        {"rouge1": 0-100, "rouge1_ci": [low, high], ..., "tokenizer": its name}; with ROUGE-Lsum also "sentences", the name of
        the sentence splitter.

    Raises:
        ValueError: the lists are empty or differ in length.
    """
    check_pairs(predictions, references)
    result: dict = {}
    types = TYPES
    splitter_name = None
    if resolve_language(language, references) == "en":
        splitter_name, split = sentence_splitter()
        types = (*TYPES, "rougeLsum")
        scores = _scores(predictions, references, types, split)
    else:
        scores = _scores(predictions, references, types)
    intervals = confidence_intervals(scores, seed=seed, n=bootstrap) if bootstrap else None
    for column, name in enumerate(types):
        result[name] = round(float(scores[:, column].mean()), 4)
        if intervals is not None:
            result[f"{name}_ci"] = [round(float(end), 4) for end in intervals[column]]
    result["tokenizer"] = TOKENIZER_NAME
    if splitter_name:
        result["sentences"] = splitter_name
    return result


def rouge_each(predictions: Sequence[str], references: Sequence[str]) -> list[float]:
    """Return the ROUGE-L F1 (0-100) of each pair. Raises ValueError as rouge does."""
    check_pairs(predictions, references)
    return [round(float(score), 4) for score in _scores(predictions, references, ("rougeL",))[:, 0]]


def _scores(
    predictions: Sequence[str],
    references: Sequence[str],
    types: tuple[str, ...],
    split: Callable[[str], list[str]] | None = None,
) -> np.ndarray:
    """Return the F1 of each pair, [examples, types], 0-100. `split` cuts a text into sentences, for rougeLsum."""
    from rouge_score import rouge_scorer

    tokenizer = CharacterWordTokenizer()
    plain = rouge_scorer.RougeScorer([name for name in types if name != "rougeLsum"], tokenizer=tokenizer)
    by_sentence = rouge_scorer.RougeScorer(["rougeLsum"], tokenizer=tokenizer) if split else None
    table = np.empty((len(references), len(types)))
    for row, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
        results = plain.score(reference, prediction)
        if by_sentence:
            results |= by_sentence.score("\n".join(split(reference)), "\n".join(split(prediction)))
        table[row] = [100 * results[name].fmeasure for name in types]
    return table


@lru_cache(maxsize=1)
def sentence_splitter() -> tuple[str, Callable[[str], list[str]]]:
    """Return the name of the splitter of English sentences and its function.

    It is nltk's trained Punkt where its data is installed, else the untrained one. That needs no download, but knows no
    abbreviations: it cuts "Mr. Smith" in two. The end of a line always ends a sentence.
    """
    from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTokenizer

    try:
        name, splitter = "nltk-punkt", PunktTokenizer("english")
    except LookupError:
        name, splitter = "nltk-punkt-untrained", PunktSentenceTokenizer()

    def split(text: str) -> list[str]:
        return [sentence for line in text.splitlines() for sentence in splitter.tokenize(line.strip())]

    return name, split
