"""Test train.compile: same results up to rounding, one program for all batch shapes, same files, clear error messages."""

import numpy as np
import paddle
import pytest
from safetensors.numpy import load_file

from paddle_ft.config.load import load_config
from paddle_ft.models.attention import use_attention
from paddle_ft.models.compile import CompiledStack, compile_stacks
from paddle_ft.runs import inference
from paddle_ft.system.errors import UserError
from paddle_ft.system.paddle_compat import replaced_forward
from paddle_ft.training import run as training_run
from tests.support import tiny_classification
from tests.support.model_families import FAMILIES, IDS, MASK, TARGETS, make_model, output_and_gradients
from tests.support.tiny_runs import overrides


def batches(name):
    """Yield batches of several shapes, including a single row and a single token."""
    rng = np.random.default_rng(0)
    shapes = [(1, 7, 4), (3, 7, 4), (2, 5, 3), (4, 9, 6), (2, 1, 1)]
    for rows, source, target in shapes:
        ids = rng.integers(3, 40, (rows, source))
        ids[-1, source - source // 3 :] = 1
        batch = {"input_ids": paddle.to_tensor(ids), "attention_mask": paddle.to_tensor((ids != 1).astype("int64"))}
        if name == "bart":
            batch["decoder_input_ids"] = paddle.to_tensor(rng.integers(3, 40, (rows, target)))
        yield batch


def programs(model):
    """Return how many shapes of batches each compiled program was made for."""
    stacks = [forward for layer in model.sublayers() if isinstance(forward := replaced_forward(layer), CompiledStack)]
    return [len(program.forward.program_cache) for stack in stacks for program in stack.programs.values()]


@pytest.mark.parametrize("attention", ["plain", "sdpa"])
@pytest.mark.parametrize("name", FAMILIES)
def test_outputs_gradients_and_dropout_are_those_of_the_layers(name, attention):
    model = make_model(name)  # with the default dropout of 0.1
    use_attention(model, attention)
    model.train()
    outcomes = []
    for compile_it in (False, True):
        if compile_it:
            compile_stacks(model)
        paddle.seed(7)
        outcomes.append([output_and_gradients(model, batch) for batch in batches(name)])
    for (output, gradients), (plain_output, plain_gradients) in zip(*reversed(outcomes), strict=True):
        np.testing.assert_allclose(output, plain_output, rtol=1e-5, atol=1e-5 * np.abs(plain_output).max())
        assert gradients.keys() == plain_gradients.keys()
        largest = max(np.abs(gradient).max() for gradient in plain_gradients.values())
        for key, gradient in gradients.items():
            np.testing.assert_allclose(gradient, plain_gradients[key], rtol=1e-4, atol=1e-5 * largest, err_msg=key)
    assert programs(model) == ([1, 1] if name == "bart" else [1])


def test_evaluation_runs_the_layers_with_the_trained_weights():
    model = make_model("bert")
    names = list(model.state_dict())
    compile_stacks(model)
    model.eval()
    batch = {"input_ids": paddle.to_tensor(IDS), "attention_mask": paddle.to_tensor(MASK)}
    np.testing.assert_array_equal(model(**batch).numpy(), make_model("bert")(**batch).numpy())
    assert programs(model) == []
    assert list(model.state_dict()) == names


def test_a_call_that_asks_for_more_is_computed_plainly():
    model = make_model("bart")
    model.train()
    compile_stacks(model)
    batch = {"input_ids": paddle.to_tensor(IDS), "attention_mask": paddle.to_tensor(MASK)}
    compiled = model(**batch, decoder_input_ids=paddle.to_tensor(TARGETS), output_attentions=True, return_dict=True)
    assert compiled.cross_attentions[0].shape == [3, 4, 4, 7]
    assert programs(model) == []


def train_losses(run):
    return [event["loss"] for event in run.events() if event["event"] == "train"]


@pytest.mark.parametrize("kind", ["seq2seq", "classification"])
def test_a_training_and_its_files_are_the_same(kind, tmp_path, paddles_own_layers):
    runs = []
    for value in ("false", "true"):
        folder = tmp_path / value
        folder.mkdir()
        settings = [f"train.compile={value}", "train.logging_steps=1", "eval.before_training=false", "train.group_by_length=true"]
        if kind == "seq2seq":
            runs.append(training_run.train(load_config("bart_lcsts", overrides(folder, *settings))))
        else:
            runs.append(tiny_classification.train(folder, tiny_classification.PAIRS * 3, "bert", *settings))
    plain, compiled = runs
    assert len(train_losses(plain)) > 5
    np.testing.assert_allclose(train_losses(compiled), train_losses(plain), rtol=1e-4)
    expected, weights = (load_file(run / "best" / "model.safetensors") for run in runs)
    assert weights.keys() == expected.keys()
    for name, weight in weights.items():
        np.testing.assert_allclose(weight, expected[name], atol=2e-3, err_msg=name)
    texts = ["今天北京天气晴朗"] if kind == "seq2seq" else [("how old are you", "what is your age")]
    predicted = [inference.open_run(str(run.path)).predict(texts, "p")[0]["prediction"] for run in runs]
    assert predicted[0] == predicted[1]


def test_adapters_are_trained_in_it(tmp_path, paddles_own_layers):
    runs = []
    for value in ("false", "true"):
        (tmp_path / value).mkdir()
        settings = ["model.lora={rank: 2}", f"train.compile={value}", "train.num_train_epochs=2"]
        runs.append(training_run.train(load_config("bart_lcsts", overrides(tmp_path / value, *settings))))
    np.testing.assert_allclose(train_losses(runs[1]), train_losses(runs[0]), rtol=1e-4)


def test_a_model_without_known_layers_is_refused():
    model = paddle.nn.Linear(2, 2)
    model.config = type("Config", (), {"model_type": "t5"})
    with pytest.raises(UserError) as error:
        compile_stacks(model)
    assert str(error.value) == (
        "train.compile: a model of type 't5' cannot be compiled here (distilbert, bert, roberta, ernie, bart and gpt can)."
        " Set it to false."
    )


class Unsteady(paddle.nn.Layer):
    """A layer that reads a value, which a static program cannot do."""

    def forward(self, x):
        return x * float(x.numpy().mean())


def test_layers_that_cannot_be_traced_end_in_one_message():
    model = make_model("bert")
    model.train()
    model.bert.encoder.layers[1].linear1 = Unsteady()
    compile_stacks(model)
    with pytest.raises(UserError) as error:
        model(**next(batches("bert")))
    assert str(error.value).startswith("train.compile: to_static cannot compile this model's TransformerEncoder (")
    assert str(error.value).endswith("Set it to false.")
    other = make_model("bert")
    other.train()
    compile_stacks(other)  # another model can still be compiled
    assert other(**next(batches("bert"))).shape == [1, 2]


def test_recomputing_does_not_go_with_it(tmp_path):
    with pytest.raises(UserError, match="compile and recompute cannot be combined"):
        load_config("bart_lcsts", overrides(tmp_path, "train.compile=true", "train.recompute=true"))
