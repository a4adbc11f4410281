"""Test what is said about a tokenizer that does not fit its vocabulary or the texts."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from paddle_ft.tokenization.encode import encode_texts
from paddle_ft.tokenization.fast import fast_tokenizer
from paddle_ft.tokenization.fit import SAMPLE, describe_absent, describe_case, describe_unknown
from paddle_ft.tokenization.load import load_tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CASED, LOWER, CHINESE = ["Paris", "paris", "a", "##b"], ["paris", "a", "b", "ℝ"] + [f"w{i}" for i in range(200)], ["今", "天"]


def tokenizer(folder, words, **settings):
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in SPECIAL + words), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", **settings}))
    return fast_tokenizer(folder)


@pytest.mark.parametrize(
    ("words", "settings", "said"),
    [
        (CASED, {}, "the tokenizer lower-cases all texts, although 1 of the 4 tokens of its vocabulary have capitals"),
        (CASED, {"do_lower_case": False}, None),
        (LOWER, {}, None),  # one symbol counts as a capital
        (LOWER, {"do_lower_case": False}, "the tokenizer keeps capitals, although its vocabulary has none"),
        (CHINESE, {"do_lower_case": False}, None),
    ],
)
def test_capitals(tmp_path, words, settings, said):
    decisions = describe_case(tokenizer(tmp_path, words, **settings))
    assert len(decisions) == bool(said) and all(decision.startswith(said) for decision in decisions)


def test_bytes_have_no_case(tmp_path):
    (tmp_path / "vocab.json").write_text(json.dumps({"<s>": 0, "</s>": 1, "<pad>": 2, "<unk>": 3, "<mask>": 4, "A": 5}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    assert describe_case(fast_tokenizer(tmp_path)) == []


def test_unknown_tokens(tmp_path):
    fast, slow = tokenizer(tmp_path, LOWER), SimpleNamespace(unk_token_id=1, unk_token="[UNK]")
    encoded = encode_texts(fast, ["paris 今", "a b"], label="", cache=False)  # [CLS] paris [UNK] [SEP], [CLS] a b [SEP]
    columns = {"text": encoded, "label": np.array([0, 1])}
    assert describe_unknown(columns, 2, slow) == [
        "12.5% of the tokens of the training rows are unknown to the tokenizer and read as [UNK]: its vocabulary may be for other"
        " texts"
    ]
    known = {"text": encode_texts(fast, ["a b"], label="", cache=False)}
    assert describe_unknown(known, 1, slow) == []
    assert describe_unknown(columns, 2, SimpleNamespace(unk_token_id=None)) == []
    blocks = {"ids": [np.array([1, 5])] * (SAMPLE + 1), "starts": [np.array([1, 1])] * (SAMPLE + 1)}
    assert describe_unknown(blocks, SAMPLE + 1, slow)[0].startswith("50.0% of the tokens of the first 1,000 training rows are")


def test_special_tokens_that_no_file_has(tmp_path):
    tokenizer(tmp_path, LOWER)
    assert describe_absent(tmp_path, load_tokenizer(tmp_path)) == []
    words = [word for word in SPECIAL if word not in ("[PAD]", "[CLS]", "[MASK]")] + LOWER
    (tmp_path / "vocab.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    loaded = load_tokenizer(tmp_path)
    numbers = [str(loaded.convert_tokens_to_ids(token)) for token in ("[CLS]", "[MASK]")]
    assert min(map(int, numbers)) >= len(words)
    assert describe_absent(tmp_path, loaded) == [
        f"the tokenizer's vocabulary has no [CLS], [MASK]: the model reads row {', '.join(numbers)} of its embedding instead, which"
        " was probably never trained; if the vocabulary is of another model, set model.tokenizer to the right one"
    ]
    added = dict(loaded.added_tokens_encoder)
    (tmp_path / "added_tokens.json").write_text(json.dumps(added))
    assert describe_absent(tmp_path, load_tokenizer(tmp_path)) == []
    (tmp_path / "added_tokens.json").unlink()
    one_file = {"added_tokens": [{"id": i, "content": token} for token, i in added.items()]}
    for content, is_said in ((one_file, False), ({"added_tokens": None}, True)):
        (tmp_path / "tokenizer.json").write_text(json.dumps(content))
        assert bool(describe_absent(tmp_path, loaded)) == is_said
    (tmp_path / "tokenizer.json").unlink()
    for decoder, is_said in (({str(i): {"content": token} for token, i in added.items()}, False), (None, True), ({"0": [1]}, True)):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": decoder}))
        assert bool(describe_absent(tmp_path, loaded)) == is_said
