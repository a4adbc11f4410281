"""Judge summaries beyond ROUGE: how much is copied from the source, how much is new, and what the source does not support.

Words are the tokens of ROUGE (data.text): in Chinese, each character is a word.
"""

from __future__ import annotations

import logging
import re
import unicodedata
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from paddle_ft.data.text import HAN, CharacterWordTokenizer, regex_class
from paddle_ft.metrics.copying import find_copies
from paddle_ft.metrics.paired import RowCounts
from paddle_ft.metrics.text import check_pairs, word_spans

ORDERS = (1, 2, 3)  # of the n-grams that are counted as novel
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_LATIN = re.compile(r"[^\W\d_]+(?:['’&.-]?[^\W\d_]+)*")  # a word of letters, after Chinese characters have become spaces
_HAN = re.compile(f"[{regex_class(HAN)}]+")
_SENTENCE_END = re.compile(r"(?:^|[.!?:。！？：\n])[\s\"'“”‘’(（]*$")
_NAME_TAGS = ("nr", "ns", "nt")  # jieba's tags for persons, places and organisations


def faithfulness(
    sources: Sequence[str], targets: Sequence[str], predictions: Sequence[str]
) -> tuple[dict[str, float], list[list[str]]]:
    """Return how summaries relate to their sources, and for each the numbers and names that its source lacks.

    Args:
        sources, targets, predictions: [examples]

    Returns:
        Figures in percent, each over all words, n-grams, or numbers and names of the summaries together:
        "copied": share of the words that are in runs of two or more words copied from the source (metrics.copying).
        "novel_1grams", "novel_2grams", "novel_3grams": share of the n-grams that the source does not have.
        "unsupported": share of the numbers and names that the source does not have, the rate of hallucination; 0 without any.
        "unsupported_summaries": share of the summaries with at least one.
        "length_ratio": length of the summaries as a share of that of the targets, in words.
        "copied_of_targets", "novel_2grams_of_targets", "unsupported_of_targets": the same of the targets, for comparison.

    Source: Grusky et al. (2018), Newsroom (copied fragments); See et al. (2017), Get To The Point, section 7.2, and Narayan et al.
    (2018), Don't Give Me the Details, Just the Summary (novel n-grams); Nan et al. (2021), Entity-level Factual Consistency of
    Abstractive Text Summarization (share of a summary's entities that the source has: here without a model, see find_facts).
    """
    counts, unsupported = _count(sources, targets, predictions)
    totals = _scores(counts.sum(axis=0))
    of_targets = _scores(_count(sources, targets, targets)[0].sum(axis=0))
    totals |= {f"{name}_of_targets": of_targets[name] for name in ("copied", "novel_2grams", "unsupported")}
    return {name: round(float(value), 4) for name, value in totals.items()}, unsupported


def faithfulness_counts(sources: Sequence[str], targets: Sequence[str], predictions: Sequence[str]) -> RowCounts:
    """Return what each summary adds to these figures, for a paired test. The arguments are those of `faithfulness`."""
    return RowCounts(_count(sources, targets, predictions)[0], _scores)


def find_facts(text: str) -> list[str]:
    """Return the numbers and names in a text, each once, by these rules.

    Numbers are runs of digits, with decimal point; commas between them are left out, and full-width digits are digits. Chinese
    numerals do not count. Names are words of Latin letters with a capital: all of them in a text with Chinese, and in another text
    those that do not begin a sentence, and those with two capitals. In Chinese, names are the words of two or more characters that
    jieba tags as person, place or organisation (nr, ns, nt).

    Args:
        text: a summary.
    """
    text = unicodedata.normalize("NFKC", text)
    chinese, latin = _HAN.search(text), _HAN.sub(" ", text)
    facts = [number.replace(",", "") for number in _NUMBER.findall(text)]
    for match in _LATIN.finditer(latin):
        word, capitals = match[0], sum(character.isupper() for character in match[0])
        begins = not chinese and _SENTENCE_END.search(latin[: match.start()])
        if capitals > 1 or (capitals and not begins and word != "I"):
            facts.append(word)
    if chinese:
        facts += [
            word.word
            for word in _tagger().cut(text)
            if word.flag in _NAME_TAGS and len(word.word) > 1 and _HAN.fullmatch(word.word)
        ]
    return list(dict.fromkeys(facts))


def unsupported_facts(text: str, source: str) -> list[str]:
    """Return the numbers and names of a text that its source does not have.

    Numbers must be the same. Names are looked up without regard to case, Latin ones as whole words.
    """
    return _lacking(find_facts(text), source)


def _lacking(facts: list[str], source: str) -> list[str]:
    source = unicodedata.normalize("NFKC", source)
    numbers = {number.replace(",", "") for number in _NUMBER.findall(source)}
    words = {word.lower() for word in _LATIN.findall(_HAN.sub(" ", source))}
    words |= {part for word in words for part in re.split(r"['’&.-]", word)}

    def is_supported(fact: str) -> bool:
        if fact[0].isdigit():
            return fact in numbers
        return fact in source if _HAN.match(fact) else fact.lower() in words

    return [fact for fact in facts if not is_supported(fact)]


@lru_cache(maxsize=1)
def _tagger():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports pkg_resources, which warns
        import jieba
        import jieba.posseg

    jieba.setLogLevel(logging.WARNING)
    return jieba.posseg


def _count(sources: Sequence[str], targets: Sequence[str], predictions: Sequence[str]) -> tuple[np.ndarray, list[list[str]]]:
    """Return the counts of each summary, [examples, 14], and its unsupported numbers and names."""
    check_pairs(predictions, sources)
    check_pairs(predictions, targets)
    tokenize = CharacterWordTokenizer().tokenize
    rows, unsupported = [], []
    for source, target, prediction in zip(sources, targets, predictions, strict=True):
        words, source_words = tokenize(prediction), tokenize(source)
        spans = word_spans(prediction)
        row: list[float] = [find_copies(prediction, source).share * len(spans), len(spans)]
        for order in ORDERS:
            known, ngrams = set(_ngrams(source_words, order)), _ngrams(words, order)
            row += [sum(ngram not in known for ngram in ngrams), len(ngrams)]
        facts = find_facts(prediction)
        missing = _lacking(facts, source)
        row += [len(missing), len(facts), bool(missing), 1, len(words), len(tokenize(target))]
        rows.append(row)
        unsupported.append(missing)
    return np.array(rows, dtype=np.float64).reshape(-1, 14), unsupported


def _ngrams(words: list[str], order: int) -> list[tuple[str, ...]]:
    return list(zip(*(words[i:] for i in range(order)), strict=False))


def _scores(sums: np.ndarray) -> dict[str, Any]:
    """Return the figures of summed counts: [..., 14] -> [...]."""
    names = ("copied", *(f"novel_{order}grams" for order in ORDERS), "unsupported", "unsupported_summaries", "length_ratio")
    return {name: 100 * sums[..., 2 * i] / np.maximum(sums[..., 2 * i + 1], 1) for i, name in enumerate(names)}
