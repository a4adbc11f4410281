"""Test that originality computed with the index equals a scan of every pair."""

import random

import pytest
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from paddle_ft.metrics import originality as originality_module
from paddle_ft.metrics.originality import OriginalityIndex, originality
from paddle_ft.metrics.text import CharacterWordTokenizer

LINES = ["I left my heart beside the river", "the river runs to the sea", "money money money", "我爱你的眼睛", "go home"]
tokenize = CharacterWordTokenizer().tokenize


@pytest.fixture(scope="module")
def index():
    return OriginalityIndex(LINES)


def highest_bleu(text, lines):
    words = tokenize(text)
    order = min(4, len(words))
    smoothing = SmoothingFunction(epsilon=0.1).method1
    scores = [sentence_bleu([tokenize(line)], words, weights=[1 / order] * order, smoothing_function=smoothing) for line in lines]
    return 100 * max(scores)


def longest_copy(text, lines):
    words = tokenize(text)
    token_texts = [f" {' '.join(tokenize(line))} " for line in lines]
    spans = [(i, j) for i in range(len(words)) for j in range(i + 1, len(words) + 1)]
    return max((j - i for i, j in spans if any(f" {' '.join(words[i:j])} " in line for line in token_texts)), default=0)


def test_an_exact_copy_is_found_whatever_its_case_and_punctuation(index):
    origin = index.origin("The river runs, to THE sea!")
    assert (origin.bleu, origin.line, origin.copied, origin.exact) == (100.0, 1, 6, True)
    short = index.origin("Go home.")
    assert (short.bleu, short.line, short.copied, short.exact) == (100.0, 4, 2, True)


def test_a_part_of_a_line_is_no_exact_copy(index):
    origin = index.origin("my heart beside the river")
    assert (origin.copied, origin.exact, origin.line) == (5, False, 0)
    assert origin.bleu == pytest.approx(100 * 2.718281828 ** (1 - 7 / 5), abs=1e-4)  # all n-grams match; the line is shorter


def test_a_copy_across_two_lines_does_not_count(index):
    assert index.origin("beside the river the river runs").copied == 3


def test_matches_count_as_often_as_they_stand_in_the_line(index):
    assert index.origin("money money money money money").bleu == pytest.approx(highest_bleu("money " * 5, LINES), abs=1e-3)
    assert index.origin("money money money money money").copied == 3


def test_chinese_is_compared_by_character(index):
    origin = index.origin("我爱你的笑容")
    assert (origin.copied, origin.line) == (4, 3)


def test_a_text_that_shares_no_word_is_original(index):
    for text in ("completely different words", "...", ""):
        origin = index.origin(text)
        assert (origin.bleu, origin.line, origin.copied, origin.exact) == (0.0, None, 0, False)


def test_the_index_finds_what_a_scan_of_all_pairs_finds():
    draw = random.Random(1)
    words = [f"w{i}" for i in range(40)]
    lines = [" ".join(draw.choices(words, k=draw.randint(1, 9))) for _ in range(120)]
    index = OriginalityIndex(lines)
    for number in range(150):
        text = " ".join(draw.choices([*words, "new"], k=draw.randint(1, 9)))
        if number % 2:
            text = f"{' '.join(draw.choice(lines).split()[:5])} {draw.choice(lines)}"
        origin = index.origin(text)
        if tokenize(text) in [tokenize(line) for line in lines]:
            assert origin.exact and origin.bleu == 100
        else:
            assert not origin.exact
            assert origin.bleu == pytest.approx(highest_bleu(text, lines), abs=1e-3), text
            if origin.line is not None:
                assert highest_bleu(text, [lines[origin.line]]) == pytest.approx(origin.bleu, abs=1e-3)
        assert origin.copied == longest_copy(text, lines), text


def test_many_lines_are_looked_up_in_parts_with_the_same_result(monkeypatch):
    draw = random.Random(2)
    words = [f"w{i}" for i in range(20)]
    lines = [" ".join(draw.choices(words, k=draw.randint(0, 9))) for _ in range(100)]
    texts = [" ".join(draw.choices([*words, "new"], k=draw.randint(0, 9))) for _ in range(60)] + draw.sample(lines, 20)
    expected = OriginalityIndex(lines).origins(texts)
    assert 20 < sum(origin.exact for origin in expected) < 60
    monkeypatch.setattr(originality_module, "LINES_OF_PART", 7)
    monkeypatch.setattr(originality_module, "LINES_AT_ONCE", 11)
    assert OriginalityIndex(lines).origins(texts) == expected


def test_figures(index):
    figures, origins = originality(["go home", "completely different words", "the river runs dry"], index)
    assert figures["exact_copies"] == pytest.approx(33.3333, abs=1e-4)
    assert figures["longest_copy"] == pytest.approx((2 + 0 + 3) / 3, abs=1e-4)
    assert figures["longest_copy_max"] == 3
    assert figures["max_bleu"] == pytest.approx(sum(origin.bleu for origin in origins) / 3, abs=1e-4)
    with pytest.raises(ValueError, match="no generated lines"):
        originality([], index)


def test_an_empty_index():
    assert OriginalityIndex([]).origin("anything").bleu == 0
