"""Set up the CPU as a user's training does, before any test imports paddle."""

import pytest

from paddle_ft.system.runtime import prepare_cpu

prepare_cpu()


@pytest.fixture
def paddles_own_layers(monkeypatch):
    """Turn our CPU layers off, as on a GPU, because they draw other dropout masks than Paddle's layers."""
    monkeypatch.setattr("paddle_ft.models.cpu_layers.use_cpu_layers", lambda model: None)
