"""Check that a conversion is refused with a message and writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import convert


def assert_refused(source: Path, message: str, **options) -> str:
    """Assert that to_paddle fails with a message that contains this text, and writes nothing. Return the message."""
    before = sorted(path.name for path in source.parent.iterdir())
    with pytest.raises(convert.ConvertError) as error:
        convert.to_paddle(source, source.parent / "destination", progress=False, **options)
    assert message in str(error.value)
    assert sorted(path.name for path in source.parent.iterdir()) == before, "something was written"
    return str(error.value)
