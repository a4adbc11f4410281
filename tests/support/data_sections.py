"""A data section for tests, and the environment variables for network access."""

import pytest

from paddle_ft.config.schema import DataSection
from paddle_ft.system.errors import UserError

NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy", "PADDLE_FT_MIRROR")


def section(**values) -> DataSection:
    """Return a data section with these values and the defaults of all other keys."""
    return DataSection.model_construct(**values)


def error(function, *args) -> str:
    """Return the message of the UserError that a function must raise."""
    with pytest.raises(UserError) as caught:
        function(*args)
    return str(caught.value)
