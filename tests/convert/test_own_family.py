"""Test a user's own family, a module named with --import: docs/examples/my_family.py, and modules with mistakes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import convert
from convert.tensors import open_weights
from tests.support.checkpoints import change_config, change_tensors, read_config
from tests.support.examples import FROM_CHECKPOINT, copy_examples, read_results, train_example, write_vocabulary

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "my_family.py"
FIELDS = {
    "hidden_size": "width", "intermediate_size": "inner_width", "num_hidden_layers": "depth", "num_attention_heads": "heads",
    "max_position_embeddings": "max_length", "type_vocab_size": "segments", "hidden_act": "activation",
    "hidden_dropout_prob": "dropout", "attention_probs_dropout_prob": "attention_dropout", "layer_norm_eps": "epsilon",
}  # fmt: skip
TENSORS = {
    "bert.": "body.", "embeddings.word_embeddings": "tokens", "embeddings.position_embeddings": "positions",
    "embeddings.token_type_embeddings": "segments", "embeddings.LayerNorm": "norm", "encoder.layer.": "blocks.",
    "attention.self.query": "attention.q", "attention.self.key": "attention.k", "attention.self.value": "attention.v",
    "attention.output.dense": "attention.out", "attention.output.LayerNorm": "norm1", "intermediate.dense": "up",
    "output.dense": "down", "output.LayerNorm": "norm2", "pooler.dense": "pooler", "classifier.": "head.",
}  # fmt: skip


@pytest.fixture
def renamed(checkpoint_copy):
    """Return a copy of BERT's fixture with the names of docs/examples/my_family.py."""
    source = checkpoint_copy("bert/sequence_classification")
    config = read_config(source)
    own_fields = {own: config[name] for name, own in FIELDS.items()}
    change_config(
        source, remove=(*FIELDS, "position_embedding_type"), model_type="my_bert", architectures=["MyBertClassifier"], **own_fields
    )

    def rename(arrays):
        for name in list(arrays):
            own_name = name
            for old, new in TENSORS.items():
                own_name = own_name.replace(old, new)
            arrays[own_name] = arrays.pop(name)

    change_tensors(source, rename)
    return source


def tensor_bytes(directory):
    return {name: (tensor.shape, tensor.read().tobytes()) for name, tensor in open_weights(directory).tensors.items()}


def run(folder, *arguments):
    """Run `python -m convert` with `folder` as the current directory."""
    command = [sys.executable, "-m", "convert", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


def test_the_example_of_the_documentation_round_trips(checkpoints, renamed, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(EXAMPLE, work)
    paddle, back = tmp_path / "paddle", tmp_path / "back"
    result = run(work, "to-paddle", renamed, paddle, "--import", "my_family")
    assert result.returncode == 0 and "my_bert / sequence_classification" in result.stdout, result.stderr
    convert.to_paddle(checkpoints("bert/sequence_classification"), tmp_path / "usual", progress=False)
    assert tensor_bytes(paddle) == tensor_bytes(tmp_path / "usual"), "Paddle's model is not the one of the usual names"
    result = run(work, "to-hf", paddle, back, "--import", "my_family")
    assert result.returncode == 0 and "load it with MyBertClassifier" in result.stdout, result.stderr
    assert tensor_bytes(back) == tensor_bytes(renamed) and read_config(back) == read_config(renamed)
    output = run(work, "inspect", renamed, "--import", "my_family").stdout
    assert "body.blocks.1.up.weight -> bert.encoder.layers.1.linear1.weight" in output


def test_a_training_converts_by_it(renamed, tmp_path):
    folder = copy_examples(tmp_path / "mine", "my_family.py", "my_reviews.yaml", "reviews.csv", "reviews-dev.csv")
    write_vocabulary(renamed)
    train_example(folder, "my_reviews.yaml", "--import", "my_family", *FROM_CHECKPOINT, f"model.pretrained={renamed}")
    assert read_results(folder)["status"] == "finished"
    assert read_config(folder / "run" / "best")["model_type"] == "bert"


def test_without_import_both_directions_refuse(renamed, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    with pytest.raises(convert.ConvertError, match="model_type 'my_bert' is not supported; .* with --import MODULE"):
        convert.to_paddle(renamed, tmp_path / "paddle", progress=False)
    convert.to_paddle(renamed, tmp_path / "paddle", progress=False, imports=["my_family"])
    with pytest.raises(convert.ConvertError, match="model_type 'my_bert' is not supported"):
        convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)


def test_a_cached_conversion_is_repeated_when_the_family_changes(renamed, tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    shutil.copy(EXAMPLE, tmp_path / "cached_family.py")
    first = convert.cached(renamed, imports=["cached_family"])
    assert convert.cached(renamed, imports=["cached_family"]) == first
    with open(tmp_path / "cached_family.py", "a") as file:
        file.write("# changed\n")
    assert convert.cached(renamed, imports=["cached_family"]) != first


def test_an_own_family_replaces_the_built_in_one_of_the_same_model_type(checkpoints, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "narrower.py").write_text(
        "from dataclasses import replace\nfrom convert.families.bert import BERT\n"
        "FAMILIES = (replace(BERT, tasks=BERT.tasks[:1]),)\n"
    )
    with pytest.raises(convert.ConvertError, match="bert has no task 'masked_lm' in both libraries; it has: base"):
        convert.to_paddle(
            checkpoints("bert/masked_lm"), tmp_path / "paddle", task="masked_lm", progress=False, imports=["narrower"]
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "--import broken: No module named 'broken'; the module must be in the current directory or on PYTHONPATH"),
        ("import no_such_library", "--import broken: No module named 'no_such_library'"),
        ("FAMILIES = (", "--import broken: the module cannot be imported (SyntaxError: "),
        ("", "--import broken: the module must define FAMILIES, a tuple of convert.family.Family"),
        ("FAMILIES = ('bert',)", "--import broken: the module must define FAMILIES"),
    ],
)
def test_a_module_with_a_mistake_is_one_message(checkpoints, tmp_path, text, message):
    if text is not None:
        (tmp_path / "broken.py").write_text(text)
    result = run(tmp_path, "inspect", checkpoints("bert/base"), "--import", "broken")
    assert result.returncode == 2 and result.stderr.startswith(f"error: {message}") and result.stderr.count("\n") == 1


def test_a_family_of_ours_is_found_by_its_file_alone(checkpoint_copy, tmp_path, monkeypatch):
    """Adding a family is adding a file: another folder on the package's path is enough."""
    import convert.families

    (tmp_path / "copycat.py").write_text(
        "from dataclasses import replace\nfrom convert.families.gpt2 import FAMILIES as GPT2\n"
        "FAMILIES = (replace(GPT2[0], model_type='copycat'),)\n"
    )
    monkeypatch.setattr(convert.families, "__path__", [*convert.families.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "convert.families.copycat", raising=False)
    source = checkpoint_copy("gpt2/causal_lm")
    change_config(source, model_type="copycat")
    try:
        assert convert.to_paddle(source, tmp_path / "paddle", progress=False).family == "copycat"
    finally:
        sys.modules.pop("convert.families.copycat", None)
