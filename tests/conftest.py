"""Set up the CPU as a user's training does, before any test imports paddle."""

import pytest

from paddle_ft.system.runtime import prepare_cpu

prepare_cpu()


@pytest.fixture
def paddles_own_layers(monkeypatch):
    """Leave the layers of a model on a CPU as Paddle has them, as they are on a GPU. Ours draw other numbers for dropout."""
    monkeypatch.setattr("paddle_ft.models.cpu_layers.use_cpu_layers", lambda model: None)
