"""Compute ROUGE with the rouge_score library and a tokenizer that supports Chinese.

rouge_score's own tokenizer drops everything except [a-z0-9], so two identical Chinese texts score 0 with it.
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
) -> tuple[dict, list[float]]:
    """Return the mean F1 of ROUGE-1, ROUGE-2 and ROUGE-L over all pairs, and the ROUGE-L of each. For English, ROUGE-Lsum is added.

    Args:
        predictions: [examples], generated texts.
        references: [examples], the text that each prediction is compared with.
        language: "zh", "en", or "auto" to detect it from the references. It only decides whether there is a ROUGE-Lsum.
        bootstrap: number of resamples for the 95 % intervals over examples; 0: no intervals.
        seed: seed of the resampling.

    Returns:
        {"rouge1": 0-100, "rouge1_ci": [low, high], ..., "tokenizer": its name}, and the ROUGE-L F1 (0-100) of each pair. With
        ROUGE-Lsum there is also "sentences", the name of the sentence splitter.

    Raises:
        ValueError: the lists are empty or differ in length.
    """
    result: dict = {}
    types, scores, splitter_name = rouge_rows(predictions, references, language)
    intervals = confidence_intervals(scores, seed=seed, n=bootstrap) if bootstrap else None
    for column, name in enumerate(types):
        result[name] = round(float(scores[:, column].mean()), 4)
        if intervals is not None:
            result[f"{name}_ci"] = [round(float(end), 4) for end in intervals[column]]
    result["tokenizer"] = TOKENIZER_NAME
    if splitter_name:
        result["sentences"] = splitter_name
    return result, [round(float(score), 4) for score in scores[:, types.index("rougeL")]]


def rouge_rows(predictions: Sequence[str], references: Sequence[str], language: str = "auto") -> tuple[tuple, np.ndarray, str]:
    """Return the names of the scores, the F1 of each pair [examples, scores] (0-100), and the name of the sentence splitter.

    The arguments are those of `rouge`. Without ROUGE-Lsum, the splitter is "".

    Raises:
        ValueError: the lists are empty or differ in length.
    """
    check_pairs(predictions, references)
    if resolve_language(language, references) != "en":
        return TYPES, _scores(predictions, references, TYPES), ""
    splitter_name, split = sentence_splitter()
    types = (*TYPES, "rougeLsum")
    return types, _scores(predictions, references, types, split), splitter_name


def _scores(
    predictions: Sequence[str],
    references: Sequence[str],
    types: tuple[str, ...],
    split: Callable[[str], list[str]] | None = None,
) -> np.ndarray:
    """Return the F1 of each pair as [examples, types], 0-100. `split` divides a text into sentences, for rougeLsum."""
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
    """Return the name of the sentence splitter for English, and its function.

    It is nltk's trained Punkt if its data is installed. Otherwise it is the untrained one, which needs no download but knows no
    abbreviations and cuts "Mr. Smith" in two. The end of a line always ends a sentence.
    """
    from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTokenizer

    try:
        name, splitter = "nltk-punkt", PunktTokenizer("english")
    except LookupError:
        name, splitter = "nltk-punkt-untrained", PunktSentenceTokenizer()

    def split(text: str) -> list[str]:
        return [sentence for line in text.splitlines() for sentence in splitter.tokenize(line.strip())]

    return name, split
