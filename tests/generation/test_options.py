"""Test that contradictory options are refused by name, and that checking them does not import Paddle."""

import re
import subprocess
import sys

import pytest

from paddle_ft.generation import GenerationOptions
from paddle_ft.system.errors import UserError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give exactly one of max_length and max_new_tokens"),
        ({"max_length": 5, "max_new_tokens": 5}, "give exactly one of max_length and max_new_tokens"),
        ({"max_length": 0}, "max_length is 0, it must be at least 1"),
        ({"max_length": 9, "num_beams": 0}, "num_beams is 0, it must be at least 1"),
        ({"max_length": 9, "do_sample": True, "top_p": 1.5}, "top_p is 1.5, it must be between 1e-06 and 1.0"),
        ({"max_length": 9, "do_sample": True, "temperature": 0}, "temperature is 0, it must be at least 1e-06"),
        ({"max_length": 9, "do_sample": True, "num_beams": 2}, "do_sample is set and num_beams is 2"),
        ({"max_length": 9, "top_k": 5}, "top_k is 5 but only sampling uses it"),
        (
            {"max_length": 9, "num_return_sequences": 2},
            "num_return_sequences is 2, without sampling it can be at most num_beams",
        ),
        ({"max_length": 9, "min_length": 10}, "min_length 10 is above max_length 9"),
        (
            {"max_length": 9, "early_stopping": "always"},
            "early_stopping is 'always', it must be true, false or 'never'",
        ),
    ],
)
def test_refused(settings, message):
    with pytest.raises(UserError, match=re.escape(message)):
        GenerationOptions(**settings)


def test_options_do_not_import_paddle():
    code = "import sys; from paddle_ft.generation import GenerationOptions; sys.exit('paddle' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
