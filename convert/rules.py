"""Define the rules with which a family describes how its tensors correspond.

A rule is one layer: its name in Hugging Face's model, its name in Paddle's, and its sizes, which are numbers or names of
configuration fields. The kind of layer decides whether a weight is transposed, never its name or shape: Paddle's Linear stores
[in, out] and torch's stores [out, in], and a square matrix that is not transposed by mistake would pass every shape check.

`expand` turns the rules of a family into a `TensorPair` for each tensor. A pair converts in both directions, so the conversion back
needs no rules of its own. Rules name the base model's tensors without its prefix ("bert.", "model.", ...); `expand` adds the prefix
for models with a head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from convert.pairs import TensorPair

Size = int | str  # a number, or the name of a field of the Hugging Face configuration


class Rule:
    """Base class of the rules."""

    def pairs(self, config: dict) -> Iterator[TensorPair]:
        """Yield the tensors that the rule describes for a configuration."""
        raise NotImplementedError


def _resolve(size: Size, config: dict) -> int:
    return size if isinstance(size, int) else int(config[size])


@dataclass(frozen=True)
class Linear(Rule):
    """nn.Linear in both libraries. The weight is transposed.

    With `bias="paddle"` only Paddle's layer has a bias. For `tied_to` see TensorPair.
    """

    hf: str
    paddle: str
    inputs: Size
    outputs: Size
    bias: bool | Literal["paddle"] = True
    tied_to: str | None = None

    def pairs(self, config):
        inputs, outputs = _resolve(self.inputs, config), _resolve(self.outputs, config)
        yield TensorPair(
            f"{self.hf}.weight", (f"{self.paddle}.weight",), (outputs, inputs), transpose=True, layer="Linear", tied_to=self.tied_to
        )
        if self.bias:
            yield TensorPair(
                f"{self.hf}.bias", (f"{self.paddle}.bias",), (outputs,), init="zeros", layer="Linear",
                paddle_only=self.bias == "paddle",
            )  # fmt: skip


@dataclass(frozen=True)
class Conv1D(Rule):
    """transformers' Conv1D, which stores [in, out] like Paddle's Linear. It becomes one or several Linear layers of equal size."""

    hf: str
    paddle: tuple[str, ...]
    inputs: Size
    outputs: Size

    def pairs(self, config):
        inputs, outputs = _resolve(self.inputs, config), _resolve(self.outputs, config) * len(self.paddle)
        weights, biases = (tuple(f"{name}.{kind}" for name in self.paddle) for kind in ("weight", "bias"))
        yield TensorPair(f"{self.hf}.weight", weights, (inputs, outputs), layer="Conv1D")
        yield TensorPair(f"{self.hf}.bias", biases, (outputs,), init="zeros", layer="Conv1D")


@dataclass(frozen=True)
class Embedding(Rule):
    """An embedding, the same in both libraries. It begins with `extra_rows` that no id uses (BART's position offset)."""

    hf: str
    paddle: str
    rows: Size
    dim: Size
    extra_rows: int = 0

    def pairs(self, config):
        shape = (_resolve(self.rows, config) + self.extra_rows, _resolve(self.dim, config))
        yield TensorPair(f"{self.hf}.weight", (f"{self.paddle}.weight",), shape, layer="Embedding")


@dataclass(frozen=True)
class LayerNorm(Rule):
    """A layer norm, the same in both libraries. T5's has no bias: `bias=False`."""

    hf: str
    paddle: str
    dim: Size
    bias: bool = True

    def pairs(self, config):
        shape = (_resolve(self.dim, config),)
        yield TensorPair(f"{self.hf}.weight", (f"{self.paddle}.weight",), shape, init="ones", layer="LayerNorm")
        if self.bias:
            yield TensorPair(f"{self.hf}.bias", (f"{self.paddle}.bias",), shape, init="zeros", layer="LayerNorm")


@dataclass(frozen=True)
class Parameter(Rule):
    """A single tensor with its full name, the same in both libraries. For `tied_to` and `optional` see TensorPair."""

    hf: str
    paddle: str
    shape: tuple[Size, ...]
    init: str = "zeros"
    tied_to: str | None = None
    optional: bool = False

    def pairs(self, config):
        shape = tuple(_resolve(size, config) for size in self.shape)
        yield TensorPair(self.hf, (self.paddle,), shape, init=self.init, tied_to=self.tied_to, optional=self.optional)


@dataclass(frozen=True)
class Alias(Rule):
    """Other names of the tensor `of`, which both libraries tie. None means that a library's model does not list the name."""

    of: str
    hf: str | None = None
    paddle: str | None = None

    def pairs(self, config):
        yield from ()  # `expand` adds the names to the tensor's own pair


@dataclass(frozen=True)
class Group(Rule):
    """Rules of a part that a checkpoint has completely or not at all."""

    name: str
    rules: tuple[Rule, ...]

    def pairs(self, config):
        for rule in self.rules:
            for pair in rule.pairs(config):
                yield replace(pair, group=self.name)


@dataclass(frozen=True)
class If(Rule):
    """Rules of a part that exists only if `condition` is true for the configuration."""

    condition: Callable[[dict], bool]
    rules: tuple[Rule, ...]

    def pairs(self, config):
        for rule in self.rules if self.condition(config) else ():
            yield from rule.pairs(config)


@dataclass(frozen=True)
class Repeat(Rule):
    """Rules with `{i}` in their names, applied for every i from `first` to the configured count - 1."""

    count: Size
    rules: tuple[Rule, ...]
    first: int = 0

    def pairs(self, config):
        for i in range(self.first, _resolve(self.count, config)):
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
) -> list[TensorPair]:
    """Return all tensors of a model: those of the base model first, then those of the head.

    Args:
        backbone: Rules of the base model.
        head: Rules of the head.
        config: Sizes by field name: a complete Hugging Face configuration.
        head_group: The `group` that the head's tensors get.
        hf_prefix: Prefix of the base model's names in Hugging Face's model.
        paddle_prefix: The same for Paddle's model.

    Raises:
        AssertionError: The rules name a tensor twice, which is a mistake in the family.
    """
    pairs = [_with_prefixes(pair, hf_prefix, paddle_prefix) for rule in backbone for pair in rule.pairs(config)]
    pairs += [
        replace(pair, group=head_group, tied_to=pair.tied_to and hf_prefix + pair.tied_to)
        for rule in head
        for pair in rule.pairs(config)
    ]
    for rules, alias_hf_prefix, alias_paddle_prefix in ((backbone, hf_prefix, paddle_prefix), (head, "", "")):
        for rule in _active_rules(rules, config):
            if isinstance(rule, Alias):
                _add_alias(pairs, rule, (rule.of, hf_prefix + rule.of), alias_hf_prefix, alias_paddle_prefix)
    for names in ([name for pair in pairs for name in pair.hf_names], [name for pair in pairs for name in pair.paddle_names]):
        assert len(set(names)) == len(names), f"named twice: {sorted({name for name in names if names.count(name) > 1})}"
    return pairs


def _active_rules(rules: Sequence[Rule], config: dict) -> Iterator[Rule]:
    for rule in rules:
        yield from (rule.rules if rule.condition(config) else ()) if isinstance(rule, If) else (rule,)


def _with_prefixes(pair: TensorPair, hf_prefix: str, paddle_prefix: str) -> TensorPair:
    if not hf_prefix and not paddle_prefix:
        return pair
    return replace(
        pair,
        hf=hf_prefix + pair.hf,
        paddle=tuple(paddle_prefix + name for name in pair.paddle),
        tied_to=pair.tied_to and hf_prefix + pair.tied_to,
    )


def _add_alias(pairs: list[TensorPair], alias: Alias, targets: tuple[str, str], hf_prefix: str, paddle_prefix: str) -> None:
    """Add an alias's names to the pair it belongs to, which is one of `targets`."""
    (index,) = [number for number, pair in enumerate(pairs) if pair.hf in targets]
    pair = pairs[index]
    pairs[index] = replace(
        pair,
        hf_aliases=pair.hf_aliases + ((hf_prefix + alias.hf,) if alias.hf else ()),
        paddle_aliases=pair.paddle_aliases + ((paddle_prefix + alias.paddle,) if alias.paddle else ()),
    )
