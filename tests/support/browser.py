"""A real browser for the slow tests of pages: Chromium, driven by playwright.

Without one these tests fail, because a skipped check looks like a passed one.
"""

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from docs.make_picture import BROWSERS

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WITHOUT = "PADDLE_FT_WITHOUT_BROWSER"  # environment variable; CONTRIBUTING.md describes it
MISSING = (
    f"the tests of pages need a browser, and none of {', '.join(BROWSERS)} is installed. Install one, for example with"
    " `sudo apt-get install chromium`, or the one of playwright with `python -m playwright install --with-deps chromium`."
    f" To leave these tests out: export {WITHOUT}=1"
)


@contextlib.contextmanager
def open_browser():
    """Yield a browser. Without one, skip the test if the environment variable allows it, and else fail it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(playwright.chromium.executable_path), args=FLAGS)
        yield browser
        browser.close()


def find_browser(own: str) -> str:
    """Return the path of a browser, for open_browser.

    Args:
        own: where playwright has put its own browser, if it was told to install one.
    """
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None and Path(own).is_file():
        return own
    if path is None and os.environ.get(WITHOUT):
        pytest.skip(f"{WITHOUT} is set, and no browser is installed")
    if path is None:
        pytest.fail(MISSING, pytrace=False)
    return path
