"""Text generation: greedy, beam search and sampling over a key/value cache, for the
architectures whose record names an adapter (BART and GPT-2).

The ids are those of transformers' `generate` on the same weights. `search`, `sampling` and
`constraints` choose tokens and know no architecture. `adapters` turn a model's weights into one-token steps and know no search;
`layers` and `cache` are what they are made of.
"""

from paddle_ft.generation.options import GenerationOptions

__all__ = ["GenerationOptions", "generate", "generate_all", "stream"]


def __getattr__(name: str):
    """Paddle is imported by the functions, not by the options: a configuration can be checked without it."""
    if name in ("generate", "generate_all", "stream"):
        from paddle_ft.generation import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
