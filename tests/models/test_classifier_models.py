"""Where classifiers come from: PaddleNLP's built-ins, and vocabularies made from texts."""

import json

import pytest

from paddle_ft.data.samples import reviews
from paddle_ft.models.resolve import builtin_files, resolve
from paddle_ft.system.errors import UserError
from paddle_ft.tokenization.build import wordpiece_tokenizer

KIND = "sequence_classification"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path))
    return tmp_path / "models"


@pytest.mark.parametrize("name", ["bert-large-uncased", "distilbert-base-uncased"])
def test_the_recipes_models_are_known_with_all_their_files(home, name):
    files = {file.path.rsplit("/", 1)[1]: file.url for file in map(_texts, builtin_files(name, KIND))}
    assert set(files) == {"model_state.pdparams", "vocab.txt"}
    assert all(url.endswith((f"{name}.pdparams", f"{name}-vocab.txt")) for url in files.values())
    assert all(url.startswith("https://") for url in files.values())  # PaddleNLP gives some as http://
    config = json.loads((home / name / "config.json").read_text())
    assert (config["model_type"], config["hidden_size"]) == (("bert", 1024) if "large" in name else ("distilbert", 768))


def _texts(wanted):
    from dataclasses import replace

    return replace(wanted, path=str(wanted.path))


def test_capitals_count_where_the_built_in_says_so(home):
    builtin_files("bert-base-cased", KIND)
    builtin_files("bert-base-uncased", KIND)
    settings = [json.loads((home / f"bert-base-{case}" / "tokenizer_config.json").read_text()) for case in ("cased", "uncased")]
    assert [one["do_lower_case"] for one in settings] == [False, True]


def test_a_misspelt_name_gets_those_like_it(home):
    with pytest.raises(UserError, match="bert-large-uncase: no such directory, and not the name .*bert-large-uncased"):
        resolve("bert-large-uncase", KIND)


def test_a_wordpiece_vocabulary(tmp_path):
    texts = [row["text"] for row in reviews.rows("train")]
    first = wordpiece_tokenizer(texts, tmp_path / "a", 500)
    wordpiece_tokenizer(texts, tmp_path / "b", 500)
    assert (tmp_path / "a" / "vocab.txt").read_bytes() == (tmp_path / "b" / "vocab.txt").read_bytes()
    assert len(first) <= 500
    assert first.tokenize("A gripping story") == ["a", "gripping", "story"]
    assert first.convert_tokens_to_ids(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]) == [0, 1, 2, 3, 4]
    assert not any("[UNK]" in first.tokenize(text) for text in texts[:200])
