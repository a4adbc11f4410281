"""Test that the samples for classifiers are balanced and reproducible, and that their splits do not overlap."""

from collections import Counter

import pytest

from paddle_ft.data.samples import questions, reviews

SPLITS = ("train", "validation", "test")


@pytest.mark.parametrize("sample", [reviews, questions])
def test_sizes_are_fixed_and_rows_reproducible(sample):
    for split in SPLITS:
        rows = sample.rows(split)
        assert len(rows) == sample.SIZES[split]
        assert rows == sample.rows(split) != sample.rows(split, seed=1)


def test_reviews_are_balanced_and_no_film_is_in_two_splits():
    assert Counter(row["label"] for row in reviews.rows("test")) == {"negative": 150, "positive": 150}
    films = {split: set(reviews.titles_of(split)) for split in SPLITS}
    assert not (films["train"] & films["test"] or films["train"] & films["validation"] or films["validation"] & films["test"])
    texts = [row["text"] for row in reviews.rows("train")]
    assert len(set(texts)) == len(texts)


def test_no_single_word_of_a_review_gives_the_verdict_away():
    rows = reviews.rows("train")
    for word in ("gripping", "dull"):
        labels = Counter(row["label"] for row in rows if word in row["text"].split())
        assert min(labels.values()) > 0.15 * sum(labels.values())


def test_question_pairs_are_balanced_and_need_both_questions():
    for split in SPLITS:
        shares = Counter(row["label"] for row in questions.rows(split))
        assert 0.35 < shares["duplicate"] / sum(shares.values()) < 0.55
    firsts: dict[str, set] = {}
    for row in questions.rows("train"):
        firsts.setdefault(row["text"], set()).add(row["label"])
    assert sum(len(labels) == 2 for labels in firsts.values()) > 0.9 * len(firsts)
