"""The pages of tiny runs, trained once for all tests of the demo page."""

import pytest

from paddle_ft.demo.server import load_page
from tests.support import tiny_demo


@pytest.fixture(scope="package")
def pages(tmp_path_factory):
    """Return a function that gives the page of a task, which is trained at the first call."""
    made = {}

    def page(name):
        if name not in made:
            made[name] = load_page(str(tiny_demo.copy_of(name, tmp_path_factory)))
        return made[name]

    return page
