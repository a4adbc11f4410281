"""A minimal task for tests of the training step: six batches of four rows, a linear layer and a layer norm."""

from types import SimpleNamespace

import numpy as np
import paddle

from paddle_ft.models.bundle import ModelBundle
from paddle_ft.tasks.base import Dataset, Task

ROWS = np.random.default_rng(0).normal(size=(6, 4, 3)).astype("float32")  # [steps, rows, features]


class Net(paddle.nn.Layer):
    """A model with one parameter that has weight decay, and three kinds that have none: biases, and scale and bias of a norm."""

    def __init__(self):
        super().__init__()
        self.linear = paddle.nn.Linear(3, 4)
        self.norm = paddle.nn.LayerNorm(4)
        self.config = SimpleNamespace(pad_token_id=0)

    def forward(self, rows):
        return ((self.norm(self.linear(rows)) - 0.5) ** 4).sum()


def make_net() -> Net:
    """Return the model, with the same random parameters for every call."""
    paddle.seed(1)
    model = Net()
    for parameter in model.parameters():  # weight decay does not change a bias of 0, so a test would not see it
        parameter.set_value(paddle.rand(parameter.shape) + 0.5)
    return model


class Regression(Task):
    """A task whose loss is the model's output."""

    def __init__(self, config):
        super().__init__(config)
        self.set_model(ModelBundle(make_net(), None, None, {}))

    def collate_fn(self, dataset, indices, rng):
        return {"rows": np.stack([dataset.columns["rows"][i] for i in indices])}

    def count_targets(self, batch):
        return len(batch["rows"])

    def loss(self, batch):
        return self.model(batch["rows"])


def regression_dataset() -> Dataset:
    """Return the 24 rows as training data."""
    rows = ROWS.reshape(-1, 3)
    return Dataset("train", [{} for _ in rows], {"rows": rows}, np.ones(len(rows)))
