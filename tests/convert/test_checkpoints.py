"""Test that every fixture loads with plain PaddleNLP, gives the outputs of transformers, and converts back bit for bit."""

import json

import numpy as np
import pytest

import convert
from convert.families import load_families
from convert.identify import identify
from convert.outputs import hf_config_of, layer_names, read_reference
from convert.tensors import open_weights
from tests.support.checkpoints import ARCHIVES, fixture_names

NAMES = fixture_names()


def test_every_family_has_a_fixture_and_its_recipe():
    archives = {name.split("/")[0] for name in NAMES}
    recipes = {path.stem for path in (ARCHIVES / "recipes").glob("*.py")} - {"__init__"}
    assert archives == recipes == set(load_families())


@pytest.fixture(scope="module")
def converted(checkpoints, tmp_path_factory):
    """Return a function name -> (source, Paddle directory, report). Each fixture is converted once."""
    conversions = {}

    def convert_once(name):
        if name not in conversions:
            target = tmp_path_factory.mktemp("paddle") / "checkpoint"
            conversions[name] = (checkpoints(name), target, convert.to_paddle(checkpoints(name), target, progress=False))
        return conversions[name]

    return convert_once


@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_those_of_transformers(name, converted):
    source, target, report = converted(name)
    comparison = convert.verify(source, target)
    assert comparison.equal, comparison.text()
    family = load_families()[report.family]
    outputs = family.task(report.task).outputs
    layers = layer_names(family, family.task(report.task), _sizes(source), paddle=True)
    assert set(comparison.differences) == {*outputs, *layers}, "an output or a layer was not compared"


def _task(report):
    """Return the task of a conversion, with the class that was written."""
    tasks = load_families()[report.family].tasks
    return next(task for task in tasks if (task.name, task.paddle_class) == (report.task, report.target_class))


def _sizes(source):
    """Return the complete Hugging Face configuration of a checkpoint."""
    info = identify(source, load_families())
    return hf_config_of(info, info.task)


@pytest.mark.parametrize("name", NAMES)
def test_fills_exactly_the_parameters_of_paddles_class(name, converted):
    import paddle
    import paddlenlp.transformers as library

    _, target, report = converted(name)
    model_class = getattr(library, report.target_class)
    model = model_class(model_class.config_class.from_pretrained(str(target)))
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    written = open_weights(target).tensors
    guards = _task(report).guards  # of a class that must not load the checkpoint
    assert {key: tensor.shape for key, tensor in written.items() if key not in guards} == expected
    # a weight is transposed if, and only if, Paddle's layer is a Linear and Hugging Face's is not a Conv1D
    layers = dict(model.named_sublayers())
    for entry in report.tensors.values():
        layer = layers.get(entry["becomes"][0].rpartition(".")[0])
        matrix = entry["becomes"][0].endswith(".weight") and isinstance(layer, paddle.nn.Linear)
        if matrix and "transposed" not in entry["how"]:
            assert entry["how"].startswith("Conv1D") or type(layer).__name__ == "TransposedLinear" or len(entry["becomes"]) > 1
        assert matrix or "transposed" not in entry["how"], entry


@pytest.mark.parametrize("name", NAMES)
def test_comes_back_bit_for_bit(name, converted, tmp_path):
    source, target, _ = converted(name)
    convert.to_hf(target, tmp_path / "back", progress=False)
    before, after = open_weights(source).tensors, open_weights(tmp_path / "back").tensors
    assert set(after) == set(before)
    for key, tensor in before.items():
        assert (after[key].dtype, after[key].shape) == (tensor.dtype, tensor.shape), key
        assert after[key].read().tobytes() == tensor.read().tobytes(), key
    for file in ("config.json", "generation_config.json"):
        if (source / file).is_file():
            assert json.loads((tmp_path / "back" / file).read_text()) == json.loads((source / file).read_text())


@pytest.mark.parametrize("name", [name for name in NAMES if "-" not in name])
def test_trains_with_the_same_gradients(name, converted):
    """Compare the loss and the gradients of the word embedding and of the first layer, with dropout off."""
    import paddle
    import paddlenlp.transformers as library

    from convert.formats import safetensors

    source, target, report = converted(name)
    family = load_families()[report.family]
    task = family.task(report.task)
    model = getattr(library, report.target_class).from_pretrained(str(target), dtype="float32")
    model.eval()
    inputs, _ = read_reference(source)
    outputs = model(**{key: paddle.to_tensor(np.array(value)) for key, value in inputs.items()})
    outputs = outputs if isinstance(outputs, tuple | list) else (outputs,)
    losses = []
    for output_name, values in zip(task.outputs, outputs, strict=False):
        if tuple(values.shape[:2]) == inputs["attention_mask"].shape:
            values = values[paddle.to_tensor(np.array(inputs["attention_mask"] == 1))]
        if output_name in ("last_hidden_state", "pooler_output"):
            losses.append((values**2).mean())
            continue
        count = int(np.prod(values.shape[:-1]))
        labels = paddle.arange(count).reshape([*values.shape[:-1], 1]) % values.shape[-1]
        losses.append(-paddle.take_along_axis(paddle.nn.functional.log_softmax(values, -1), labels, -1).mean())
    loss = sum(losses) / len(losses)
    loss.backward()
    expected = {key: tensor.read() for key, tensor in safetensors.read(source / "gradients.safetensors").items()}
    assert abs(float(loss) - expected.pop("loss")[0]) < 1e-5
    gradients = {key: value.grad for key, value in model.state_dict().items()}
    pairs = family.pairs(task, _sizes(source))
    by_name = {pair.hf.removeprefix("" if task.base else family.hf_prefix): pair for pair in pairs}
    assert len(expected) > 8
    for key, gradient in expected.items():
        pair = by_name[key.removeprefix("gradient.")]
        # transformers ties some tensors that Paddle stores twice: its one gradient is the sum of Paddle's two
        parts = [pair, *(other for other in pairs if other.tied_to == pair.hf)]
        ours = sum(part.to_hf([gradients[name].numpy() for name in part.paddle]) for part in parts)
        if pair.layer == "Embedding" and family.model_type == "pegasus":
            # Pegasus' decoder starts with the padding id. transformers never trains that row, PaddleNLP does.
            ours, gradient = np.delete(ours, [0], 0), np.delete(gradient, [0], 0)
        np.testing.assert_allclose(ours, gradient, atol=1e-5 * max(1, np.abs(gradient).max()), err_msg=key)
