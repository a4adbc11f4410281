"""The inputs of a page, without gradio: text boxes, sliders, choices. Each checks a value that comes in over the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from paddle_ft.demo.labels import NOTHING, Label

LONGEST_TEXT = 20_000  # characters of an input
MOST_SENT = 100_000  # UTF-16 units of a text that the page sends to the server; of a longer one it sends {LENGTH: characters}
LENGTH = "length"
SHOWN_CHOICES = 10  # in a message
TOO_LONG = Label("“{name}” has {length} characters; at most {limit} are allowed. Shorten it.",
                 "“{name}”有 {length} 个字符，最多允许 {limit} 个。请缩短。")  # fmt: skip
NO_TEXT = Label("“{name}” must be a text.", "“{name}”必须是文本。")
NO_NUMBER = Label("“{name}” must be a number from {low:g} to {high:g}.", "“{name}”必须是 {low:g} 到 {high:g} 之间的数。")
NO_WHOLE_NUMBER = Label("“{name}” must be a whole number from {low:g} to {high:g}.",
                        "“{name}”必须是 {low:g} 到 {high:g} 之间的整数。")  # fmt: skip
NO_CHOICE = Label("“{name}” must be one of: {choices}.", "“{name}”只能是：{choices}。")


class BadInput(Exception):
    """Wrong input of a visitor.

    Attributes:
        label: what is wrong and what to do.
    """

    def __init__(self, label: Label):
        super().__init__(label.en)
        self.label = label


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

    def clean(self, value: Any) -> str:
        """Return a value as a text; nothing at all is an empty one. Raise BadInput for one that is too long, or no text."""
        if isinstance(value, dict) and isinstance(length := value.get(LENGTH), int) and length > LONGEST_TEXT:
            raise BadInput(TOO_LONG.format(name=self.label, length=length, limit=LONGEST_TEXT))
        if not isinstance(value, str | None):
            raise BadInput(NO_TEXT.format(name=self.label))
        # half a surrogate pair, which JSON can carry, is no character, and tokenizers refuse it
        text = (value or "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if len(text) > LONGEST_TEXT:
            raise BadInput(TOO_LONG.format(name=self.label, length=len(text), limit=LONGEST_TEXT))
        return text


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
        """Return a value as a number. Raise BadInput for what is no number in the range."""
        whole = float(self.step).is_integer()
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not self.low <= value <= self.high or (whole and value != int(value)):
            message = NO_WHOLE_NUMBER if whole else NO_NUMBER
            raise BadInput(message.format(name=self.label, low=self.low, high=self.high))
        return int(value) if whole else float(value)


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

    def clean(self, value: Any) -> str:
        """Return a value that is one of the choices. Raise BadInput for any other."""
        if not isinstance(value, str) or value not in self.choices:
            more = ", ..." if len(self.choices) > SHOWN_CHOICES else ""
            raise BadInput(NO_CHOICE.format(name=self.label, choices=", ".join(self.choices[:SHOWN_CHOICES]) + more))
        return value


Field = TextField | NumberField | ChoiceField
