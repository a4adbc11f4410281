"""Test that texts of plots are in fonts that have their characters, also where no Chinese font is installed."""

import warnings

import pytest

from paddle_ft.reporting import fonts
from paddle_ft.reporting.coordinates import Scale, parallel_coordinates
from paddle_ft.reporting.curves import Curve, draw_curves
from paddle_ft.reporting.pictures import to_picture
from paddle_ft.reporting.plots import draw_figures
from paddle_ft.reporting.records import Run


@pytest.fixture(autouse=True)
def fresh_fonts():
    fonts.font_families.cache_clear()
    yield
    fonts.font_families.cache_clear()


@pytest.fixture
def no_chinese_font(monkeypatch):
    monkeypatch.setattr(fonts, "CHINESE_FONTS", [])
    assert fonts.font_families() == ("DejaVu Sans",)


needs_chinese_font = pytest.mark.skipif(len(fonts.font_families()) == 1, reason="no Chinese font is installed")


def picture_of(figure):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Matplotlib warns about each character that it draws as a box
        picture = to_picture(figure)
    assert picture.png.startswith(b"\x89PNG")
    return picture


def draw_lines():
    """Return the texts of a plot of curves after it was drawn, and its picture."""
    curves = [Curve("原始模型", [1, 2], [3, 4]), Curve("adapted – ü", [1, 2], [4, 3])]
    figure = draw_curves("困惑度", "学习率", "loss", curves, ticks={1: "一", 2: "two"})
    picture = picture_of(figure)
    [axes] = figure.axes
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    return [axes.get_title(loc="left"), axes.get_xlabel(), [text.get_text() for text in axes.get_xticklabels()], legend], picture


def draw_matrix(names=("正面", "neutral", "负面")):
    """Return the labels of both axes of a confusion matrix after it was drawn, and its picture."""
    results = {"data": {"label_names": list(names)}, "metrics": {"test": {"confusion_matrix": [[4, 1, 0]] * 3}}}
    figure = draw_figures(Run(None, results=results))["confusion_matrix_test"]
    picture = picture_of(figure)
    axes = figure.axes[0]
    return [[label.get_text() for label in axis.get_ticklabels()] for axis in (axes.xaxis, axes.yaxis)], picture


def draw_coordinates():
    """Return the labels of an axis of parallel coordinates after they were drawn, and their picture."""
    scales = [Scale("prefix", ["句子", "none", "评论"], choices=("句子", "none", "评论")), Scale("accuracy", [50.0, 90.0, 70.0])]
    figure = parallel_coordinates("title", scales, low_is_better=False, best=None)
    picture = picture_of(figure)
    return [text.get_text() for text in figure.axes[0].texts][:3], picture


def test_without_a_chinese_font_curves_have_numbers_with_what_they_stand_for(no_chinese_font):
    (title, x_label, ticks, legend), picture = draw_lines()
    assert {picture.names[text] for text in (title, x_label, ticks[0], legend[0])} == {"困惑度", "学习率", "一", "原始模型"}
    assert ticks[1] == "two" and legend[1] == "adapted – ü" and sorted(picture.names) == ["#1", "#2", "#3", "#4"]


def test_without_a_chinese_font_a_class_has_the_same_number_on_both_axes(no_chinese_font):
    labels, picture = draw_matrix()
    assert labels == [["#1", "neutral", "#2"]] * 2 and picture.names == {"#1": "正面", "#2": "负面"}
    assert picture.caption == "#1 正面, #2 负面 (no font that is installed here has their characters)"


def test_without_a_chinese_font_values_of_parallel_coordinates_have_numbers(no_chinese_font):
    labels, picture = draw_coordinates()
    assert sorted(labels) == ["#1", "#2", "none"] and set(picture.names.values()) == {"句子", "评论"}


def test_the_first_chinese_font_that_is_installed_is_used(monkeypatch):
    monkeypatch.setattr(fonts.font_manager, "get_font_names", lambda: ["DejaVu Sans", "SimHei", "SimSun"])
    assert fonts.font_families() == ("DejaVu Sans", "SimHei")


@needs_chinese_font
def test_chinese_texts_are_drawn_with_a_chinese_font():
    texts, picture = draw_lines()
    assert texts == ["困惑度", "学习率", ["一", "two"], ["原始模型", "adapted – ü"]]
    assert (picture.names, picture.caption) == ({}, "")
    assert draw_matrix()[0] == [["正面", "neutral", "负面"]] * 2 and draw_coordinates()[0] == ["句子", "none", "评论"]


@needs_chinese_font
def test_what_no_font_has_is_a_number_beside_chinese_names():
    figure = draw_curves("title", "step", "loss", [Curve("情感", [1, 2], [3, 4]), Curve("\U00010380", [1, 2], [4, 3])])
    assert picture_of(figure).names == {"#1": "\U00010380"}


def test_dollar_signs_in_names_begin_no_formula():
    names = ["$a_$ and $b$", r"$\frac$", "$5"]
    assert draw_matrix(names)[0] == [names] * 2
    picture_of(draw_curves("title", "step", "loss", [Curve(name, [1, 2], [3, 4]) for name in names]))


def test_powers_at_an_axis_stay_formulas():
    figure = draw_curves("title", "step", "loss", [Curve("a", [1, 2], [1.0, 1e5])], log_y=True)
    picture_of(figure)
    labels = [label for label in figure.axes[0].get_yticklabels() if fonts.OWN_FORMULA in label.get_text()]
    assert labels and all(label.get_parse_math() for label in labels)
