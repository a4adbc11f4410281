"""Define the plan of a conversion, which is the same for both directions.

The plan is complete before anything is written: what every tensor becomes, which tensors are tied, left out or newly initialised,
and notes for the user. The report and `inspect` show it, and a checkpoint is written by a loop over its `writes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from convert.errors import ConvertError
from convert.formats import NewTensor
from convert.pairs import TensorPair


@dataclass(frozen=True)
class TensorUse:
    """What a tensor of the source becomes. The fields are those of a tensor in conversion.json.

    Attributes:
        becomes: Names of the target's tensors; empty if the target leaves it out because it is tied.
        how: Kind of layer, and what is done with the values.
        shape: Its shape in the source.
        dtype: Its element type in the source.
        name: Its name in the source library's model class, which may differ from the one in the file.
    """

    becomes: list[str]
    how: str
    shape: list[int]
    dtype: str
    name: str


@dataclass
class Plan:
    """What a conversion will do.

    Attributes:
        writes: The tensors of the target, in the order in which they are written.
        uses: Source tensor -> what it becomes.
        tied: Target tensor (to Paddle) or source tensor (to Hugging Face) -> the tensor that it is tied to.
        filled_otherwise: Target tensor -> where its value comes from, if not from a source tensor of its own.
        initialised: Target tensors that are newly initialised.
        ignored: Source tensor -> why the target has no place for it.
        config_changes: Fields of the target's config.json that follow from the tensors.
        notes: What the user should know.
    """

    writes: list[NewTensor] = field(default_factory=list)
    uses: dict[str, TensorUse] = field(default_factory=dict)
    tied: dict[str, str] = field(default_factory=dict)
    filled_otherwise: dict[str, str] = field(default_factory=dict)
    initialised: list[str] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    config_changes: dict[str, object] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def describe(pair: TensorPair, split_or_joined: str) -> str:
    """Return the kind of layer and what is done with the values. `split_or_joined` is used if there are several parameters."""
    how = "transposed" if pair.transpose else split_or_joined if len(pair.paddle) > 1 else "copied"
    return f"{pair.layer}, {how}"


def raise_problems(problems: Iterable[str], where: object, class_name: str, flags: str = "") -> None:
    """Raise one ConvertError that lists all problems, if there are any. `flags` solve them, if the model needs no such tensors."""
    lines = list(dict.fromkeys(problems))
    if lines:
        hint = [f"If the model computes the same without them, leave them out with {flags}"] if flags else []
        message = f"{where}: the tensors do not fit {class_name}; nothing was written:\n  " + "\n  ".join(lines)
        raise ConvertError("\n".join([message, *hint]), flags)
