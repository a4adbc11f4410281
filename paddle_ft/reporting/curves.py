"""Draw curves: lines over an axis, and bands around the mean of several lines. All plots of the reports are made of these.

The figures are made without pyplot, which would need a display and keep state between figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

# Okabe & Ito (2008), Color Universal Design: readers with colour blindness can distinguish these colours.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
GREY = "#777777"
MANY_POINTS = 60  # a curve with this many points has no markers
STEP_LABEL = "optimizer step"
TITLE: dict[str, Any] = {"loc": "left", "fontsize": 12, "fontweight": "bold"}  # how a plot's title is written


@dataclass(frozen=True)
class Curve:
    """A line of a plot, with the lines that it is the mean of.

    Attributes:
        label: its name in the legend.
        x, y: the points.
        low, high: the band around it, [points]; None: no band.
        members: (x, y) of the lines behind it, drawn thinly.
    """

    label: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    members: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)


def mean_curve(label: str, lines: Sequence[tuple[np.ndarray, np.ndarray]]) -> Curve:
    """Return the mean of several lines, with a band of one sample standard deviation to both sides.

    Args:
        label: the name of the mean.
        lines: (x, y) of each line. The mean is taken at each x that any line has, over the lines that have it, so that runs that
            stopped early count as long as they went on.
    """
    values: dict[float, list[float]] = {}
    for xs, ys in lines:
        for x, y in zip(xs, ys, strict=True):
            values.setdefault(float(x), []).append(float(y))
    x = np.array(sorted(values))
    mean = np.array([np.mean(values[place]) for place in x])
    deviation = np.array([np.std(values[place], ddof=1) if len(values[place]) > 1 else 0.0 for place in x])
    return Curve(label, x, mean, mean - deviation, mean + deviation, list(lines) if len(lines) > 1 else [])


def draw_curves(
    title: str,
    x_label: str,
    y_label: str,
    curves: Sequence[Curve],
    *,
    log_x: bool = False,
    log_y: bool = False,
    references: Sequence[Curve] = (),
    ticks: Mapping[float, str] | None = None,
) -> Figure:
    """Draw curves over each other.

    Args:
        title, x_label, y_label: texts of the plot.
        curves: at least one. More than there are colours are drawn dashed, then dotted.
        log_x, log_y: logarithmic axes. With log_x, the axis is labelled at the points.
        references: what the curves are compared with, such as a baseline; drawn in grey.
        ticks: place -> label on the axis, in place of numbers.
    """
    figure, axes = make_axes(title, y_label, x_label)
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        for x, y in curve.members:
            axes.plot(x, y, color=colour, alpha=0.35, linewidth=0.8)
        if curve.low is not None and curve.high is not None:
            axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)
        draw_line(axes, curve.x, curve.y, colour, curve.label, style=["-", "--", ":"][number // len(COLOURS) % 3])
    for number, reference in enumerate(references):
        axes.plot(
            reference.x, reference.y, color=GREY, label=reference.label, linewidth=1.2, linestyle=[":", "-.", "--"][number % 3]
        )
    if log_y:
        axes.set_yscale("log")
    if not any(np.any(curve.y) for curve in (*curves, *references)):
        axes.set_ylim(0, 1)  # else the axis shows fractions of nothing, also below 0
    outside = len(curves) + len(references) > 4
    axes.legend(frameon=False, **({"loc": "center left", "bbox_to_anchor": (1, 0.5)} if outside else {"loc": "best"}))
    if log_x:
        axes.set_xscale("log")
        ticks = ticks or {place: f"{place:,g}" for place in sorted({float(x) for curve in curves for x in curve.x})}
    elif not ticks:
        return label_steps(figure) if x_label == STEP_LABEL else figure
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.xaxis.set_minor_locator(NullLocator())
    return figure


def make_axes(title: str, y_label: str, x_label: str = STEP_LABEL) -> tuple[Figure, Axes]:
    """Return an empty plot."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, **TITLE)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(True, color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def label_steps(figure: Figure) -> Figure:
    """Label the axis of the steps with whole numbers. If there is a single step, label only that one."""
    axes = figure.axes[0]
    steps = {float(step) for line in axes.lines if line.get_marker() != "None" for step in np.asarray(line.get_xdata())}
    if len(steps) == 1:
        axes.set_xticks(list(steps))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    return figure


def draw_line(axes: Axes, x, y, colour: str, label: str, marker: str = "o", style: str = "-") -> None:
    """Draw a line with a marker at each point, unless there are many."""
    shown_marker = marker if len(x) < MANY_POINTS else None
    axes.plot(x, y, color=colour, label=label, linewidth=1.6, marker=shown_marker, markersize=4, linestyle=style)


def smooth(values: np.ndarray) -> np.ndarray:
    """Return moving averages over a centred window of 5 % of the points. At both ends the window is shorter."""
    half = max(1, len(values) // 40)
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    first, last = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    return (total[last] - total[first]) / (last - first)
