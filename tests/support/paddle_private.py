"""Private names of Paddle that only tests use, beside those of paddle_ft/system/paddle_compat.py."""

from typing import Any


def restore_forward(layer: Any) -> None:
    """Undo replace_forward, so that the layer uses the forward of its class again."""
    layer.__dict__.pop("forward", None)


def allocated_cpu_bytes() -> int:
    """Return how many bytes of main memory Paddle's tensors use now."""
    import paddle

    return paddle.base.core.host_memory_stat_current_value("Allocated", 0)
