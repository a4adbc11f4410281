"""Test that a LoRA adapter of the peft library is merged into its model as peft does it, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import convert
from convert.__main__ import main
from convert.dtypes import cast
from convert.formats import safetensors
from convert.tensors import open_weights
from tests.support.checkpoints import archive_folders, change_tensors, read_config

BASES = {
    "bert_classifier": "bert/base",
    "distilbert_embedding": "distilbert/masked_lm",
    "gpt2_conv1d": "gpt2/causal_lm-prefixless",
    "bart_seq2seq": "bart/seq2seq-float16",
}
RANKS = {"bert_classifier": "3", "distilbert_embedding": "2", "gpt2_conv1d": "2, 4", "bart_seq2seq": "2"}


def test_every_archived_adapter_is_tested():
    assert sorted(BASES) == archive_folders("adapters")


def values(directory):
    return {name: cast(tensor.read(), tensor.dtype, "float32") for name, tensor in open_weights(directory).tensors.items()}


@pytest.fixture
def adapter(checkpoint_copy):
    """Return a copy of an adapter that a test may change."""
    return checkpoint_copy("adapters/bert_classifier") / "adapter"


def settings(adapter):
    return json.loads((adapter / "adapter_config.json").read_text())


def change_settings(adapter, **changes):
    (adapter / "adapter_config.json").write_text(json.dumps({**settings(adapter), **changes}))


@pytest.mark.parametrize("name", sorted(BASES))
def test_the_merged_model_is_what_peft_makes_of_it(name, checkpoints, tmp_path):
    """Compare every weight with the archived merged checkpoint, and every output with what transformers computed from it."""
    base = checkpoints(BASES[name])
    report = convert.to_paddle(checkpoints(f"adapters/{name}") / "adapter", tmp_path / "paddle", base=base, progress=False)
    expected = checkpoints(f"adapters/{name}") / "merged"
    convert.to_paddle(expected, tmp_path / "expected", progress=False)
    ours, theirs = values(tmp_path / "paddle"), values(tmp_path / "expected")
    assert ours.keys() == theirs.keys()
    for key, array in theirs.items():
        np.testing.assert_allclose(ours[key], array, atol=2e-3 if name == "bart_seq2seq" else 1e-6, err_msg=key)
    assert f"LoRA of rank {RANKS[name]} merged into" in report.notes[0] and report.initialised == []
    comparison = convert.verify(expected, tmp_path / "paddle")
    assert max(entry["max_abs"] for entry in comparison.differences.values()) < (2e-2 if name == "bart_seq2seq" else 5e-5)


def test_the_merged_model_comes_back_as_a_whole_one(checkpoints, tmp_path):
    """What comes back is the merged checkpoint, with the names of the model's own file."""
    base = checkpoints("gpt2/causal_lm-prefixless")
    adapter = checkpoints("adapters/gpt2_conv1d") / "adapter"
    convert.to_paddle(adapter, tmp_path / "paddle", base=base, progress=False)
    convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)
    before, after = values(base), values(tmp_path / "back")
    assert before.keys() == after.keys()
    changed = {name for name, array in before.items() if not np.array_equal(array, after[name])}
    layers = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert changed == {f"h.{i}.{layer}.weight" for i in (0, 1) for layer in layers}
    assert read_config(tmp_path / "back") == read_config(base)


def test_a_classifier_of_the_adapter_sets_the_number_of_labels(checkpoints, tmp_path):
    convert.to_paddle(
        checkpoints("adapters/bert_classifier") / "adapter", tmp_path / "paddle", base=checkpoints("bert/base"), progress=False
    )
    config = read_config(tmp_path / "paddle")
    assert len(config["id2label"]) == 5 and config["architectures"] == ["BertForSequenceClassification"]
    convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)
    config = read_config(tmp_path / "back")
    assert config["num_labels"] == 5 and "id2label" not in config


def test_without_its_model_it_says_which_one_is_needed(adapter, tmp_path, capsys):
    assert main(["to-paddle", str(adapter), str(tmp_path / "paddle")]) == 2
    message = (
        "a LoRA adapter without the model that it was trained on, bert/base: add --base BASE with that model's directory or its id"
    )
    assert capsys.readouterr().err == f"error: {adapter}: {message}\n"
    assert main(["inspect", str(adapter)]) == 2
    assert message in capsys.readouterr().err


def test_the_directory_that_the_adapter_names_is_used(adapter, checkpoints, tmp_path, capsys):
    change_settings(adapter, base_model_name_or_path=str(checkpoints("bert/base")))
    assert main(["to-paddle", str(adapter), str(tmp_path / "paddle")]) == 0
    note = f"note: LoRA of rank 3 merged into 11 weights of {checkpoints('bert/base')}, and 20 tensors taken from the adapter: "
    assert note + "the result is a whole model" in capsys.readouterr().out
    assert main(["inspect", str(adapter)]) == 0
    assert "task         sequence_classification: BertForSequenceClassification -> " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "adapter_config.json: an adapter of the kind 'IA3'; only LORA can be merged into its model"),
        ({"use_dora": True}, "only plain LoRA can be merged, and not use_dora = True; let peft's merge_and_unload() do it"),
        ({"init_lora_weights": "pissa_niter_4"}, "and not init_lora_weights = 'pissa_niter_4'"),
        ({"init_lora_weights": [1]}, "and not init_lora_weights = [1]"),
        ({"new_kind": {"depth": 2}}, "and not new_kind = {'depth': 2}"),
        ({"lora_alpha": "16"}, "lora_alpha = '16' must be a number"),
        ({"lora_alpha": 10**400}, "lora_alpha = 1000000"),
        ({"lora_alpha": float("nan")}, "lora_alpha = nan must be a number"),
        ({"alpha_pattern": {"(a+)+": 3}}, "alpha_pattern: '(a+)+' is not a name, or one with at most two wildcards"),
        ({"alpha_pattern": [3]}, "alpha_pattern = [3] must be an object"),
        ({"base_model_name_or_path": ["x"]}, "a LoRA adapter without the model"),
    ],
)
def test_what_cannot_be_merged_is_refused(adapter, checkpoints, tmp_path, changes, message):
    change_settings(adapter, **changes)
    base = None if "base_model_name_or_path" in changes else checkpoints("bert/base")
    with pytest.raises(convert.ConvertError) as error:
        convert.to_paddle(adapter, tmp_path / "paddle", base=base, progress=False)
    assert message in str(error.value) and not (tmp_path / "paddle").exists()


def test_the_wrong_model(adapter, checkpoints, tmp_path):
    with pytest.raises(convert.ConvertError, match=r"dense\.weight: .*albert/base has no such tensor; is it the model that"):
        convert.to_paddle(adapter, tmp_path / "paddle", base=checkpoints("albert/base"), progress=False)
    with pytest.raises(convert.ConvertError, match="an adapter too; the model that .* was trained on is needed"):
        convert.to_paddle(adapter, tmp_path / "paddle", base=adapter, progress=False)
    convert.to_paddle(checkpoints("bert/base"), tmp_path / "base", progress=False)
    with pytest.raises(convert.ConvertError, match="already a Paddle checkpoint; an adapter needs the original model"):
        convert.to_paddle(adapter, tmp_path / "paddle", base=tmp_path / "base", progress=False)


def test_an_adapter_for_another_task_than_its_own(adapter, checkpoints, tmp_path):
    """Its classifier is the head of another task then, and only the encoder's weights are used."""
    report = convert.to_paddle(adapter, tmp_path / "base", task="base", base=checkpoints("bert/base"), progress=False)
    assert report.ignored["classifier.weight"] == "head of sequence_classification" and report.target_class == "BertModel"
    expected = convert.to_paddle(adapter, tmp_path / "own", base=checkpoints("bert/base"), progress=False)
    merged, own = values(tmp_path / "base"), values(tmp_path / "own")
    assert len(merged) == len(expected.tensors) - 2
    assert all(np.array_equal(array, own[f"bert.{name}"]) for name, array in merged.items())


def test_to_hf_of_an_adapter(adapter, tmp_path):
    with pytest.raises(convert.ConvertError, match="an adapter of Hugging Face's, not a Paddle checkpoint; use to-paddle"):
        convert.to_hf(adapter, tmp_path / "hf", progress=False)


def test_a_base_for_a_whole_model(checkpoints, tmp_path):
    with pytest.raises(convert.ConvertError, match="--base .*: .*gpt2/base is a whole model, not an adapter"):
        convert.to_paddle(checkpoints("gpt2/base"), tmp_path / "paddle", base=checkpoints("bert/base"), progress=False)


def test_the_base_is_never_overwritten(adapter, checkpoints, tmp_path):
    base = shutil.copytree(checkpoints("bert/base"), tmp_path / "base")
    with pytest.raises(convert.ConvertError, match="source and destination must be separate directories"):
        convert.to_paddle(adapter, base, base=base, overwrite=True, progress=False)
    assert (base / "model.safetensors").is_file()


QUERY = "base_model.model.bert.encoder.layer.0.attention.self.query"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop(f"{QUERY}.lora_A.weight"),
         "query.weight: the adapter has only one of the two factors of its change"),
        (lambda arrays: arrays.update({f"{QUERY}.lora_A.weight": np.zeros((3, 7), "f4")}),
         "query.weight: factors of the shapes (8, 3) and (3, 7) do not make a change of (8, 8)"),
        (lambda arrays: arrays.update({f"{QUERY}.lora_A.weight": np.zeros(3, "f4")}),
         "factors of the shapes (8, 3) and (3,) do not make a change of (8, 8)"),
        (lambda arrays: arrays.update({f"{QUERY}.lora_magnitude_vector.weight": np.zeros(8, "f4")}),
         "query.lora_magnitude_vector.weight (8,): not a tensor of a plain LoRA adapter"),
        (lambda arrays: arrays.update({"odd.weight": np.zeros(8, "f4")}), "odd.weight (8,): not a tensor of a plain LoRA adapter"),
    ],
)  # fmt: skip
def test_tensors_that_do_not_make_a_lora_adapter(adapter, checkpoints, tmp_path, change, message):
    path = adapter / "adapter_model.safetensors"
    arrays = {name: tensor.read() for name, tensor in safetensors.read(path).items()}
    change(arrays)
    safetensors.write(path, [(name, "float32", array.shape, lambda array=array: array) for name, array in arrays.items()], {})
    with pytest.raises(convert.ConvertError) as error:
        convert.to_paddle(adapter, tmp_path / "paddle", base=checkpoints("bert/base"), progress=False)
    assert message in str(error.value)


def test_a_base_of_integers(adapter, checkpoints, tmp_path):
    base = Path(shutil.copytree(checkpoints("bert/base"), tmp_path / "base"))
    name = "encoder.layer.0.attention.self.query.weight"
    change_tensors(base, lambda arrays: arrays.update({name: arrays[name].astype("i1")}))
    with pytest.raises(convert.ConvertError, match=r"query\.weight: numbers of type int8, to which LoRA's cannot be added"):
        convert.to_paddle(adapter, tmp_path / "paddle", base=base, progress=False)


def test_an_adapter_without_weights(adapter, checkpoints, tmp_path):
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(convert.ConvertError, match="an adapter without weights; supported are adapter_model.safetensors"):
        convert.to_paddle(adapter, tmp_path / "paddle", base=checkpoints("bert/base"), progress=False)


def test_verify_compares_whole_models(adapter, checkpoints):
    with pytest.raises(convert.ConvertError, match="an adapter; only whole models can be compared"):
        convert.verify(adapter, checkpoints("bert/base"))
