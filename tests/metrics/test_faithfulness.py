"""Test what summaries copy, what is new in them, and which numbers and names their sources lack, against hand counts."""

import pytest

from paddle_ft.metrics.faithfulness import faithfulness, faithfulness_counts, find_facts, unsupported_facts


def test_english_by_hand():
    source, target = "the old oak fell on the road near Dover in 1987", "an oak fell near Dover"
    figures, unsupported = faithfulness([source], [target], ["the old oak fell near Paris in 1987 and 1990"])
    # 10 words: "the old oak fell" and "in 1987" are copied runs; "near" is in the source alone
    assert figures["copied"] == 60.0
    assert figures["novel_1grams"] == 30.0  # Paris, and, 1990
    assert figures["novel_2grams"] == pytest.approx(100 * 5 / 9, abs=1e-4)  # fell near, near Paris, Paris in, 1987 and, and 1990
    assert figures["novel_3grams"] == pytest.approx(100 * 6 / 8, abs=1e-4)
    assert unsupported == [["1990", "Paris"]]
    assert figures["unsupported"] == pytest.approx(100 * 2 / 3, abs=1e-4)  # of 1987, 1990 and Paris
    assert figures["unsupported_summaries"] == 100.0 and figures["length_ratio"] == 200.0
    assert figures["unsupported_of_targets"] == 0.0
    assert figures["copied_of_targets"] == 80.0  # oak fell, near Dover
    assert figures["novel_2grams_of_targets"] == 50.0  # an oak, fell near


def test_chinese_by_hand():
    """A character is a word. The names are those that jieba tags."""
    source = "记者从北京市获悉，王毅昨日会见外宾，共有１２家企业签约。"
    figures, unsupported = faithfulness([source], ["北京12家企业签约"], ["上海13家企业签约"])
    assert unsupported == [["13", "上海"]]
    # 8 words, with 13 as one; the run 家企业签约 is copied
    assert figures["copied"] == pytest.approx(100 * 5 / 8, abs=1e-4)
    assert figures["novel_1grams"] == pytest.approx(100 * 3 / 8, abs=1e-4)
    assert figures["unsupported"] == 100.0 and figures["unsupported_of_targets"] == 0.0


def test_rates_are_over_all_summaries_together():
    sources = ["Anna met Bob in 2001", "nothing happened"]
    figures, _ = faithfulness(sources, ["x", "y"], ["so Anna met Bob", "so it was 5 and Eve"])
    assert figures["unsupported"] == 50.0  # 5 and Eve, of four; the mean of the two rates would be the same here
    assert figures["unsupported_summaries"] == 50.0
    figures, _ = faithfulness(sources, ["x", "y"], ["so Anna met Bob in 2001", "so it was 5"])
    assert figures["unsupported"] == 25.0  # 1 of 4, and not the mean of 0 and 100
    totals = faithfulness_counts(sources, ["x", "y"], ["so Anna met Bob in 2001", "so it was 5"]).totals()
    assert totals["unsupported"] == 25.0 and "copied_of_targets" not in totals


@pytest.mark.parametrize(("text", "facts"), [
    ("The man met Obama. Later he left NASA in 2019.", ["2019", "Obama", "NASA"]),  # The and Later begin sentences
    ("I saw McDonald", ["McDonald"]),
    ("NASA says 1,234.5 people", ["1234.5", "NASA"]),  # two capitals at the beginning
    ("王毅抵达北京，iPhone 6售价５，０００元", ["6", "5000", "iPhone", "王毅", "北京"]),
    ("三人受伤", []),  # Chinese numerals do not count
    ("", []),
])  # fmt: skip
def test_numbers_and_names(text, facts):
    assert find_facts(text) == facts


def test_how_facts_are_looked_up():
    assert unsupported_facts("so OBAMA won 5000 votes", "barack obama won 5,000 votes") == []
    assert unsupported_facts("so it won 500 votes", "it won 5,000 votes") == ["500"]
    assert unsupported_facts("so Ann came", "Anna came") == ["Ann"]  # whole words
    assert unsupported_facts("北京下雨", "北京市昨天下雨") == []  # a part of a longer Chinese name supports it


def test_a_summary_without_words():
    figures, unsupported = faithfulness(["a b"], ["a"], [""])
    assert unsupported == [[]] and figures["copied"] == 0 and figures["unsupported"] == 0 and figures["length_ratio"] == 0
