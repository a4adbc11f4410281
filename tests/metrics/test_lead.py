import pytest

from paddle_ft.metrics.lead import lead, mean_length


def test_chinese_counts_characters():
    assert mean_length(["今天下雨", "明天北京晴好。"]) == 6  # (4 + 7) / 2, rounded
    assert lead([" 今天北京有小雨，明天晴", "短"], 5) == ["今天北京有", "短"]


def test_english_counts_words():
    assert mean_length(["rain today", "sunny  in the north"]) == 3
    assert lead(["It will  rain in the north.", "Sun"], 3) == ["It will rain", "Sun"]


def test_language_can_be_given():
    assert mean_length(["iphone 6"], "zh") == 8
    assert lead(["iphone 6 plus"], 8, "zh") == ["iphone 6"]


def test_impossible_requests():
    assert mean_length([""]) == 1
    with pytest.raises(ValueError, match="no targets"):
        mean_length([])
    with pytest.raises(ValueError, match="is 0: it must be at least 1"):
        lead(["a"], 0)
