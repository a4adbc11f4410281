"""train.sharding: stage3: the weights of each layer of encoder and decoder lie with their owners, and come for its passes alone.

A layer's activations are computed again in its backward pass (models/recompute.py), for which its weights come a second time. At
that turn the gradients of the layer after the next leave for their owner (the next layer's may not be complete: the backward
pass of a decoder's first layer and that of the encoder's last go side by side). So in every pass the weights of layers 1, 2, ...
n, n, ... 2, 1 are sent from their owners to all, in all processes alike: one without a batch takes part and computes nothing.
Weights outside of these layers (embeddings, heads) are everywhere, as in stage2. To evaluate and save, all are gathered.
"""

from __future__ import annotations

import functools
from functools import cached_property

import paddle

from paddle_ft.models.recompute import transformer_layers
from paddle_ft.system.errors import UserError
from paddle_ft.system.world import World
from paddle_ft.training.distributed.process_group import BUCKET
from paddle_ft.training.distributed.sharding import Shards, owners


def shared_layers(model) -> list:
    """The layers of encoder and decoder that are trained, in the order in which they run. Raises UserError if there is none."""
    layers = [layer for layer in transformer_layers(model) if any(not p.stop_gradient for p in layer.parameters())]
    if not layers:
        raise UserError(
            f"train.sharding: stage3 shares the layers of encoder and decoder, and {type(model).__name__} has none that it knows"
            " and that are trained: set it to stage2."
        )
    return layers


class LayerShards(Shards):
    """Shards that share weights too. all_here: whether this process has all of them now, as it has at the start."""

    def __init__(self, world: World, model, bucket: int = BUCKET):
        super().__init__(world, [p for p in model.parameters() if not p.stop_gradient], early=False, bucket=bucket)
        self.early = True  # gradients leave during the backward pass, but at a layer's turn
        layers = shared_layers(model)
        self.layers = [layer.parameters() for layer in layers]
        frozen = [p for layer in self.layers for p in layer if p.stop_gradient]
        shares = zip(frozen, owners([p.size for p in frozen], world.size), strict=True)
        self.owner_of.update({p.name: owner for p, owner in shares})
        self.all_here = True
        self.turn = 0  # how many times weights have come in the pass that is running: twice for each layer
        for number, layer in enumerate(layers):
            plain = getattr(layer.__dict__.get("forward"), "__wrapped__", layer.forward)  # without train.recompute's
            layer.__dict__["forward"] = self._sharded(number, plain)  # PaddleNLP rewrites what is assigned as layer.forward

    @cached_property
    def groups(self) -> list[list[list]]:
        """The buckets of each layer, frozen weights included."""
        return [self.cut(layer) for layer in self.layers]

    @cached_property
    def sent_with(self) -> list[list[list]]:
        """The buckets of each layer's gradients."""
        return [self.cut([p for p in layer if not p.stop_gradient]) for layer in self.layers]

    @cached_property
    def outside(self) -> list[list]:
        """The buckets of what is trained outside of the layers."""
        inside = {p.name for layer in self.layers for p in layer}
        return self.cut([p for p in reversed(self.parameters) if p.name not in inside])

    @cached_property
    def buckets(self) -> list[list]:
        """Those of the gradients, in the order in which they leave: the last layer's first."""
        return [bucket for layer in reversed(self.sent_with) for bucket in layer] + self.outside

    # -------------------------------------------------------------------------------- a layer's passes
    def _sharded(self, number: int, forward):
        """A layer's forward: what stands in for it in training."""
        from paddle.distributed.fleet.utils import recompute

        def visited(*inputs, **more):
            self._visit(number)
            try:
                return forward(*inputs, **more)
            finally:  # what the backward pass needs of the weights is kept by the graph, until it has gone through the layer
                self._release(number)

        @functools.wraps(forward)
        def wrapped(*inputs, **more):
            if self.all_here:
                return forward(*inputs, **more)
            return recompute(visited, *inputs, use_reentrant=False, **more)

        return wrapped

    @property
    def due(self) -> int:
        """The layer whose weights come next."""
        count = len(self.layers)
        return self.turn if self.turn < count else 2 * count - 1 - self.turn

    def _visit(self, number: int) -> None:
        """A layer's weights come for a pass; if it is backward, the gradients of the layer after the next leave."""
        if number != self.due:
            raise RuntimeError(f"layer {number} of the model ran in place of layer {self.due}: set train.sharding=stage2")
        if self.turn > len(self.layers) + 1:
            self._send_gradients(number + 2)
        self.turn += 1
        self._gather(number)

    def _send_gradients(self, number: int) -> None:
        for bucket in self.sent_with[number]:
            self._send(bucket)
            self.sent += 1

    def send(self) -> None:
        """Ends a backward pass: sends what is left, after taking part in what the others did, if there was no batch here."""
        while self.turn < 2 * len(self.layers):
            number = self.due
            self._visit(number)
            self._release(number)
        super().send()
        self.turn = 0

    # -------------------------------------------------------------------------------- weights
    @paddle.no_grad()
    def _gather(self, number: int) -> None:
        for bucket in self.groups[number]:
            for parameter, value in self.from_owner(bucket):
                value._share_buffer_to(parameter)

    def _release(self, number: int) -> None:
        for parameter in self.layers[number]:
            if self.owner_of[parameter.name] != self.world.rank:
                parameter._clear_data()

    def gather_weights(self) -> None:
        if not self.all_here:
            for number in range(len(self.layers)):
                self._gather(number)
            self.all_here = True

    def release_weights(self) -> None:
        if self.all_here:
            for number in range(len(self.layers)):
                self._release(number)
            self.all_here = False

    @paddle.no_grad()
    def spread(self) -> None:
        """Every process takes the updated weights outside of the layers."""
        for bucket in self.outside:
            for parameter, value in self.from_owner(bucket):
                paddle.assign(value, output=parameter)
