"""Test that PaddleNLP's AutoTokenizer loads converted tokenizers without options and gives the ids of transformers."""

import json

import pytest

from convert.families import load_families
from convert.tokenizers.to_hf import write_hf_tokenizer
from convert.tokenizers.to_paddle import write_paddle_tokenizer
from tests.support.checkpoints import archive_folders

NAMES = archive_folders("tokenizers")


@pytest.fixture
def converted(checkpoints, tmp_path):
    """Return a function name -> (source, Paddle directory)."""

    def convert(name):
        source, target = checkpoints(f"tokenizers/{name}"), tmp_path / "paddle"
        config = json.loads((source / "config.json").read_text())
        (target / "huggingface").mkdir(parents=True)
        family = load_families()[config["model_type"]]
        report, notes = write_paddle_tokenizer(source, target, target / "huggingface", family)
        assert report["kind"] != "none", notes
        return source, target

    return convert


@pytest.mark.parametrize("name", NAMES)
def test_gives_the_ids_of_transformers(name, converted):
    from paddlenlp.transformers import AutoTokenizer

    source, target = converted(name)
    expected = json.loads((source / "expected.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(str(target))
    for text, ids in expected["texts"].items():
        assert tokenizer(text)["input_ids"] == ids, text
    pair = tokenizer("the fox", "the lazy dog", return_attention_mask=True)
    family = load_families()[json.loads((source / "config.json").read_text())["model_type"]]
    if not family.token_types:  # BERT's tokenizer with BART: transformers returns token types that its model does not accept
        assert "token_type_ids" not in pair
        expected["pair"].pop("token_type_ids", None)
    assert {key: list(value) for key, value in pair.items()} == expected["pair"]
    assert tokenizer.decode(tokenizer(next(iter(expected["texts"])))["input_ids"]) == expected["decoded"]
    if "batch" in expected:
        batch = tokenizer(["the", "the lazy dog"], padding=True, return_attention_mask=True)
        assert batch["input_ids"] == expected["batch"]["input_ids"]
        assert batch["attention_mask"] == expected["batch"]["attention_mask"]


@pytest.mark.parametrize("name", NAMES)
def test_saving_with_paddlenlp_keeps_the_ids(name, converted, tmp_path):
    from paddlenlp.transformers import AutoTokenizer

    source, target = converted(name)
    AutoTokenizer.from_pretrained(str(target)).save_pretrained(str(tmp_path / "saved"))
    again = AutoTokenizer.from_pretrained(str(tmp_path / "saved"))
    for text, ids in json.loads((source / "expected.json").read_text())["texts"].items():
        assert again(text)["input_ids"] == ids, text


@pytest.mark.parametrize("name", NAMES)
def test_converts_back_to_the_same_files(name, converted, tmp_path):
    source, target = converted(name)
    (tmp_path / "back").mkdir()
    write_hf_tokenizer(target, tmp_path / "back", target / "huggingface")
    before = {path.name: path.read_bytes() for path in source.iterdir() if path.name not in ("config.json", "expected.json")}
    assert {path.name: path.read_bytes() for path in (tmp_path / "back").iterdir()} == before
