import time

import pytest
from rouge_score import rouge_scorer

from paddle_ft.metrics import rouge as rouge_module
from paddle_ft.metrics.rouge import rouge


def test_identical_chinese_scores_100_where_rouge_score_alone_gives_0():
    text = "李嘉诚回应撤资质疑：是一个大笑话"
    own = rouge_scorer.RougeScorer(["rouge1", "rougeL"]).score(text, text)
    assert own["rouge1"].fmeasure == 0 and own["rougeL"].fmeasure == 0
    result, _ = rouge([text], [text])
    assert [result[name] for name in ("rouge1", "rouge2", "rougeL")] == [100, 100, 100]
    assert result["tokenizer"] == "chinese-characters+words"


def test_values_by_hand():
    # 今天下雨 against 今天天晴: unigrams 今 天 (天 counts once: the prediction has one) = 2 of 4 and 2 of 4;
    # bigrams 今天 = 1 of 3 and 1 of 3; longest common subsequence 今天 = 2.
    result, _ = rouge(["今天下雨"], ["今天天晴"], bootstrap=0)
    assert result == {"rouge1": 50.0, "rouge2": 33.3333, "rougeL": 50.0, "tokenizer": "chinese-characters+words"}
    # 3 of 4 predicted, 3 of 6 wanted: F1 = 2 * 0.75 * 0.5 / 1.25 = 0.6. A number is one unit.
    assert rouge(["股价涨3.5%"], ["股价大跌至3.5%"], bootstrap=0)[0]["rouge1"] == 60.0


def test_mean_and_interval_over_examples():
    predictions, references = ["好"] * 30 + ["坏"] * 70, ["好"] * 100
    result, rouge_l = rouge(predictions, references)
    assert result["rouge1"] == 30.0
    low, high = result["rouge1_ci"]
    # the binomial's own 95 % interval around 30 of 100 is 30 +- 9
    assert 19 <= low <= 23 and 37 <= high <= 41
    assert (result, rouge_l) == rouge(predictions, references)
    assert rouge_l == [100.0] * 30 + [0.0] * 70


def test_english_has_lsum_by_sentence():
    # Two sentences in the other order: rougeL sees one of them, rougeLsum both.
    result, _ = rouge(["Dogs bark loudly. Cats sleep."], ["Cats sleep. Dogs bark loudly."], bootstrap=10)
    assert result["rougeL"] == 60.0
    assert result["rougeLsum"] == 100.0
    assert result["rougeLsum_ci"] == [100.0, 100.0]
    assert result["sentences"] in ("nltk-punkt", "nltk-punkt-untrained")
    assert "rougeLsum" not in rouge(["今天"], ["今天"], bootstrap=0)[0]
    assert "rougeLsum" in rouge(["今天"], ["今天"], language="en", bootstrap=0)[0]


def test_sentences_are_split_without_downloaded_data(monkeypatch, tmp_path):
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    rouge_module.sentence_splitter.cache_clear()
    name, split = rouge_module.sentence_splitter()
    rouge_module.sentence_splitter.cache_clear()
    assert name == "nltk-punkt-untrained"
    assert split("One is here. Two is there!\n\nThree  ") == ["One is here.", "Two is there!", "Three"]


@pytest.mark.parametrize("prediction", ["", " \n", "。。。", "😀"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_nothing_predicted_scores_0(prediction, language):
    result, rouge_l = rouge([prediction, "今天"], ["今天", "今天"], language=language, bootstrap=10)
    assert result["rouge1"] == result["rougeL"] == 50.0
    assert rouge_l[0] == 0.0


def test_lists_that_do_not_pair_up():
    with pytest.raises(ValueError, match="1 predictions but 2 references: they must pair up"):
        rouge(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="2 predictions but 1 references"):
        rouge(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="there are no predictions"):
        rouge([], [])


def test_thousands_of_pairs_in_seconds():
    reference = "面对撤资中国内地及香港的传言李嘉诚希望用数字说话"
    start = time.perf_counter()
    rouge([reference[1:]] * 4000, [reference] * 4000)
    assert time.perf_counter() - start < 10  # 0.5 s on one free core
