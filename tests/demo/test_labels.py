"""Test the choice of a page's language, and that every text of the page is there in both."""

import importlib
import pkgutil
import re

import pytest

from paddle_ft import demo
from paddle_ft.demo.labels import NOTHING, Label, choose_language


@pytest.mark.parametrize(("header", "language"), [
    ("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en-US,en;q=0.9,zh-CN;q=0.8", "en"), ("zh-TW", "zh"), ("de-DE,de;q=0.9,zh;q=0.5", "zh"),
    ("de-DE", "en"), ("", "en"), (None, "en"), ("fr;q=0.9, en;q=0.3, zh;q=0.4", "zh"), ("zh;q=x", "en"), ("zh;q=0", "en"),
])  # fmt: skip
def test_the_browsers_first_language_that_we_have_is_taken(header, language):
    assert choose_language(header) == language


def labels():
    """Yield (module, label) of all labels that the modules of the demo define."""
    for info in pkgutil.walk_packages(demo.__path__, f"{demo.__name__}."):
        for value in vars(importlib.import_module(info.name)).values():
            if isinstance(value, Label) and value != NOTHING:
                yield info.name, value


def test_labels_have_both_languages_and_the_same_placeholders():
    found = list(labels())
    assert len(found) > 30
    for module, label in found:
        assert label.en and label.zh and label.zh != label.en, (module, label)
        assert any("\u4e00" <= character <= "\u9fff" for character in label.zh), (module, label)
        placeholders = [set(re.findall(r"{(\w+)", text)) for text in (label.en, label.zh)]
        assert placeholders[0] == placeholders[1], (module, label)


def test_labels_fill_in_labels():
    assert Label("no {name}", "没有{name}").format(name=Label("text", "文本")) == Label("no text", "没有文本")
