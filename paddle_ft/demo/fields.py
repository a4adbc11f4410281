"""The inputs of a page, without gradio: text boxes, sliders, choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from paddle_ft.demo.labels import NOTHING, Label


@dataclass(frozen=True)
class TextField:
    """A box for text.

    Attributes:
        name: the key of its value.
        label: what stands above the box.
        lines: height of the box in lines.
        value: what is in the box at first.
        placeholder: what an empty box shows.
    """

    name: str
    label: Label
    lines: int = 1
    value: str = ""
    placeholder: Label = NOTHING


@dataclass(frozen=True)
class NumberField:
    """A slider for a number.

    Attributes:
        name: the key of its value.
        label: what stands above the slider.
        value: where it is at first.
        low, high, step: its range. With a whole step the value is an int.
    """

    name: str
    label: Label
    value: float
    low: float
    high: float
    step: float = 1

    def clean(self, value: Any) -> int | float:
        """Return a value that came in over the network as a number in the range."""
        number = min(max(float(value), self.low), self.high)
        return round(number) if float(self.step).is_integer() else number


@dataclass(frozen=True)
class ChoiceField:
    """A list to choose from.

    Attributes:
        name: the key of its value.
        label: what stands above the list.
        value: the choice at first.
        choices: the values, which are also what is shown.
    """

    name: str
    label: Label
    value: str
    choices: tuple[str, ...]


Field = TextField | NumberField | ChoiceField
