import math

import pytest

from paddle_ft.metrics.bleu import bleu4


def test_identical_texts():
    assert bleu4(["李嘉诚回应撤资质疑", "北京今天小雨"], ["李嘉诚回应撤资质疑", "北京今天小雨。"]) == 100.0


def test_by_hand():
    # 今天北京有小雨 against 今天北京有大雨: 6 of 7, 4 of 6, 3 of 5, 2 of 4; equal length, no penalty
    expected = 100 * (6 / 7 * 4 / 6 * 3 / 5 * 2 / 4) ** 0.25
    assert bleu4(["今天北京有小雨"], ["今天北京有大雨"]) == pytest.approx(expected, abs=1e-4)


def test_brevity_penalty():
    assert bleu4(["今天北京有"], ["今天北京有大雨"]) == pytest.approx(100 * math.exp(1 - 7 / 5), abs=1e-4)


def test_smoothing_of_orders_without_a_match():
    # a c b d against a b c d: 4 of 4 words, no bigram, trigram or 4-gram: 0.1 of 3, 2 and 1
    expected = 100 * (1 * 0.1 / 3 * 0.1 / 2 * 0.1 / 1) ** 0.25
    assert bleu4(["a c b d"], ["a b c d"]) == pytest.approx(expected, abs=1e-4)


def test_empty_predictions_and_wrong_lengths():
    assert bleu4(["", ""], ["今天", "明天"]) == 0.0
    assert 0 < bleu4(["", "今天北京有雨"], ["今天", "今天北京有雨"]) < 100
    with pytest.raises(ValueError, match="2 predictions but 1 references"):
        bleu4(["a", "b"], ["a"])


def test_the_interval_is_of_the_same_score():
    """If all resamples are equal, both ends are nltk's score. Otherwise nltk's score lies between them."""
    from paddle_ft.metrics import bleu

    pairs = [("今天北京天气晴朗", "今天北京有晴天"), ("上海明天下大雨", "上海明天有大雨"), ("a b c d e", "a b c d f g"),
             ("短", "长文本"), ("", "空")]  # fmt: skip
    predictions, references = zip(*pairs, strict=True)
    tokenize = bleu.CharacterWordTokenizer().tokenize
    counts = bleu.np.array([bleu._counts(tokenize(p), tokenize(r)) for p, r in pairs])
    assert bleu._scores(counts.sum(axis=0, keepdims=True))[0] == pytest.approx(bleu.bleu4(predictions, references), abs=1e-3)
    low, high = bleu.bleu4_interval(predictions * 20, references * 20, seed=1)
    assert low < bleu.bleu4(predictions * 20, references * 20) < high
    same = ["北京晴"] * 5
    assert bleu.bleu4_interval(same, same)[0] == pytest.approx(bleu.bleu4(same, same), abs=1e-3)
