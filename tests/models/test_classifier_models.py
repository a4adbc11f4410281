"""Test finding PaddleNLP's built-in classifiers, and building a WordPiece vocabulary from texts."""

import json

import pytest

from paddle_ft.data.samples import reviews
from paddle_ft.models.resolve import builtin_files, resolve
from paddle_ft.system.errors import UserError
from paddle_ft.tokenization.build import wordpiece_tokenizer

HEAD_TYPE = "sequence_classification"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path))
    return tmp_path / "models"


@pytest.mark.parametrize("name", ["bert-large-uncased", "distilbert-base-uncased"])
def test_the_recipes_models_are_known_with_all_their_files(home, name):
    files = {file.path.name: file.url for file in builtin_files(name, HEAD_TYPE)}
    assert set(files) == {"model_state.pdparams", "vocab.txt"}
    assert all(url.endswith((f"{name}.pdparams", f"{name}-vocab.txt")) for url in files.values())
    assert all(url.startswith("https://") for url in files.values())  # PaddleNLP gives some as http://
    config = json.loads((home / name / "config.json").read_text())
    assert (config["model_type"], config["hidden_size"]) == (("bert", 1024) if "large" in name else ("distilbert", 768))


def test_do_lower_case_is_that_of_the_built_in(home):
    builtin_files("bert-base-cased", HEAD_TYPE)
    builtin_files("bert-base-uncased", HEAD_TYPE)
    settings = [json.loads((home / f"bert-base-{case}" / "tokenizer_config.json").read_text()) for case in ("cased", "uncased")]
    assert [setting["do_lower_case"] for setting in settings] == [False, True]


def test_a_misspelt_name_is_answered_with_similar_names(home):
    with pytest.raises(UserError, match="bert-large-uncase: no such directory, and not the name .*bert-large-uncased"):
        resolve("bert-large-uncase", HEAD_TYPE)


def test_a_wordpiece_vocabulary(tmp_path):
    texts = [row["text"] for row in reviews.rows("train")]
    first = wordpiece_tokenizer(texts, tmp_path / "a", 500)
    wordpiece_tokenizer(texts, tmp_path / "b", 500)
    assert (tmp_path / "a" / "vocab.txt").read_bytes() == (tmp_path / "b" / "vocab.txt").read_bytes()
    assert len(first) <= 500
    assert first.tokenize("A gripping story") == ["a", "gripping", "story"]
    assert first.convert_tokens_to_ids(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]) == [0, 1, 2, 3, 4]
    assert not any("[UNK]" in first.tokenize(text) for text in texts[:200])
