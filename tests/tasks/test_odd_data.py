"""Try odd data with every task: each ends with a right result or with one error that says what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from paddle_ft.system.errors import UserError
from paddle_ft.training import run as training_run
from tests.support.old_runs import read_old_run
from tests.support.tiny_tasks import TASKS

SONG = "the sea is blue\nthe sky is too\nand so are you\nthe whole day through\n"
GOOD = [(SONG, "a"), (SONG.replace("sea", "lake"), "b"), (SONG.replace("sky", "tree"), "a"), (SONG.replace("day", "night"), "b")]


def rows_of(task, pairs):
    return [task.row(text, other) for text, other in pairs]


# name -> the rows: (text, target or label)
CASES = {
    "one row": GOOD[:1],
    "all rows equal": [GOOD[0]] * 4,
    "one class": [(text, "a") for text, _ in GOOD],
    "empty targets": [(text, "") for text, _ in GOOD],
    "only spaces": [(" \t\n \u3000\n", "a"), ("   ", "b")],
    "only emoji": [("😀 😃\n😄 😁\n😀 😃\n😄 😁\n", "😀"), ("🎉🎉\n🎉\n🎉🎉\n🎉\n", "🎉")] * 2,
    "words of 10,000 characters": [("x" * 10_000 + "\n" + "y" * 10_000 + "\n" + SONG, "a"), (SONG, "b")] * 2,
    "one very long text": [(SONG * 500, "a"), (SONG, "b")] * 2,
    "control characters": [("\x00\x01\x1b[31m\u200b\ufeff" + SONG, "a"), (SONG, "b")] * 2,
    "half a surrogate pair": [("\ud83d" + SONG, "a"), (SONG, "b")] * 2,
}
NONE_LEFT = "rows are bad: no usable row remains. Correct the file, or data.columns if it names the wrong columns"
SURROGATE = "contains half a character (a lone surrogate), which is not text\n2 of 4 rows are bad. Correct the file, or leave"
ONE_CLASS = "train: every row has the label 'a': at least two classes are needed"
# (case, task) -> the error; all others must work. The recipe of causal_lm leaves bad rows out.
ERRORS = {
    ("one row", "classification"): ONE_CLASS,
    ("all rows equal", "classification"): ONE_CLASS,
    ("one class", "classification"): ONE_CLASS,
    ("empty targets", "summarization"): f"train.jsonl:1: target is empty\n4 of 4 {NONE_LEFT}",
    ("empty targets", "classification"): f"train.jsonl:1: label is empty\n4 of 4 {NONE_LEFT}",
    ("only emoji", "lyrics"): "data.train: its 4 songs have no two lines that follow each other in a section.",
    **{("only spaces", name): f"train.jsonl:1: {task.fields[0]} is empty\n2 of 2 {NONE_LEFT}" for name, task in TASKS.items()},
    **{
        ("half a surrogate pair", name): f"train.jsonl:1: {task.fields[0]} {SURROGATE}"
        for name, task in TASKS.items() if name != "causal_lm"
    },
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", TASKS)
def test_odd_rows(name, case, tmp_path, capsys):
    task = TASKS[name]
    config = task.config(tmp_path, rows_of(task, CASES[case]))
    expected = ERRORS.get((case, name))
    if expected is None:
        training_run.check(config)
        assert "check passed" in capsys.readouterr().out
        return
    with pytest.raises(UserError, match=re.escape(expected)):
        training_run.check(config)


@pytest.mark.parametrize("name", TASKS)
def test_texts_longer_than_the_models_positions_are_refused_with_the_setting(name, tmp_path):
    task, long = TASKS[name], "".join(f"{line} " * 30 + "\n" for line in SONG.splitlines())
    config = task.config(tmp_path, rows_of(task, [(long, "a"), (long[1:], "b")]), f"{task.positions}=400")
    with pytest.raises(UserError, match=f"{re.escape(task.positions)}.* 400 .*model"):
        training_run.check(config)


# ---------------------------------------------------------------------------------------------------- models that do not fit
OLD = read_old_run("classification")
FILES = {name.removeprefix("best/"): content for name, content in OLD.items() if name.startswith("best/")}
DISTINCT = ("config.json", "tokenizer_config.json", "special_tokens_map.json")
LONGER = {"vocab.txt": FILES["vocab.txt"] + b"one\ntwo\n"}


def with_values(**values) -> dict[str, bytes]:
    """Return the JSON files of the model with some values exchanged where they have them."""
    contents = {name: json.loads(FILES[name]) for name in DISTINCT}
    return {
        name: json.dumps({**content, **{key: value for key, value in values.items() if key in content}}).encode()
        for name, content in contents.items()
    }


def without_word(word: str) -> dict[str, bytes]:
    return {"vocab.txt": FILES["vocab.txt"].replace(f"{word}\n".encode(), b"other\n")}


def with_spare_rows(number: int) -> dict[str, bytes]:
    """Return the files of the model with more rows in its embedding than the vocabulary has tokens."""
    weights = load(FILES["model.safetensors"])
    embedding = "bert.embeddings.word_embeddings.weight"
    weights[embedding] = np.concatenate([weights[embedding], np.ones_like(weights[embedding][:number])])
    config = json.loads(FILES["config.json"])
    config["vocab_size"] += number
    return {"model.safetensors": save(weights, {"format": "np"}), "config.json": json.dumps(config).encode()}


def config_with_model(name: str, changes: dict[str, bytes], folder: Path):
    """Return the configuration of a task whose model is the old run's, with other contents of some of its files."""
    (folder / "model").mkdir()
    for file, content in {**FILES, **changes}.items():
        if "/" not in file:
            (folder / "model" / file).write_bytes(content)
    task, new = TASKS[name], ("model.config=null", "model.new_vocabulary=null")
    return task.config(folder, rows_of(task, GOOD), f"model.pretrained={folder}/model", *new)


@pytest.mark.parametrize(("name", "word"), [("masked_lm", "[MASK]"), ("classification", "[SEP]")])
def test_a_special_token_for_which_the_embedding_has_only_a_spare_row_is_said(name, word, tmp_path, capsys):
    training_run.check(config_with_model(name, {**with_spare_rows(8), **without_word(word)}, tmp_path))
    said = f"decision: the tokenizer's vocabulary has no {word}: the model reads row 80 of its embedding instead"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("masked_lm", LONGER, "the tokenizer has 82 tokens, but the model's embedding only 80 rows: they do not belong together"),
        ("classification", LONGER, "the tokenizer has 82 tokens, but the model's embedding only 80 rows: they do not belong"),
        ("masked_lm", without_word("[MASK]"), "the tokenizer has 81 tokens, but the model's embedding only 80 rows"),
        ("classification", without_word("[PAD]"), "the tokenizer has 81 tokens, but the model's embedding only 80 rows"),
        ("classification", without_word("[UNK]"), "cannot be made of the files here: [UNK] is not in"),
        ("masked_lm", with_values(mask_token=None), "model: its tokenizer has no mask token, which masked language modelling"),
        ("masked_lm", with_values(pad_token=None), "model: its tokenizer has no padding token, which masked language modelling"),
        ("classification", with_values(pad_token_id=None), "model: its config.json has no pad_token_id. Set it to the number"),
        ("classification", with_values(mask_token=None, pad_token=None, cls_token=None), None),
    ],
)  # fmt: skip
def test_a_tokenizer_that_does_not_fit(name, changes, message, tmp_path, capsys):
    config = config_with_model(name, changes, tmp_path)
    if message is None:
        training_run.check(config)
        assert "check passed" in capsys.readouterr().out
        return
    with pytest.raises(UserError, match=re.escape(message)):
        training_run.check(config)
