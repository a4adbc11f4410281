"""Test what model.pretrained says of a folder that is no checkpoint, or not one that can be used as it is."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from paddle_ft.models.resolve import resolve
from paddle_ft.system.errors import UserError
from tests.support.checkpoints import change_config, change_tensors, read_config, unpack


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Return the folder with the unpacked checkpoints of BERT and the adapters."""
    folder = tmp_path_factory.mktemp("checkpoints")
    unpack("bert", folder / "bert")
    unpack("adapters", folder / "adapters")
    return folder


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "cache"))


def copy(source, target) -> Path:
    return Path(shutil.copytree(source, target))


def refusal(name, head_type="sequence_classification") -> str:
    with pytest.raises(UserError) as error:
        resolve(str(name), head_type)
    return str(error.value)


def test_an_adapter_without_its_model(archives):
    adapter = archives / "adapters" / "bert_classifier" / "adapter"
    needed = "a LoRA adapter without the model that it was trained on, bert/base"
    by_hand = f"python -m convert to-paddle {adapter} DIR --base BASE"
    assert refusal(adapter) == (
        f"model.pretrained: {adapter}: {needed}\nConvert it by hand with `{by_hand}`, and set model.pretrained to DIR."
    )


def test_an_adapter_beside_its_model_is_merged_once_for_each_of_its_states(archives, tmp_path):
    base = copy(archives / "bert" / "base", tmp_path / "base")
    adapter = copy(archives / "adapters" / "bert_classifier" / "adapter", tmp_path / "adapter")
    settings = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**settings, "base_model_name_or_path": str(base)}))
    merged = resolve(str(adapter), "sequence_classification")
    assert read_config(merged)["architectures"] == ["BertForSequenceClassification"]
    assert resolve(str(adapter), "sequence_classification") == merged
    change_tensors(base, lambda arrays: arrays.update({"embeddings.LayerNorm.weight": np.ones(8, "f4")}))
    assert resolve(str(adapter), "sequence_classification") != merged, "the model has changed"


def test_the_folder_above_the_checkpoints(archives, tmp_path):
    for number in (500, 1000):
        copy(archives / "bert" / "base", tmp_path / "run" / f"checkpoint-{number}")
    found = "not a checkpoint, but a directory with checkpoint-500, checkpoint-1000 in it"
    assert refusal(tmp_path / "run") == (
        f"model.pretrained: {tmp_path / 'run'}: {found}; name the newest, {tmp_path / 'run' / 'checkpoint-1000'}"
    )


def test_what_to_paddle_has_a_flag_for_is_converted_by_hand(archives, tmp_path):
    source = copy(archives / "bert" / "sequence_classification", tmp_path / "source")
    change_tensors(source, lambda arrays: arrays.update({"species.weight": np.ones((3, 8), "f4")}))
    by_hand = f"python -m convert to-paddle {source} DIR --drop 'species.*'"
    text = refusal(source)
    assert text.splitlines()[-1] == f"Convert it by hand with `{by_hand}`, and set model.pretrained to DIR."
    assert "species.weight (3, 8): no place for it" in text
    bare = copy(archives / "bert" / "base", tmp_path / "bare")
    change_config(bare, remove=("model_type", "architectures"))
    assert refusal(bare).endswith(f"`python -m convert to-paddle {bare} DIR --model-type bert`, and set model.pretrained to DIR.")


def test_a_folder_that_is_nothing(tmp_path):
    assert refusal(tmp_path) == f"{tmp_path}: there is no config.json, so this is not a model's directory."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not valid JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"),
        (b"[" * 100_000, "not valid JSON (maximum recursion depth exceeded"),
        (b'{"vocab_size": ' + b"9" * 5000 + b"}", "not valid JSON (Exceeds the limit (4300 digits) for integer string conversion"),
        (b"\xff", "not valid JSON ('utf-8' codec can't decode byte 0xff"),
        (b"[]", "must be a JSON object, found list"),
        (None, "cannot be read (Is a directory)"),
    ],
)
def test_a_damaged_config(tmp_path, content, message):
    if content is None:
        (tmp_path / "config.json").mkdir()
    else:
        (tmp_path / "config.json").write_bytes(content)
    assert refusal(tmp_path).startswith(f"{tmp_path}/config.json: {message}")
