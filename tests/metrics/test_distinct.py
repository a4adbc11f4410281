from paddle_ft.metrics.distinct import distinct


def test_distinct_counts_over_all_texts_together():
    texts = ["the cat the dog", "The cat, the bird"]
    assert distinct(texts, 1) == 50.0  # the cat dog bird, of 8
    assert distinct(texts, 2) == round(100 * 4 / 6, 4)  # the-cat, cat-the, the-dog, the-bird, of 6; no bigram crosses two texts


def test_texts_too_short_have_none():
    assert distinct(["a", "b"], 2) == 0.0
    assert distinct([], 1) == 0.0


def test_chinese_by_character():
    assert distinct(["天天向上"], 1) == 75.0
