"""Test the choice of the algorithm that builds a new tokenizer."""

import pytest

from paddle_ft.system.errors import UserError
from paddle_ft.tokenization.build import new_tokenizer


def test_an_unknown_algorithm_of_an_architecture_is_refused(tmp_path):
    message = r"Architecture\.new_tokenizer: 'unigram' is unknown: it must be 'wordpiece' or 'byte_level'\."
    with pytest.raises(UserError, match=message):
        new_tokenizer("unigram", ["a b"], tmp_path, None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("algorithm", "name"), [("wordpiece", "BertTokenizer"), ("byte_level", "GPTTokenizer")])
def test_each_algorithm_makes_its_tokenizer(algorithm, name, tmp_path):
    assert type(new_tokenizer(algorithm, ["a b"], tmp_path, None)).__name__ == name
