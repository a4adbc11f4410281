"""Keep the trained head of a classifier for the classes that it shares with the data, and initialise the rest anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import paddle
from paddle import nn

from paddle_ft.models.head_classes import is_by_position, match_classes
from paddle_ft.models.origin import Origin, describe_weights
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import join_some

KEEP, NEW = "keep", "new"  # values of model.head, besides auto


@dataclass
class HeadPlan:
    """Which rows of a trained head are kept.

    Attributes:
        saved: the names of the checkpoint's classes, in the order of its rows.
        wanted: the names of the data's classes.
        rows: for each of the data's classes the row of the checkpoint's head, None for a row that starts anew.
        reason: why the whole head starts anew; "" if a row is kept.
    """

    saved: list[str]
    wanted: list[str]
    rows: list[int | None]
    reason: str = ""

    @property
    def lost(self) -> list[str]:
        """The checkpoint's classes whose rows are not kept."""
        return [name for row, name in enumerate(self.saved) if row not in self.rows]

    @property
    def new(self) -> list[str]:
        """The data's classes whose rows start anew."""
        return [name for row, name in zip(self.rows, self.wanted, strict=True) if row is None]

    def renew(self, reason: str) -> None:
        """Let the whole head start anew."""
        self.rows, self.reason = [None] * len(self.wanted), reason


def plan_head(cls: type, origin: Origin, saved: Sequence[str], wanted: Sequence[str], policy: str) -> HeadPlan:
    """Decide which rows of a checkpoint's classification head are kept.

    Args:
        cls: the model class.
        origin: the checkpoint.
        saved: the names of its classes, in the order of its rows.
        wanted: the names of the data's classes.
        policy: model.head.

    Raises:
        UserError: model.head=keep, and a row of the head would be thrown away.
    """
    plan = HeadPlan(list(saved), list(wanted), match_classes(saved, wanted))
    if not origin.has_head_of(cls):
        plan.renew(_describe_other_head(origin))
    elif policy == NEW:
        plan.renew(f"model.head=new; the checkpoint's was trained for {join_some(saved)}")
    elif len(saved) == 1:
        plan.renew("the checkpoint's head has a single output, as for regression")
    elif len(plan.new) == len(wanted):
        plan.renew(f"none of the checkpoint's classes ({join_some(saved)}) is certainly one of the data's ({join_some(wanted)})")
    if policy == KEEP and (plan.reason or plan.lost):
        raise UserError(_refusal(plan, origin, cls))
    return plan


def _describe_other_head(origin: Origin) -> str:
    if "ForSequenceClassification" in origin.class_name:
        return "the checkpoint's head pools otherwise (model.pooling)"
    return f"the checkpoint is a {origin.class_name}" if origin.class_name else "its config.json does not name its class"


def _refusal(plan: HeadPlan, origin: Origin, cls: type) -> str:
    """Return why model.head=keep cannot be obeyed, and what to do."""
    if not origin.has_head_of(cls):
        return f"model.head=keep: there is no trained head to keep: {plan.reason}. With model.head=auto one is trained anew."
    what = "the trained head" if plan.reason else f"the trained head's rows for {join_some(plan.lost)}"
    return (
        f"model.head=keep: {what} would be thrown away.\n"
        f"  the checkpoint's classes: {join_some(plan.saved, 20)}\n"
        f"  the data's classes:       {join_some(plan.wanted, 20)}\n"
        "Give the data's classes the checkpoint's names and order with task.labels (labels may then also be their numbers from 0),"
        " or set model.head=auto, which keeps the rows of the classes that both have."
    )


def arrange_head(model, plan: HeadPlan) -> None:
    """Give the head of a loaded model one row for each of the data's classes: the checkpoint's, or a new one.

    Args:
        model: a classifier whose head has the checkpoint's classes. It is changed in place.
        plan: which rows are kept, at least one.
    """
    if plan.rows == list(range(len(plan.saved))):
        return
    parent, name, old = _output_layer(model, len(plan.saved))
    new = nn.Linear(old.weight.shape[0], len(plan.wanted), bias_attr=None if old.bias is not None else False)
    new.to(dtype=old.weight.dtype)
    initialise(new, model.config.initializer_range)
    with paddle.no_grad():
        for number, row in enumerate(plan.rows):
            if row is not None:
                new.weight[:, number] = old.weight[:, row]
                if old.bias is not None:
                    new.bias[number] = old.bias[row]
    setattr(parent, name, new)
    for attribute in ("num_labels", "num_classes"):
        if hasattr(model, attribute):
            setattr(model, attribute, len(plan.wanted))


def _output_layer(model, num_classes: int):
    """Return the layer that computes the logits, which is the last linear layer after the encoder, with its parent and name."""
    layers = dict(model.named_sublayers(include_self=True))
    path = [
        path
        for path, layer in layers.items()
        if path.split(".")[0] != model.base_model_prefix and isinstance(layer, nn.Linear) and layer.weight.shape[1] == num_classes
    ][-1]
    parent, _, name = path.rpartition(".")
    return layers[parent], name, layers[path]


def renew_head(model) -> list[str]:
    """Initialise all layers after the encoder anew, as PaddleNLP does. Return the names of their parameters."""
    std = model.config.initializer_range
    for name, child in model.named_children():
        if name != model.base_model_prefix:
            for layer in child.sublayers(include_self=True):
                initialise(layer, std)
    return [name for name, _ in model.named_parameters() if not name.startswith(f"{model.base_model_prefix}.")]


def initialise(layer, std: float) -> None:
    """Initialise a layer anew: a linear one as PaddleNLP does, an LSTM as Paddle does, another one not at all."""
    if isinstance(layer, nn.Linear):
        layer.weight.set_value(paddle.normal(0.0, std, layer.weight.shape).astype(layer.weight.dtype))
        if layer.bias is not None:
            layer.bias.set_value(paddle.zeros_like(layer.bias))
    elif isinstance(layer, nn.LSTM):
        limit = layer.hidden_size**-0.5
        for parameter in layer.parameters():
            parameter.set_value(paddle.uniform(parameter.shape, min=-limit, max=limit).astype(parameter.dtype))


def describe_head(plan: HeadPlan, names: Sequence[str], multi_label: bool = False) -> list[str]:
    """Return what was decided about the head.

    Args:
        plan: which rows are kept.
        names: the names of the head's parameters.
        multi_label: whether the checkpoint was trained to give a text several classes.
    """
    if plan.reason:
        return [f"model.head: the classification head ({describe_weights(names)}) starts anew: {plan.reason}"]
    pairs = [(plan.saved[row], name) for row, name in zip(plan.rows, plan.wanted, strict=True) if row is not None]
    renamed = [f"{saved} is {name}" for saved, name in pairs if saved not in (name, f"LABEL_{name}")]
    kept = "the checkpoint's trained head is kept"
    if plan.new:
        kept += f" for {len(pairs)} of {len(plan.wanted)} classes ({join_some([name for _, name in pairs])})"
    if is_by_position(plan.saved, plan.wanted) and renamed:
        kept += f", by position, because its classes have no names: {join_some(renamed)}; if that is wrong, set model.head=new"
    elif renamed:
        kept += f", its classes matched by their names: {join_some(renamed)}"
    elif not plan.new:
        kept += f": its classes are the data's ({join_some(plan.wanted)})"
    rows = [row for row in plan.rows if row is not None]
    decisions = [f"model.head: {kept}" + ("; its rows are in the data's order now" if rows != sorted(rows) else "")]
    if plan.new:
        decisions.append(f"model.head: the rows of the head for {join_some(plan.new)} start anew: the checkpoint has no such class")
    if plan.lost:
        decisions.append(f"model.head: the checkpoint's rows for {join_some(plan.lost)} are not used: the data has no such class")
    if multi_label:
        decisions.append("model.head: the checkpoint's head was trained to give a text several classes, here it gives one")
    return decisions
