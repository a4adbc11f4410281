"""BLEU-4 over a corpus, by nltk, on the same tokens as ROUGE."""

from __future__ import annotations

from collections.abc import Sequence

from .text import CharacterWordTokenizer, check_pairs

SMOOTHING = "nltk method1: a precision without any match counts 0.1 matches"


def bleu4(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Corpus BLEU-4 (0-100): uniform weights, brevity penalty, one reference each, smoothed as `SMOOTHING` says.

    Where every n-gram order has a match, which a corpus of any size has, this is plain BLEU. nltk counts one missed
    n-gram for every prediction of fewer than n tokens.

    Raises ValueError where the lists are empty or of different length.

    Source: Papineni et al. (2002), BLEU: a Method for Automatic Evaluation of Machine Translation.
    """
    from nltk.translate.bleu_score import SmoothingFunction, corpus_bleu

    check_pairs(predictions, references)
    tokenize = CharacterWordTokenizer().tokenize
    score = corpus_bleu(
        [[tokenize(reference)] for reference in references],
        [tokenize(prediction) for prediction in predictions],
        smoothing_function=SmoothingFunction(epsilon=0.1).method1,
    )
    return round(100 * float(score), 4)
