"""The keys of a configuration."""

from collections.abc import Iterator


def keys(values: dict, prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of a configuration."""
    for name, value in values.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{name}.")
