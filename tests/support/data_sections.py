"""A data section for tests, and the environment variables for network access."""

from types import SimpleNamespace

import pytest

from paddle_ft.system.errors import UserError

NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy", "PADDLE_FT_MIRROR")


def section(**values) -> SimpleNamespace:
    """Return a data section with these values and the defaults of all other keys."""
    names = ("source", "name", "data_files", "train", "validation", "test")
    empty = dict.fromkeys(names) | {f"limit_{split}": None for split in ("train", "validation", "test")}
    return SimpleNamespace(**(empty | {"columns": {}, "on_bad_row": "error"} | values))


def error(function, *args) -> str:
    """Return the message of the UserError that a function must raise."""
    with pytest.raises(UserError) as caught:
        function(*args)
    return str(caught.value)
