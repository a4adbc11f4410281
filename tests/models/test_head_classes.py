"""Test which classes of a trained head are those of the data: what is certainly the same name, and what is not."""

import pytest

from paddle_ft.models.head_classes import SYNONYMS, fold, has_default_names, is_by_position, match_classes

SAME = [
    (["neg", "pos"], ["neg", "pos"], [0, 1]),
    (["NEGATIVE", "POSITIVE"], ["neg", "pos"], [0, 1]),  # case, and synonyms
    (["positive", "negative"], ["neg", "pos"], [1, 0]),  # another order
    (["消极", "积极"], ["neg", "pos"], [0, 1]),
    (["正面", "负面"], ["差评", "好评"], [1, 0]),
    (["Sci/Tech", "World News"], ["sci_tech", "world-news"], [0, 1]),  # punctuation and spaces
    (["ｎｅｇ", "ｐｏｓ"], ["neg", "pos"], [0, 1]),  # full width
    (["0.0", "1.0"], ["0", "1"], [0, 1]),
    (["１", "２"], ["2", "1.0"], [1, 0]),
    (["entailment", "neutral", "contradiction"], ["contradiction", "entailment", "neutral"], [2, 0, 1]),
    (["not_entailment", "ENTAILMENT"], ["entailment", "not entailment"], [1, 0]),
    (["LABEL_0", "LABEL_1"], ["neg", "pos"], [0, 1]),  # no names: by position
    (["LABEL_0", "LABEL_1", "LABEL_2"], ["1", "2", "3"], [0, 1, 2]),
    (["LABEL_0", "LABEL_1", "LABEL_2"], ["0", "2"], [0, 2]),  # numbers from 0, some of which the data does not have
    (["LABEL_1", "LABEL_0"], ["0", "1"], [1, 0]),  # these are names
    (["LABEL_0", "LABEL_1"], ["1", "0"], [1, 0]),  # numbers and these names count before the position
    (["LABEL_0", "LABEL_1", "LABEL_2"], ["label 2", "LABEL_0", "Label-1"], [2, 0, 1]),
    (["LABEL_0", "LABEL_1", "LABEL_2"], ["1.0", "0.0"], [1, 0]),
    (["LABEL_0", "LABEL_1", "LABEL_2"], ["LABEL_1", "LABEL_2"], [1, 2]),
    ([f"LABEL_{row}" for row in range(11)], sorted(f"LABEL_{row}" for row in range(11)), [0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9]),
    (["1 star", "2 stars", "3 stars"], ["1", "2", "3"], [0, 1, 2]),
    (["1", "2"], ["2星", "1星"], [1, 0]),
    (["False", "True"], ["0", "1"], [0, 1]),
    (["1", "0"], ["false", "true"], [1, 0]),
    (["a", "b", "c", "x"], ["d", "c", "b", "a", "e"], [None, 2, 1, 0, None]),
    (["neg", "Neg", "pos"], ["Neg", "neg", "POS"], [1, 0, 2]),  # the same spelling decides where a name has two of the other side
]
DIFFERENT = [
    (["spam", "ham"], ["neg", "pos"]),
    (["0", "1"], ["neg", "pos"]),  # which of the two is 0 is not certain
    (["NEGATIVE", "POSITIVE"], ["0", "1"]),
    (["LABEL_1", "LABEL_0"], ["neg", "pos"]),
    (["LABEL_0", "LABEL_1", "LABEL_2"], ["neg", "pos"]),
    (["LABEL_0", "LABEL_1", "LABEL_2"], ["1", "2"]),  # counted from 1, or two of three from 0
    (["LABEL_0"], ["neg", "pos"]),
    (["1 star", "2 stars", "3 stars"], ["0", "1", "2"]),  # stars counted from 0
    (["POS", "positive"], ["pos", "neg"]),  # two of the checkpoint's could be pos
    (["C++", "A-", "+"], ["C", "A", "-"]),  # punctuation that is the name
    (["-1", "1.5"], ["1", "15"]),
    (["true", "false"], ["0", "2"]),
]


@pytest.mark.parametrize(("saved", "wanted", "rows"), SAME)
def test_classes_that_are_certainly_the_same(saved, wanted, rows):
    assert match_classes(saved, wanted) == rows
    if None not in rows and len(saved) == len(wanted) and not has_default_names(saved):
        assert match_classes(wanted, saved) == [rows.index(row) for row in range(len(saved))]


@pytest.mark.parametrize(("saved", "wanted"), DIFFERENT)
def test_classes_that_are_not_certainly_the_same(saved, wanted):
    assert match_classes(saved, wanted) == [None] * len(wanted)


def test_a_match_by_position_is_known_as_such():
    saved = ["LABEL_0", "LABEL_1"]
    assert is_by_position(saved, ["neg", "pos"]) and is_by_position(saved, ["1", "2"])
    others = (["1", "0"], ["LABEL_1", "LABEL_0"], ["0.0", "1.0"], ["a", "b", "c"])
    assert not any(is_by_position(saved, wanted) for wanted in others)
    assert not is_by_position(["NEG", "POS"], ["neg", "pos"])


def test_no_word_is_in_two_lines_and_none_is_its_own_punctuation():
    words = [word for line in SYNONYMS for word in line]
    assert len(set(words)) == len(words)
    for first, *others in SYNONYMS:
        assert all(match_classes([first, "z"], ["z", other]) == [1, 0] for other in others)


def test_every_row_is_used_once():
    saved, wanted = ["a", "A", "b b"], ["A", "a ", "bb", "b_b"]
    assert match_classes(saved, wanted) == [1, None, None, None]


def test_fold_ignores_case_width_and_spaces():
    assert fold(" Ｎeg ") == fold("NEG") == "neg" and fold("１ 星") == "1星" and fold("a-b") != fold("ab")
