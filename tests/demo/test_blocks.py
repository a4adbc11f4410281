"""Test that blocks escape what users and models write, and mark the right parts."""

import pytest

from paddle_ft.demo import blocks
from paddle_ft.demo.labels import Label

EVIL = '<script>alert("x")</script>&\''
NAME = Label.same(EVIL)


@pytest.mark.parametrize("block", [
    blocks.Text(NAME, EVIL, ((0, 3),)), blocks.Bars(NAME, ((EVIL, 0.5),)), blocks.Columns((blocks.Text(NAME, EVIL),)),
    blocks.Verse(EVIL, ((NAME, True),), NAME), blocks.Facts(((NAME, EVIL),)), blocks.Note(NAME), blocks.Problem(NAME),
])  # fmt: skip
@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_text_becomes_html(block, language):
    html = blocks.render([block], language)
    assert "<script" not in html and 'alert("' not in html and "script&gt;" in html


def test_marked_parts_of_a_text():
    html = blocks.Text(Label("Summary", "摘要"), "a <b> c d", ((2, 5), (8, 9))).html("zh")
    assert "摘要" in html and "a <mark>&lt;b&gt;</mark> c <mark>d</mark>" in html
