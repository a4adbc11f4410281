"""Text generation: greedy, beam search and sampling over a key/value cache, for BART and GPT-2.

The ids are those of transformers' `generate` on the same weights. `search`, `sampling` and `constraints` choose tokens and know no
architecture. `adapters` turn a model's weights into one-token steps and know no search; `layers` and `cache` are what they are
made of. An architecture's record names its adapter.
"""

from paddle_ft.generation.options import GenerationOptions

__all__ = ["GenerationOptions", "generate", "generate_all", "stream"]


def __getattr__(name: str):
    """Import the functions, and Paddle with them, only when one is used: checking a configuration needs the options alone."""
    if name in ("generate", "generate_all", "stream"):
        from paddle_ft.generation import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
