"""Test checkpoints as people really have them: of transformers 2, with heads of their own, or saved by a wrapper of the model."""

import json
import shutil

import numpy as np
import pytest

import convert
from convert.__main__ import main
from convert.tensors import open_weights
from tests.support.checkpoints import change_config, change_tensors, read_config
from tests.support.refusals import assert_refused


def bits(directory):
    return {name: (tensor.dtype, tensor.shape, tensor.read().tobytes()) for name, tensor in open_weights(directory).tensors.items()}


def both_ways(source, tmp_path, **options):
    """Convert to Paddle and back. Return the report of the first conversion and the directory that came back."""
    report = convert.to_paddle(source, tmp_path / "paddle", progress=False, **options)
    convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)
    return report, tmp_path / "back"


def rename(source, new_name):
    """Rename every tensor of a checkpoint."""
    change_tensors(source, lambda arrays: [arrays.update({new_name(name): arrays.pop(name)}) for name in list(arrays)])


# ------------------------------------------------------------------------------------------------ config.json without model_type
CLASS = "config.json has no model_type; its class BertForMaskedLM is bert's"
NAMES = "config.json has no model_type; the tensors' names are bert's"


@pytest.mark.parametrize(("removed", "note"), [(("model_type",), CLASS), (("model_type", "architectures"), NAMES)])
def test_the_class_or_else_the_names_tell_the_architecture(checkpoint_copy, tmp_path, removed, note):
    source = checkpoint_copy("bert/masked_lm")
    change_config(source, remove=removed)
    report, back = both_ways(source, tmp_path)
    assert (report.family, report.target_class) == ("bert", "BertForMaskedLM") and note in report.notes
    assert bits(back) == bits(source)
    added = {"model_type": "bert", "architectures": ["BertForMaskedLM"]}  # without them transformers' Auto classes would refuse it
    assert read_config(back) == {**read_config(source), **added}
    comparison = convert.verify(source, tmp_path / "paddle")
    assert comparison.equal, comparison.text()


@pytest.mark.parametrize(
    ("name", "family"),
    [("distilbert/base", "distilbert"), ("gpt2/causal_lm-prefixless", "gpt2"), ("albert/base", "albert"), ("bart/base", "bart"),
     ("mbart/seq2seq", "mbart"), ("pegasus/seq2seq", "pegasus"), ("roberta/masked_lm", "roberta"), ("electra/base", "electra")],
)  # fmt: skip
def test_the_names_tell_every_family_that_has_names_of_its_own(checkpoint_copy, name, family):
    source = checkpoint_copy(name)
    change_config(source, remove=("model_type", "architectures"))
    assert convert.inspect(source).facts["family"] == family


def test_names_that_several_families_have_need_model_type(checkpoint_copy, tmp_path, capsys):
    source = checkpoint_copy("bert/base")
    change_config(source, remove=("model_type", "architectures"))
    text = assert_refused(source, "config.json: no model_type, so the architecture is unknown")
    assert text.endswith("and the tensors' names fit bert, ernie, roberta; name it with --model-type bert")
    assert main(["to-paddle", str(source), str(tmp_path / "paddle"), "--model-type", "bert"]) == 0
    assert "note: config.json has no model_type; --model-type says bert\n" in capsys.readouterr().out
    assert convert.verify(source, tmp_path / "paddle").equal, "the family is that of the Paddle checkpoint"
    convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)
    assert bits(tmp_path / "back") == bits(source)


def test_names_that_no_family_has(checkpoint_copy):
    source = checkpoint_copy("bert/base")
    change_config(source, remove=("model_type", "architectures"))
    rename(source, lambda name: name.replace("query", "q"))
    assert "the tensors' names fit none of albert, bart, bert" in assert_refused(source, "name it with --model-type NAME")


def test_a_model_type_that_contradicts_the_file_or_does_not_exist(checkpoints, tmp_path):
    with pytest.raises(convert.ConvertError, match="--model-type roberta: .*config.json says 'bert', and that decides"):
        convert.to_paddle(checkpoints("bert/base"), tmp_path / "paddle", model_type="roberta", progress=False)
    with pytest.raises(convert.ConvertError, match="--model-type: model_type 'brt' is not supported; supported are: albert"):
        convert.to_paddle(checkpoints("bert/base"), tmp_path / "paddle", model_type="brt", progress=False)


# ---------------------------------------------------------------------------------------------------- num_labels against id2label
@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        (5, {"0": "bad", "1": "good", "2": "LABEL_2", "3": "LABEL_3", "4": "LABEL_4"}),
        (2, {"0": "bad", "1": "good"}),
        (3, {"0": "bad", "1": "good", "2": "LABEL_2"}),
    ],
)
def test_the_shape_of_the_classifier_decides_between_two_numbers_of_labels(checkpoint_copy, tmp_path, rows, labels):
    source = checkpoint_copy("bert/sequence_classification")
    change_config(source, num_labels=5, id2label={"0": "bad", "1": "good"}, label2id={"bad": 0, "good": 1})
    rng = np.random.default_rng(0)
    head = {"classifier.weight": rng.normal(size=(rows, 8)).astype("f4"), "classifier.bias": np.zeros(rows, "f4")}
    change_tensors(source, lambda arrays: arrays.update(head))
    report, back = both_ways(source, tmp_path)
    rule = f"the classifier has {rows} rows, so there are {rows} labels"
    assert f"num_labels = 5 and an id2label of 2 contradict each other; {rule}" in report.notes
    paddle = read_config(tmp_path / "paddle")
    assert paddle["id2label"] == labels and paddle["label2id"] == {value: int(key) for key, value in labels.items()}
    assert bits(back) == bits(source) and read_config(back) == read_config(source)


def test_labels_that_training_has_changed_replace_the_contradiction(checkpoint_copy, tmp_path):
    source = checkpoint_copy("bert/sequence_classification")
    change_config(source, num_labels=3, id2label={"0": "bad", "1": "good"}, label2id={"bad": 0, "good": 1})
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    change_config(tmp_path / "paddle", id2label={"0": "x", "1": "y", "2": "z"}, label2id={"x": 0, "y": 1, "z": 2})
    convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)
    assert read_config(tmp_path / "back")["id2label"] == {"0": "x", "1": "y", "2": "z"}
    assert "num_labels" not in read_config(tmp_path / "back")


def test_a_shape_that_contradicts_what_config_json_says_plainly_is_refused(checkpoint_copy):
    source = checkpoint_copy("bert/sequence_classification")
    change_config(source, id2label={"0": "bad", "1": "good"}, label2id={"bad": 0, "good": 1})
    assert_refused(source, "classifier.weight: shape (3, 8), the configuration makes it (2, 8)")


# --------------------------------------------------------------------------------------------------------------- heads beside ours
@pytest.fixture
def species(checkpoint_copy):
    """Return a masked language model that also tells species, as one for antibodies does."""
    source = checkpoint_copy("bert/masked_lm")
    head = {"cls.species.weight": np.ones((3, 8), "f4"), "cls.species.bias": np.ones(3, "f4"), "extra": np.ones(1, "f4")}
    change_tensors(source, lambda arrays: arrays.update(head))
    return source


def test_an_unexpected_head_is_refused_with_the_flag_that_leaves_it_out(species):
    text = assert_refused(species, "the tensors do not fit BertForMaskedLM; nothing was written:")
    assert text.splitlines()[1:] == [
        "  cls.species.weight (3, 8): no place for it in BertForMaskedLM",
        "  cls.species.bias (3,): no place for it in BertForMaskedLM",
        "  extra (1,): no place for it in BertForMaskedLM",
        "If the model computes the same without them, leave them out with --drop 'cls.species.*' --drop 'extra'",
    ]


def test_no_flag_is_suggested_if_something_else_is_wrong_too(species):
    change_tensors(species, lambda arrays: arrays.pop("bert.embeddings.LayerNorm.bias"))
    assert "--drop" not in assert_refused(species, "the checkpoint has no bert.embeddings.LayerNorm.bias")


def test_dropped_tensors_are_listed_and_come_back(species, tmp_path, capsys):
    assert main(["to-paddle", str(species), str(tmp_path / "paddle"), "--drop", "cls.species.*", "--drop", "extra"]) == 0
    assert "cls.species.weight (left out by --drop 'cls.species.*')" in capsys.readouterr().out
    ignored = json.loads((tmp_path / "paddle" / "conversion.json").read_text())["ignored"]
    assert ignored["extra"] == "left out by --drop 'extra'" and ignored["cls.species.bias"] == "left out by --drop 'cls.species.*'"
    assert convert.verify(species, tmp_path / "paddle").equal
    convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)
    assert bits(tmp_path / "back") == bits(species) and read_config(tmp_path / "back") == read_config(species)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("cls.specie.*", "--drop 'cls.specie.*': no tensor of the checkpoint has such a name"),
        ("CLS.species.*", "--drop 'CLS.species.*': no tensor of the checkpoint has such a name"),
        ("extra*", None),
        ("cls.predictions.bias", "--drop 'cls.predictions.bias': BertForMaskedLM needs cls.predictions.bias; name only"),
        ("cls.*", " more; name only what it has no place for"),
    ],
)
def test_a_pattern_that_matches_nothing_or_what_is_needed(species, pattern, message):
    if message is None:
        assert convert.inspect(species, drop=["cls.species.*", pattern]).problem is None
    else:
        with pytest.raises(convert.ConvertError) as error:
            convert.to_paddle(species, species.parent / "paddle", drop=[pattern], progress=False)
        assert message in str(error.value)


# --------------------------------------------------------------------------------------------------------------- a prefix too many
@pytest.mark.parametrize(
    ("name", "prefix"),
    [("bert/masked_lm", "module."), ("bert/base", "_orig_mod."), ("bart/seq2seq", "model."),
     ("gpt2/causal_lm", "module._orig_mod."), ("t5/seq2seq", "model.model."), ("bert/masked_lm-old", "bert.")],
)  # fmt: skip
def test_a_prefix_that_a_wrapper_has_put_before_all_names_is_taken_off(checkpoint_copy, checkpoints, tmp_path, name, prefix):
    source = checkpoint_copy(name)
    rename(source, lambda name: prefix + name)
    (source / "pytorch_model.bin").unlink(missing_ok=True)
    report, back = both_ways(source, tmp_path)
    assert f"the names of all tensors began with '{prefix}', which a wrapper around the model adds: taken off" in report.notes
    expected = bits(checkpoints(name))
    assert bits(back) == expected, "the names come back without the prefix, so that transformers loads it"
    comparison = convert.verify(source, tmp_path / "paddle")
    assert comparison.equal, comparison.text()


@pytest.mark.parametrize("name", ["bert/base-prefixed", "bart/base", "gpt2/base", "t5/base", "mbart/seq2seq", "distilbert/base"])
def test_the_prefix_of_the_architecture_stays(checkpoints, name):
    assert not any("wrapper" in note for note in convert.inspect(checkpoints(name)).lists["notes"])


def test_a_prefix_that_some_names_lack_is_not_taken_off(checkpoint_copy):
    source = checkpoint_copy("bert/masked_lm")
    rename(source, lambda name: name if name.startswith("cls.") else f"module.{name}")
    assert_refused(source, "module.bert.embeddings.word_embeddings.weight (37, 8): no place for it in BertForMaskedLM")


# ---------------------------------------------------------------------------------------------------------------- other directories
def test_the_directory_of_a_run_names_its_best_checkpoint(checkpoints, tmp_path, capsys):
    for name in ("best", "last"):  # last is the newer one
        shutil.copytree(checkpoints("bert/base"), tmp_path / "run" / name)
    assert main(["inspect", str(tmp_path / "run")]) == 2
    run = tmp_path / "run"
    assert capsys.readouterr().err == f"error: {run}: not a checkpoint, but the directory of a run; name {run / 'best'}\n"


def test_the_directory_above_the_checkpoints_names_the_newest(checkpoints, tmp_path, capsys):
    for number in (500, 1000, 90):
        shutil.copytree(checkpoints("bert/base"), tmp_path / "run" / f"checkpoint-{number}")
    (tmp_path / "run" / "runs").mkdir()
    run = tmp_path / "run"
    names = "checkpoint-90, checkpoint-500, checkpoint-1000"
    message = f"{run}: not a checkpoint, but a directory with {names} in it; name the newest, {run / 'checkpoint-1000'}"
    for verb, *others in (["to-paddle", tmp_path / "x"], ["to-hf", tmp_path / "x"], ["inspect"], ["verify", run / "checkpoint-90"]):
        assert main([verb, str(run), *map(str, others)]) == 2
        assert capsys.readouterr().err.splitlines()[-1] == f"error: {message}"


def test_a_tokenizer_with_more_tokens_than_the_embedding_has_rows(checkpoint_copy, tmp_path):
    source = checkpoint_copy("bert/base")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(36))]
    (source / "vocab.txt").write_text("\n".join(words))
    note = "the tokenizer has 41 tokens, but the model's embedding only 37 rows: they do not belong together"
    assert note in convert.to_paddle(source, tmp_path / "paddle", progress=False).notes
    (source / "vocab.txt").write_text("\n".join(words[:37]))
    assert not any("tokens" in note for note in convert.to_paddle(source, tmp_path / "fits", progress=False).notes)


# ------------------------------------------------------------------------------------------------- what PaddleNLP cannot represent
def test_a_class_that_would_tie_an_untied_head_refuses_the_checkpoint(checkpoints, tmp_path):
    """GPTForCausalLM would load it without an error, and compute other logits with the embedding as head."""
    from paddlenlp.transformers import AutoModelForCausalLM, GPTForCausalLM, GPTForTokenClassification

    source = checkpoints("gpt2/causal_lm-head_untied")
    report, back = both_ways(source, tmp_path)
    assert report.filled_otherwise["lm_head.weight"] == "a guard, whose shape makes another class refuse the checkpoint"
    for model_class in (GPTForCausalLM, AutoModelForCausalLM):
        with pytest.raises(RuntimeError, match=r"lm_head\.weight receives a shape \[1\], but the expected shape is \[37, 8\]"):
            model_class.from_pretrained(str(tmp_path / "paddle"))
    GPTForTokenClassification.from_pretrained(str(tmp_path / "paddle")).save_pretrained(str(tmp_path / "saved"))
    assert bits(back) == bits(source)
    convert.to_hf(tmp_path / "saved", tmp_path / "again", progress=False)  # PaddleNLP does not save the guard
    assert bits(tmp_path / "again") == bits(source)


def test_the_note_and_verify_say_how_much_alberts_head_differs(checkpoint_copy, tmp_path):
    source = checkpoint_copy("albert/masked_lm")
    change_config(source, layer_norm_eps=1e-12)
    report = convert.to_paddle(source, tmp_path / "paddle", progress=False)
    (note,) = [note for note in report.notes if "layer_norm_eps" in note]
    assert note == (
        "layer_norm_eps = 1e-12: PaddleNLP's prediction head normalises with 1e-5 anyway, which makes its values smaller by about "
        "5e-6 divided by their variance (the logits of a trained checkpoint, up to 18, differ by up to 2.4e-4)"
    )
    assert f"note: {note}" in convert.verify(source, tmp_path / "paddle").text()
