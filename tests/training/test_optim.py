"""Test the optimizer against AdamW in NumPy: what every setting does to the weights."""

import numpy as np
import paddle
import pytest

from paddle_ft.config.load import load_config
from paddle_ft.config.schema import TrainSection
from paddle_ft.models.bundle import ModelBundle
from paddle_ft.models.vocabulary import freeze_row
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.world import World
from paddle_ft.tasks.base import Dataset, Task
from paddle_ft.training import optim
from paddle_ft.training.step import Stepper
from tests.support.models import causal_lm_logits
from tests.support.regression import ROWS, Regression, make_net, regression_dataset
from tests.support.tiny_runs import overrides


def values(model) -> dict[str, np.ndarray]:
    return {name: parameter.numpy().astype("float64") for name, parameter in model.named_parameters()}


def gradients(weights: dict[str, np.ndarray], rows: np.ndarray, targets: int = 1) -> dict[str, np.ndarray]:
    model = make_net()
    for name, parameter in model.named_parameters():
        parameter.set_value(weights[name].astype("float32"))
    (model(paddle.to_tensor(rows)) / targets).backward()
    return {name: parameter.grad.numpy().astype("float64") for name, parameter in model.named_parameters()}


class AdamW:
    """AdamW in NumPy: algorithm 2 of Loshchilov and Hutter (2019), with decay applied to the weights directly."""

    def __init__(self, section: TrainSection):
        self.section = section
        self.m, self.v, self.t = {}, {}, 0

    def step(self, weights: dict[str, np.ndarray], grads: dict[str, np.ndarray], rate: float) -> dict[str, np.ndarray]:
        s = self.section
        self.t += 1
        out = {}
        for name, weight in weights.items():
            g = grads[name]
            m = self.m[name] = s.adam_beta1 * self.m.get(name, 0) + (1 - s.adam_beta1) * g
            v = self.v[name] = s.adam_beta2 * self.v.get(name, 0) + (1 - s.adam_beta2) * g * g
            m, v = m / (1 - s.adam_beta1**self.t), v / (1 - s.adam_beta2**self.t)
            decay = s.weight_decay if name == "linear.weight" else 0
            out[name] = weight - rate * decay * weight - rate * m / (np.sqrt(v) + s.adam_epsilon)
        return out


def same(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert actual.keys() == expected.keys() == {"linear.weight", "linear.bias", "norm.weight", "norm.bias"}
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], rtol=2e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"adam_beta1": 0.5},
        {"adam_beta2": 0.6},
        {"adam_epsilon": 0.5},
        {"weight_decay": 0.4},
        {"weight_decay": 0.0},
    ],
)
def test_four_steps_are_those_of_adamw(settings):
    section = TrainSection(learning_rate=0.05, **settings)
    model, by_hand = make_net(), AdamW(section)
    optimizer = optim.make_optimizer(model, section)
    for rows in ROWS[:4]:
        weights = values(model)
        expected = by_hand.step(weights, gradients(weights, rows), 0.05)
        model(paddle.to_tensor(rows)).backward()
        optimizer.step()
        optimizer.clear_grad()
        same(values(model), expected)


def test_biases_and_layer_norms_of_bart_have_no_weight_decay():
    from paddlenlp.transformers import BartConfig, BartForConditionalGeneration

    sizes = dict(d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=1, decoder_attention_heads=1,
                 encoder_ffn_dim=8, decoder_ffn_dim=8, max_position_embeddings=8, vocab_size=20)  # fmt: skip
    model = BartForConditionalGeneration(BartConfig(**sizes))
    decayed = optim.decayed_names(model)
    names = {name for name, parameter in model.named_parameters() if parameter.name in decayed}
    exempt = {name for name, _ in model.named_parameters()} - names
    assert {name.rsplit(".", 1)[-1] for name in exempt if "norm" not in name} <= {"bias", "final_logits_bias"}
    assert {"bart.encoder.encoder.layers.0.norm1.weight", "bart.encoder.encoder.layers.0.norm1.bias"} <= exempt
    assert {"bart.shared.weight", "bart.encoder.encoder.layers.0.linear1.weight"} <= names
    assert not [name for name in names if "norm" in name or name.endswith("bias")]


class Words(Task):
    """A GPT-2 of six words, of which the first is padding."""

    def __init__(self, config):
        super().__init__(config)
        from paddlenlp.transformers import GPTConfig, GPTLMHeadModel

        paddle.seed(1)
        model = GPTLMHeadModel(GPTConfig(vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
                                         intermediate_size=8, max_position_embeddings=8))  # fmt: skip
        self.set_model(ModelBundle(model, None, None, {}, freeze_row(model.gpt.embeddings.word_embeddings.weight, 0)))

    def collate_fn(self, dataset, indices, rng):
        ids = np.stack([dataset.columns["ids"][i] for i in indices])
        return {"input_ids": ids, "positions": np.arange(ids.size - 1), "target_ids": ids.reshape(-1)[1:]}

    def count_targets(self, batch):
        return len(batch["target_ids"])

    def loss(self, batch):
        logits = causal_lm_logits(self.model, batch["input_ids"], batch["positions"])
        return paddle.nn.functional.cross_entropy(logits, batch["target_ids"], reduction="sum")


def test_a_frozen_row_stays_whatever_the_weight_decay(tmp_path):
    settings = ["train.weight_decay=0.1", "train.learning_rate=0.1", "train.warmup_proportion=0.0", "train.num_train_epochs=3"]
    task = Words(load_config("bart_lcsts", overrides(tmp_path, *settings)))
    data = Dataset("train", [{}] * 4, {"ids": np.array([[1, 2, 3, 4], [2, 3, 0, 0], [4, 0, 0, 0], [1, 1, 2, 2]])}, np.full(4, 4))
    weight = task.model.gpt.embeddings.word_embeddings.weight
    before = weight.numpy().copy()
    stepper = Stepper(task, data, RunDirectory(tmp_path), World())
    try:
        for step in range(3):
            stepper.train_step(step)
            assert (weight.numpy()[0] == before[0]).all()
    finally:
        stepper.close()
    assert abs(before[0]).max() > 0 and (abs(weight.numpy() - before).max(axis=1)[1:] > 0.01).all()


@pytest.mark.parametrize("limit", [0.25, 0.0, 1e6])
def test_clipping(limit):
    """The returned norm is that before clipping. Afterwards the norm is the limit if it was above."""
    model = make_net()
    model(paddle.to_tensor(ROWS[0])).backward()
    before = [p.grad.numpy().copy() for p in model.parameters()]
    norm = np.sqrt(sum((g.astype("float64") ** 2).sum() for g in before))
    assert norm > 1
    assert float(optim.clip_gradients(model.parameters(), limit)) == pytest.approx(norm, rel=1e-5)
    after = [p.grad.numpy() for p in model.parameters()]
    factor = limit / norm if limit == 0.25 else 1.0
    for was, now in zip(before, after, strict=True):
        np.testing.assert_allclose(now, was * factor, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"warmup_proportion": 0.25}, 5),
        ({"warmup_proportion": 0.0}, 0),
        ({"warmup_proportion": 0.25, "warmup_steps": 3}, 3),
        ({"warmup_proportion": 0.29}, 5),  # 5.8 steps: rounded down
    ],
)
def test_warmup_steps(settings, steps):
    assert optim.warmup_steps(TrainSection(**settings), 20) == steps


def test_the_learning_rate_rises_and_falls_linearly():
    rates = [optim.learning_rate(step, 0.8, 2, 6) for step in range(8)]
    assert rates == pytest.approx([0, 0.4, 0.8, 0.6, 0.4, 0.2, 0, 0])


@pytest.mark.parametrize(
    ("settings", "warmup"), [({"warmup_proportion": 0.4}, 2), ({"warmup_steps": 3}, 3), ({"warmup_proportion": 0.0}, 0)]
)
@pytest.mark.parametrize("limit", [0.3, 0.0])
def test_the_steps_of_a_training_follow_schedule_clipping_and_settings(tmp_path, settings, warmup, limit):
    train_settings = {"max_grad_norm": limit, "learning_rate": 0.08, "adam_beta1": 0.6, "adam_beta2": 0.8, "adam_epsilon": 0.05,
            "weight_decay": 0.3, **settings}  # fmt: skip
    keys = [f"train.{name}={value}" for name, value in train_settings.items()]
    config = load_config("bart_lcsts", overrides(tmp_path, "train.num_train_epochs=1", *keys))
    task, by_hand = Regression(config), AdamW(config.train)
    rows = ROWS.reshape(-1, 3)
    expected = values(task.model)
    stepper = Stepper(task, regression_dataset(), RunDirectory(tmp_path), World())
    try:
        for step in range(6):
            result, _ = stepper.train_step(step)
            grads = gradients(expected, rows[result.batches.indices[0]], targets=4)
            norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
            assert float(result.grad_norm) == pytest.approx(norm, rel=1e-4)
            assert norm > 0.3
            if limit:
                grads = {name: g * limit / norm for name, g in grads.items()}
            rate = 0.08 * (step / warmup if step < warmup else (6 - step) / (6 - warmup))
            same(values(task.model), by_hand.step(expected, grads, rate))
            expected = values(task.model)
    finally:
        stepper.close()
