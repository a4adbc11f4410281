"""Test that the slow tests of the demo page do not pass silently on a machine without a browser."""

import shutil
import sys

import pytest

from tests.support import browser
from tests.support.paths import ROOT


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv(browser.WITHOUT, raising=False)


def test_without_a_browser_a_test_fails_with_the_commands_that_install_one(nothing_installed):
    with pytest.raises(pytest.fail.Exception) as failed:
        browser.find_browser("/nowhere/chrome")
    message = str(failed.value)
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for advice in ("sudo apt-get install chromium", "python -m playwright install --with-deps chromium", f"{browser.WITHOUT}=1"):
        assert advice in message and advice in page


def test_it_is_skipped_only_if_the_variable_says_so(nothing_installed, monkeypatch):
    monkeypatch.setenv(browser.WITHOUT, "1")
    with pytest.raises(pytest.skip.Exception, match=f"{browser.WITHOUT} is set, and no browser is installed"):
        browser.find_browser("/nowhere/chrome")


def test_a_browser_is_used_whatever_the_variable_says(nothing_installed, monkeypatch):
    monkeypatch.setenv(browser.WITHOUT, "1")
    assert browser.find_browser(sys.executable) == sys.executable
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert browser.find_browser(sys.executable) == "/usr/bin/chromium"
