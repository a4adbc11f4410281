"""Test what is said where the name of a model, or its files, leave a choice."""

import json

import pytest

from paddle_ft.config.schema import ModelSection
from paddle_ft.models.bundle import load_bundle
from paddle_ft.models.choices import describe_model, describe_tokenizer
from paddle_ft.models.request import ModelRequest

CLASSIFIER = "sequence_classification"
SIZES = {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}


def test_a_folder_with_the_name_of_a_built_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bert-base-uncased").mkdir()
    assert describe_model("bert-base-uncased", CLASSIFIER) == [
        "model.pretrained: the folder bert-base-uncased in the working directory is used, not PaddleNLP's model bert-base-uncased"
    ]
    assert describe_model("bert-base-cased", CLASSIFIER) == describe_model(f"{tmp_path}/bert-base-uncased", CLASSIFIER) == []


def test_two_files_of_weights(tmp_path):
    for name in ("pytorch_model.bin", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).touch()
    assert describe_model(str(tmp_path), CLASSIFIER) == [
        "model.pretrained: of the files model.safetensors, pytorch_model.bin the first is read; the others are not"
    ]


def test_the_commit_of_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path))
    assert describe_model("org/name", CLASSIFIER) == []
    folder = tmp_path / "hub" / "org--name"
    folder.mkdir(parents=True)
    (folder / ".source.json").write_text(json.dumps({"id": "org/name", "revision": "main", "commit": "0123456789abcdef"}))
    assert describe_model("org/name", CLASSIFIER) == ["model.pretrained: org/name is its revision main, commit 0123456789ab"]


def test_a_tokenizer_without_the_name_of_its_class(tmp_path):
    (tmp_path / "merges.txt").touch()
    said = "tokenizer: no tokenizer_config.json names its class, so"
    assert describe_tokenizer(tmp_path) == [f"{said} merges.txt is read by BartTokenizer"]
    (tmp_path / "vocab.txt").touch()
    assert describe_tokenizer(tmp_path) == [f"{said} vocab.txt is read by BertTokenizer, which lower-cases all texts"]
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert describe_tokenizer(tmp_path) == [f"{said} vocab.txt is read by BertTokenizer"]
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    assert describe_tokenizer(tmp_path) == []


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (None, "the tokenizer is new, made of the characters of the training texts: 11 tokens (model.new_vocabulary=N makes one of"
         " words and parts of words)"),
        (50, "the tokenizer is new, made of the words and parts of words of the training texts: 13 tokens"),
    ],
)  # fmt: skip
def test_a_new_tokenizer(tmp_path, size, said):
    section = ModelSection(config=SIZES, new_vocabulary=size)
    texts = ["abc abc ab"] * 3
    settings = {"id2label": {0: "a", 1: "b"}, "label2id": {"a": 0, "b": 1}, "classifier_head": "linear"}
    assert load_bundle(section, ModelRequest(CLASSIFIER, texts=texts, settings=settings), tmp_path / "t").decisions == [said]
    (tmp_path / "vocab.txt").write_text("".join(f"{word}\n" for word in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "B")))
    section = ModelSection(config=SIZES, tokenizer=str(tmp_path))
    guess, case = load_bundle(section, ModelRequest(CLASSIFIER, settings=settings), tmp_path / "u").decisions
    assert guess.startswith("tokenizer: no tokenizer_config.json")
    assert case.startswith("the tokenizer lower-cases all texts, although")
