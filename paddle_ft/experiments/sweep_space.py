"""The space of a sweep, as the command line names it: lists of values, and ranges that are searched."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paddle_ft.config.load import parse_override
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import did_you_mean

RANGES = {"log": "log(1e-5,1e-3)", "uniform": "uniform(0,0.3)", "int": "int(1,4)"}  # kind -> an example
OTHER_ROWS = "trials would not be scored on the same rows"
# Settings that are the same in all trials, and why.
NOT_SWEPT = {
    "output_dir": "each trial has a folder of its own",
    "seed": "the best of several seeds is luck, not a better setting; the command repeat shows how much seeds differ",
    "eval.best_metric": "it is what the trials are compared by",
    "eval.limit": OTHER_ROWS,
    **dict.fromkeys(("data.source", "data.name", "data.validation", "data.limit_validation"), OTHER_ROWS),
    **dict.fromkeys(("data.test", "data.limit_test"), "trials are not scored on test at all"),
    **dict.fromkeys(("task.name", "recipe", "sample", "device"), "it is no setting of the training"),
}
_RANGE = re.compile(r"([A-Za-z_]+)\(([^()]*)\)")
_RANGE_LIKE = re.compile(rf"({'|'.join(RANGES)})\s*\(")
_OPENING, _CLOSING = "[{(", "]})"


@dataclass(frozen=True)
class Choices:
    """A setting with a list of values.

    Attributes:
        key: the setting.
        values: its values, in YAML as they were written.
    """

    key: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self.values)


@dataclass(frozen=True)
class Range:
    """A setting whose values are searched between two ends.

    Attributes:
        key: the setting.
        kind: "log" (each factor is as likely as any other), "uniform" or "int" (whole numbers).
        low, high: the ends, which are included.
    """

    key: str
    kind: str
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.kind}({self.low:g}, {self.high:g})"

    def probes(self) -> list[str]:
        """Return values that must be allowed if all values between the ends are: the ends, and for fractions one of them."""
        if self.kind == "int":
            return [str(int(self.low)), str(int(self.high))]
        fraction = self.low + (self.high - self.low) * 0.61803
        return [repr(self.low), repr(self.high), repr(fraction)]


Parameter = Choices | Range


@dataclass(frozen=True)
class Space:
    """What the trials of a sweep have in common, and in what they differ.

    Attributes:
        fixed: the settings of all trials, as overrides.
        parameters: the settings that differ, sorted by key, so that trials keep their numbers if the command names them otherwise.
    """

    fixed: list[str]
    parameters: list[Parameter]

    @property
    def is_grid(self) -> bool:
        """Whether all values are listed, so that the trials are all combinations."""
        return all(isinstance(parameter, Choices) for parameter in self.parameters)

    def combinations(self) -> list[dict[str, str]]:
        """Return key -> value of each combination of a grid. The last key changes fastest."""
        lists = [parameter.values for parameter in self.parameters if isinstance(parameter, Choices)]
        keys = [parameter.key for parameter in self.parameters]
        return [dict(zip(keys, values, strict=True)) for values in itertools.product(*lists)]


def parse_space(overrides: Sequence[str]) -> Space:
    """Return the space that overrides of the forms key=value, key=value,value and key=log(low,high) describe.

    Raises:
        UserError: a list is empty or has a value twice, a range is none, a key is named twice or cannot be swept, or nothing
            varies.
    """
    fixed: list[str] = []
    parameters: dict[str, Parameter] = {}
    for text in overrides:
        key, values = _read(text)
        if key in parameters:
            raise UserError(f"{key}: it is named twice; give all of its values in one list: {key}=A,B.")
        if (found := _parse_range(key, values)) is not None:
            parameters[key] = found
        elif len(values) > 1:
            parameters[key] = _parse_choices(key, values)
        else:
            fixed.append(text)
    if not parameters:
        if empty := next((text for text in fixed if not text.partition("=")[2].strip()), ""):
            key = parse_override(empty)[0]
            raise UserError(
                f"{key}=: the value is empty, so nothing varies. Write several values with commas between them, such as"
                f" {key}=A,B, or a range, such as {key}={RANGES['log']}."
            )
        raise UserError(
            "nothing varies: a sweep needs at least one setting with several values, such as train.learning_rate=1e-5,2e-5, or"
            f" with a range, such as train.learning_rate={RANGES['log']}. To train once, use the command train."
        )
    if wrong := next((key for key in parameters if key in NOT_SWEPT), None):
        raise UserError(f"{wrong}: this setting cannot be swept: {NOT_SWEPT[wrong]}. Give it one value.")
    fixed = [text for text in fixed if text.partition("=")[0] not in parameters]  # as elsewhere, the later one counts
    return Space(fixed, [parameters[key] for key in sorted(parameters)])


def _read(text: str) -> tuple[str, list[str]]:
    key, equals, value = text.partition("=")
    if not equals:
        parse_override(text)  # raises
    return key, split_values(value)


def describe_settings(settings: Mapping[str, str]) -> str:
    """Return the settings of a trial in which it differs from others, for messages: "train.learning_rate=2.25e-05, ..."."""
    return ", ".join(f"{key}={short_value(value)}" for key, value in settings.items())


def short_value(value: str) -> str:
    """Return a value with three digits if it is a fraction that a search has drawn."""
    try:
        return f"{float(value):.3g}" if len(value) > 8 else value
    except ValueError:
        return value


def split_values(text: str) -> list[str]:
    """Return the values of a list: the texts between the commas that are outside of brackets and quotes, stripped."""
    values, depth, quote, last = [""], 0, "", ","
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and last in ",:([{":  # elsewhere it is an apostrophe
            quote = character
        elif character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == "," and depth <= 0:
            values.append("")
            last = character
            continue
        values[-1] += character
        last = last if character.isspace() else character
    return [value.strip() for value in values]


def _parse_choices(key: str, values: list[str]) -> Choices:
    if "" in values:
        raise UserError(f"{key}={','.join(values)}: a value of the list is empty; write null if that is meant.")
    seen: list[Any] = []
    for value in values:
        if isinstance(parse := _parse_range(key, [value]), Range):
            raise UserError(f"{key}={','.join(values)}: a range such as {parse} stands alone, not in a list.")
        parsed = parse_override(f"{key}={value}")[1]
        if any(parsed == other and isinstance(parsed, bool) == isinstance(other, bool) for other in seen):
            raise UserError(f"{key}={','.join(values)}: {value} is there twice.")
        seen.append(parsed)
    return Choices(key, tuple(values))


def _parse_range(key: str, values: list[str]) -> Range | None:
    """Return the range that a value describes, or None if it describes none."""
    match = _RANGE.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        if len(values) == 1 and (opened := _RANGE_LIKE.match(values[0])):
            raise UserError(f"{key}={values[0]}: this is not a complete range; one looks like {RANGES[opened[1]]}.")
        return None
    kind, text = match[1], f"{key}={values[0]}"
    if kind not in RANGES:
        raise UserError(
            f"{text}: there is no range {kind}.{did_you_mean(kind, list(RANGES))} Ranges: {', '.join(RANGES.values())};"
            " a text in brackets needs quotes."
        )
    ends = [parse_override(f"{key}={end}")[1] for end in split_values(match[2])]
    allowed = (int,) if kind == "int" else (int, float)
    if len(ends) != 2 or not all(isinstance(end, allowed) and not isinstance(end, bool) for end in ends):
        what = "two whole numbers" if kind == "int" else "two numbers"
        raise UserError(f"{text}: a range has {what}, such as {RANGES[kind]}.")
    low, high = ends
    if not low < high:
        raise UserError(f"{text}: the first number must be below the second one.")
    if kind == "log" and low <= 0:
        raise UserError(f"{text}: the numbers of log(...) must be above 0; uniform({low:g},{high:g}) may have others.")
    return Range(key, kind, low, high)
