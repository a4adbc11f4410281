"""Test how the program of an export cuts pairs: like the training, and without the tokenizer's combinations."""

import itertools

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from paddle_ft.export.runner.tasks import Classifier
from paddle_ft.tokenization.encode import cut_pair

WORDS = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, **{f"w{number}": number + 3 for number in range(50)}}


@pytest.fixture
def tokenizer():
    tokenizer = Tokenizer(models.WordLevel(WORDS, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", [("[CLS]", 1), ("[SEP]", 2)]
    )
    return tokenizer


def text_of(length: int) -> str:
    return " ".join(f"w{number % 50}" for number in range(length))


def classifier(tokenizer, limit):
    return Classifier({"truncate": limit, "takes_pairs": True}, tokenizer, {})


@pytest.mark.parametrize("limit", [None, 5, 8, 9])
def test_pairs_of_all_lengths_are_cut_as_in_training(tokenizer, limit):
    for first, second in itertools.product(range(8), repeat=2):
        pair = text_of(first), text_of(second)
        encoded = classifier(tokenizer, limit).encode(pair)
        assert (encoded.ids, encoded.second) == cut_pair(tokenizer.encode(*pair), limit), (first, second)


def test_single_texts_are_cut_as_the_tokenizer_cuts(tokenizer):
    encoded = [classifier(tokenizer, 6).encode(text_of(length)) for length in range(12)]
    tokenizer.enable_truncation(6)
    assert [one.ids for one in encoded] == [tokenizer.encode(text_of(length)).ids for length in range(12)]
    assert {one.second for one in encoded} == {None}


def test_a_pair_of_long_texts_takes_no_combinations(tokenizer):
    assert len(classifier(tokenizer, 16).encode((text_of(3000), text_of(3000)))) == 16
    assert tokenizer.truncation is None
