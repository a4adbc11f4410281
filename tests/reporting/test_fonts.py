"""Test that texts of plots are in fonts that have their characters, also where no Chinese font is installed."""

import warnings

import pytest

from paddle_ft.reporting import fonts
from paddle_ft.reporting.curves import Curve, draw_curves, to_png


@pytest.fixture(autouse=True)
def fresh_fonts():
    fonts.font_families.cache_clear()
    yield
    fonts.font_families.cache_clear()


def draw():
    curves = [Curve("原始模型", [1, 2], [3, 4]), Curve("adapted – ü", [1, 2], [4, 3])]
    figure = draw_curves("困惑度", "学习率", "loss", curves, ticks={1: "一", 2: "two"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Matplotlib warns about each character that it draws as a box
        assert to_png(figure).startswith(b"\x89PNG")
    [axes] = figure.axes
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    return [axes.get_title(loc="left"), axes.get_xlabel(), [text.get_text() for text in axes.get_xticklabels()], legend]


def test_without_a_chinese_font_a_legend_has_numbers_and_other_texts_are_left_out(monkeypatch):
    monkeypatch.setattr(fonts, "CHINESE_FONTS", [])
    assert fonts.font_families() == ("DejaVu Sans",)
    assert draw() == ["", "", ["#1", "two"], ["#1", "adapted – ü"]]


def test_the_first_chinese_font_that_is_installed_is_used(monkeypatch):
    monkeypatch.setattr(fonts.font_manager, "get_font_names", lambda: ["DejaVu Sans", "SimHei", "SimSun"])
    assert fonts.font_families() == ("DejaVu Sans", "SimHei")


def test_chinese_texts_are_drawn_with_a_chinese_font():
    if len(fonts.font_families()) == 1:
        pytest.skip("no Chinese font is installed")
    assert draw() == ["困惑度", "学习率", ["一", "two"], ["原始模型", "adapted – ü"]]
