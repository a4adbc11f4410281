"""Generate text by greedy search, beam search or sampling, with a key/value cache.

The generated ids equal those of transformers' `generate` on the same weights. `search`, `sampling` and `constraints` choose the
tokens and work with any architecture. `adapters` has one module for each architecture, which computes the logits of one step from
the model's weights; `layers` and `cache` are its building blocks. The architecture's record names the adapter.
"""

from paddle_ft.generation.options import GenerationOptions

__all__ = ["GenerationOptions", "generate", "generate_all", "stream"]


def __getattr__(name: str):
    """Import the functions when they are first used, because they import Paddle and checking a configuration does not need it."""
    if name in ("generate", "generate_all", "stream"):
        from paddle_ft.generation import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
