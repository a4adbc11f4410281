"""Draw parallel coordinates, one line for each of many trials, and bars of shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from paddle_ft.reporting.curves import COLOURS, GREY, make_axes

COLOUR_MAP = "viridis"  # its brightness rises steadily, so it can be read without colours too
TICKS = 5


@dataclass(frozen=True)
class Scale:
    """A vertical axis of parallel coordinates.

    Attributes:
        label: what it shows.
        values: the value of each line: numbers, or the texts of `choices`.
        choices: the texts from bottom to top; (): the axis is one of numbers.
        log: whether an axis of numbers is logarithmic.
    """

    label: str
    values: Sequence[float | str]
    choices: tuple[str, ...] = ()
    log: bool = False

    def places(self) -> np.ndarray:
        """Return where each line crosses the axis, from 0 to 1, [lines]."""
        if self.choices:
            return np.array([self.choices.index(str(value)) for value in self.values]) / max(1, len(self.choices) - 1)
        numbers = self._numbers()
        low, high = numbers.min(), numbers.max()
        return np.full(len(numbers), 0.5) if low == high else (numbers - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Return the places of the axis that are labelled, with their labels."""
        if self.choices:
            return [(number / max(1, len(self.choices) - 1), name[-24:]) for number, name in enumerate(self.choices)]
        numbers = self._numbers()
        low, high = float(numbers.min()), float(numbers.max())
        if low == high:
            return [(0.5, f"{float(self.values[0]):.4g}")]
        shown = [low + (high - low) * number / (TICKS - 1) for number in range(TICKS)]
        return [(number / (TICKS - 1), f"{10**value if self.log else value:.3g}") for number, value in enumerate(shown)]

    def _numbers(self) -> np.ndarray:
        return np.array([math.log10(float(value)) if self.log else float(value) for value in self.values])


def parallel_coordinates(title: str, scales: Sequence[Scale], *, low_is_better: bool, best: int | None) -> Figure:
    """Draw a line for each trial through its values on all axes. Its colour is its value on the last axis.

    Args:
        title: the heading.
        scales: the axes. The last one is the metric.
        low_is_better: whether low values of the metric get the bright colours of good ones.
        best: index of the line that is drawn thick, None: no line is.
    """
    figure, axes = make_axes(title, "", "")
    figure.set_size_inches(max(7.0, 1.9 * len(scales)), 4)
    axes.grid(False)
    places = np.array([scale.places() for scale in scales])  # [axes, lines]
    goodness = 1 - places[-1] if low_is_better else places[-1]
    colours = colormaps[COLOUR_MAP](0.05 + 0.85 * goodness)
    x = np.arange(len(scales))
    for line in np.argsort(goodness):
        axes.plot(x, places[:, line], color=colours[line], linewidth=1.4, alpha=0.85)
    if best is not None:
        axes.plot(x, places[:, best], color=COLOURS[1], linewidth=3, label="the chosen one")
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    for number, scale in enumerate(scales):
        axes.axvline(number, color=GREY, linewidth=1)
        for place, label in scale.ticks():
            axes.annotate(label, (number, place), xytext=(-5, 0), textcoords="offset points", ha="right", va="center", fontsize=8,
                          bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8})  # fmt: skip
    axes.set_xticks(x, [scale.label for scale in scales])
    axes.set_yticks([])
    axes.set_xlim(-0.45, len(scales) - 1 + 0.1)
    axes.set_ylim(-0.05, 1.05)
    axes.spines["left"].set_visible(False)
    return figure


def share_bars(title: str, x_label: str, shares: dict[str, float]) -> Figure:
    """Draw a bar for each share, from 0 to 1, the largest on top.

    Args:
        title, x_label: texts of the plot.
        shares: name -> share.
    """
    figure, axes = make_axes(title, "", x_label)
    names = sorted(shares, key=lambda name: shares[name])
    bars = axes.barh(names, [100 * shares[name] for name in names], color=COLOURS[0], height=0.6)
    axes.bar_label(bars, [f"{100 * shares[name]:.0f} %" for name in names], padding=4)
    axes.set_xlim(0, 110)
    axes.set_xticks(range(0, 101, 20))
    axes.grid(False, axis="y")
    figure.set_size_inches(7, 1.4 + 0.5 * len(names))
    return figure
