"""Test the axes of parallel coordinates, and what is drawn."""

import pytest

from paddle_ft.reporting.coordinates import Scale, parallel_coordinates, share_bars


def test_values_are_placed_between_the_ends_of_their_axis():
    assert Scale("x", [2.0, 4.0, 3.0]).places().tolist() == [0, 1, 0.5]
    assert Scale("x", [1e-5, 1e-3, 1e-4], log=True).places() == pytest.approx([0, 1, 0.5])
    assert Scale("x", ["b", "c", "a"], choices=("a", "b", "c")).places().tolist() == [0.5, 1, 0]
    assert Scale("x", [3.0, 3.0]).places().tolist() == [0.5, 0.5] and Scale("x", ["a"], choices=("a",)).places().tolist() == [0]


def test_ticks_name_the_values():
    assert Scale("x", [0.0, 4.0]).ticks() == [(0.0, "0"), (0.25, "1"), (0.5, "2"), (0.75, "3"), (1.0, "4")]
    assert [label for _, label in Scale("x", [1e-6, 1e-2], log=True).ticks()] == ["1e-06", "1e-05", "0.0001", "0.001", "0.01"]
    assert Scale("x", ["a", "句子"], choices=("a", "句子")).ticks() == [(0.0, "a"), (1.0, "句子")]
    assert Scale("x", [3.0, 3.0]).ticks() == [(0.5, "3")]


@pytest.mark.parametrize(("low_is_better", "order"), [(False, [0, 2, 1]), (True, [1, 2, 0])])
def test_good_lines_are_drawn_over_others_and_the_best_one_thick(low_is_better, order):
    scales = [Scale("rate", [1.0, 2.0, 3.0]), Scale("accuracy", [50.0, 90.0, 70.0])]
    axes = parallel_coordinates("title", scales, low_is_better=low_is_better, best=1).axes[0]
    lines = [line.get_ydata().tolist() for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 1.4]
    expected = [[0, 0], [0.5, 1], [1, 0.5]]
    assert lines == [expected[number] for number in order]
    [best] = [line for line in axes.lines if line.get_linewidth() == 3]
    assert best.get_ydata().tolist() == [0.5, 1] and [label.get_text() for label in axes.get_xticklabels()] == ["rate", "accuracy"]


def test_the_largest_share_is_on_top():
    axes = share_bars("title", "share", {"a": 0.25, "b": 0.7}).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [25, 70] and [text.get_text() for text in axes.texts] == ["25 %", "70 %"]
