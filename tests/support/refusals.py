"""Check that a conversion fails with a message and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

import convert


def refused(source: Path, message: str, **options) -> str:
    """Assert that to_paddle fails with this text in its message and writes nothing beside the source; return the whole message."""
    before = sorted(path.name for path in source.parent.iterdir())
    with pytest.raises(convert.ConvertError) as error:
        convert.to_paddle(source, source.parent / "destination", progress=False, **options)
    assert message in str(error.value)
    assert sorted(path.name for path in source.parent.iterdir()) == before, "something was written"
    return str(error.value)
