"""The small language in which a family says how its tensors correspond.

A rule is one layer: its name in Hugging Face's model, its name in Paddle's, and its sizes as names of configuration
fields. What the layer *is* decides whether a weight is transposed (Paddle's Linear holds [in, out], torch's [out, in]);
nobody ever looks at a name or a shape for that. `expand` turns the rules of a family into one `Pair` a tensor, and every pair
knows both directions, so the way back is derived and never written.

Names of the base model are written without its prefix ("bert.", "model.", ...); `expand` adds it for models with a head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Size = int | str  # a number, or the name of a field of the Hugging Face configuration


@dataclass(frozen=True)
class Pair:
    """One tensor of the Hugging Face checkpoint and the parameter (or the joined parameters) of Paddle that hold it.

    hf: its name; hf_also: further names of the very same tensor (tied in Hugging Face's model).
    paddle: parameters, more than one where the tensor is the concatenation of several along its last axis.
    paddle_also: further names under which Paddle's state dict lists the same parameter (tied in Paddle's model).
    shape: the tensor's shape in Hugging Face's layout.
    transpose: the two layouts are each other's transpose.
    tied_to: name of the tensor this one repeats in Hugging Face's model while the configuration says
        tie_word_embeddings; Paddle keeps a parameter of its own.
    init: how a new parameter starts: "normal", "zeros", "ones", or "positions": the integers from 0.
    optional: a file may leave it out, which means the value of `init`.
    paddle_only: Hugging Face's model has no such tensor, its value is always the one of `init`.
    group: None for what every checkpoint of the family has, else the part that a checkpoint has whole or not at all.
    """

    hf: str
    paddle: tuple[str, ...]
    shape: tuple[int, ...]
    transpose: bool = False
    tied_to: str | None = None
    init: str = "normal"
    optional: bool = False
    paddle_only: bool = False
    group: str | None = None
    hf_also: tuple[str, ...] = ()
    paddle_also: tuple[str, ...] = ()
    layer: str = "Parameter"

    @property
    def paddle_shape(self) -> tuple[int, ...]:
        """Shape of each of the Paddle parameters."""
        if self.transpose:
            return self.shape[::-1]
        return (*self.shape[:-1], self.shape[-1] // len(self.paddle)) if len(self.paddle) > 1 else self.shape

    def to_paddle(self, tensor: np.ndarray) -> list[np.ndarray]:
        """The Paddle parameters, in the order of `paddle`."""
        if self.transpose:
            return [tensor.T]
        return np.split(tensor, len(self.paddle), axis=-1) if len(self.paddle) > 1 else [tensor]

    def to_hf(self, parameters: Sequence[np.ndarray]) -> np.ndarray:
        """The inverse of `to_paddle`."""
        if self.transpose:
            return parameters[0].T
        return np.concatenate(parameters, axis=-1) if len(parameters) > 1 else parameters[0]


class Rule:
    """Base of the language; `pairs` yields what the rule stands for under a configuration."""

    def pairs(self, config: dict) -> Iterator[Pair]:
        raise NotImplementedError


def _size(size: Size, config: dict) -> int:
    return size if isinstance(size, int) else int(config[size])


@dataclass(frozen=True)
class Linear(Rule):
    """nn.Linear on both sides: the weight is transposed. `tied_to`: see Pair. `bias="paddle"`: Paddle's alone has one."""

    hf: str
    paddle: str
    inputs: Size
    outputs: Size
    bias: bool | Literal["paddle"] = True
    tied_to: str | None = None

    def pairs(self, config):
        inputs, outputs = _size(self.inputs, config), _size(self.outputs, config)
        weight = Pair(f"{self.hf}.weight", (f"{self.paddle}.weight",), (outputs, inputs), transpose=True, layer="Linear")
        yield replace(weight, tied_to=self.tied_to)
        if self.bias:
            bias = Pair(f"{self.hf}.bias", (f"{self.paddle}.bias",), (outputs,), init="zeros", layer="Linear")
            yield replace(bias, paddle_only=self.bias == "paddle")


@dataclass(frozen=True)
class Conv1D(Rule):
    """transformers' Conv1D, which already holds [in, out]; onto one nn.Linear, or split evenly onto several."""

    hf: str
    paddle: tuple[str, ...]
    inputs: Size
    outputs: Size

    def pairs(self, config):
        inputs, outputs = _size(self.inputs, config), _size(self.outputs, config) * len(self.paddle)
        weights, biases = (tuple(f"{name}.{kind}" for name in self.paddle) for kind in ("weight", "bias"))
        yield Pair(f"{self.hf}.weight", weights, (inputs, outputs), layer="Conv1D")
        yield Pair(f"{self.hf}.bias", biases, (outputs,), init="zeros", layer="Conv1D")


@dataclass(frozen=True)
class Embedding(Rule):
    """A table of rows, the same on both sides. `extra_rows`: rows in front that no id reaches (BART's position offset)."""

    hf: str
    paddle: str
    rows: Size
    dim: Size
    extra_rows: int = 0

    def pairs(self, config):
        shape = (_size(self.rows, config) + self.extra_rows, _size(self.dim, config))
        yield Pair(f"{self.hf}.weight", (f"{self.paddle}.weight",), shape, layer="Embedding")


@dataclass(frozen=True)
class LayerNorm(Rule):
    """Weight and bias of one size, the same on both sides; `bias=False` for T5's."""

    hf: str
    paddle: str
    dim: Size
    bias: bool = True

    def pairs(self, config):
        shape = (_size(self.dim, config),)
        yield Pair(f"{self.hf}.weight", (f"{self.paddle}.weight",), shape, init="ones", layer="LayerNorm")
        if self.bias:
            yield Pair(f"{self.hf}.bias", (f"{self.paddle}.bias",), shape, init="zeros", layer="LayerNorm")


@dataclass(frozen=True)
class Parameter(Rule):
    """A bare tensor, the same on both sides, named in full. `optional`, `tied_to`: see Pair."""

    hf: str
    paddle: str
    shape: tuple[Size, ...]
    init: str = "zeros"
    tied_to: str | None = None
    optional: bool = False

    def pairs(self, config):
        shape = tuple(_size(size, config) for size in self.shape)
        yield Pair(self.hf, (self.paddle,), shape, init=self.init, tied_to=self.tied_to, optional=self.optional)


@dataclass(frozen=True)
class Also(Rule):
    """Further names of the tensor called `of`: the same memory in both libraries' models (None: not listed there)."""

    of: str
    hf: str | None = None
    paddle: str | None = None

    def pairs(self, config):
        yield from ()


@dataclass(frozen=True)
class Group(Rule):
    """Rules of a part that a checkpoint has whole or not at all."""

    name: str
    rules: tuple[Rule, ...]

    def pairs(self, config):
        for rule in self.rules:
            for pair in rule.pairs(config):
                yield replace(pair, group=self.name)


@dataclass(frozen=True)
class If(Rule):
    """Rules of a part that only some configurations have; `condition` is asked with the configuration."""

    condition: Callable[[dict], bool]
    rules: tuple[Rule, ...]

    def pairs(self, config):
        for rule in self.rules if self.condition(config) else ():
            yield from rule.pairs(config)


@dataclass(frozen=True)
class Repeat(Rule):
    """Rules with `{i}` in their names, once for each i below a configured count."""

    count: Size
    rules: tuple[Rule, ...]
    first: int = 0

    def pairs(self, config):
        for i in range(self.first, _size(self.count, config)):
            for rule in self.rules:
                for pair in rule.pairs(config):
                    names = tuple(name.replace("{i}", str(i)) for name in pair.paddle)
                    yield replace(pair, hf=pair.hf.replace("{i}", str(i)), paddle=names)


def expand(
    backbone: Sequence[Rule],
    head: Sequence[Rule],
    config: dict,
    *,
    head_group: str,
    hf_prefix: str = "",
    paddle_prefix: str = "",
) -> list[Pair]:
    """All pairs of a model: base model first, then the head (as group `head_group`), with `Also` names attached.

    config: sizes by field name. The prefixes go in front of every name of the base model.
    Raises: AssertionError where a family names one tensor twice, which is a mistake in the family.
    """
    pairs = [_prefixed(pair, hf_prefix, paddle_prefix) for rule in backbone for pair in rule.pairs(config)]
    pairs += [
        replace(pair, group=head_group, tied_to=pair.tied_to and hf_prefix + pair.tied_to)
        for rule in head
        for pair in rule.pairs(config)
    ]
    for rules, hf_front, paddle_front in ((backbone, hf_prefix, paddle_prefix), (head, "", "")):
        for rule in _conditions_met(rules, config):
            if isinstance(rule, Also):
                _attach(pairs, rule, (rule.of, hf_prefix + rule.of), hf_front, paddle_front)
    for names in ([n for p in pairs for n in (p.hf, *p.hf_also)], [n for p in pairs for n in (*p.paddle, *p.paddle_also)]):
        assert len(set(names)) == len(names), f"named twice: {sorted({n for n in names if names.count(n) > 1})}"
    return pairs


def _conditions_met(rules: Sequence[Rule], config: dict) -> Iterator[Rule]:
    for rule in rules:
        yield from (rule.rules if rule.condition(config) else ()) if isinstance(rule, If) else (rule,)


def _prefixed(pair: Pair, hf_prefix: str, paddle_prefix: str) -> Pair:
    return replace(
        pair,
        hf=hf_prefix + pair.hf,
        paddle=tuple(paddle_prefix + name for name in pair.paddle),
        tied_to=pair.tied_to and hf_prefix + pair.tied_to,
    )


def _attach(pairs: list[Pair], rule: Also, targets: tuple[str, str], hf_front: str, paddle_front: str) -> None:
    (where,) = [number for number, pair in enumerate(pairs) if pair.hf in targets]
    pair = pairs[where]
    pairs[where] = replace(
        pair,
        hf_also=pair.hf_also + ((hf_front + rule.hf,) if rule.hf else ()),
        paddle_also=pair.paddle_also + ((paddle_front + rule.paddle,) if rule.paddle else ()),
    )
