"""The tiny runs, trained once for all tests of the service."""

import pytest

from tests.support.tiny_serving import Runs, serve


@pytest.fixture(scope="package")
def runs(tmp_path_factory):
    return Runs(tmp_path_factory)


@pytest.fixture(scope="package")
def sentences(runs):
    """Return the server and the client of a run that classifies sentences."""
    with serve(runs["sentences"]) as served:
        yield served
