"""Implement train.sharding stage3: the weights of encoder and decoder layers are stored by their owners and sent when needed.

A layer's activations are recomputed in its backward pass (models/recompute.py), for which its weights are sent a second time. So
each pass sends the weights of layers 1, 2, ... n, n, ... 2, 1 from their owners to all ranks, in the same order on every rank. A
rank without a batch takes part without computing. When the backward pass reaches layer i, the gradients of layer i + 2 are sent to
their owners. Those of layer i + 1 may still be incomplete, because the backward passes of the decoder's first layer and the
encoder's last layer overlap. Weights outside of these layers (embeddings, heads) are on every rank, as in stage2. All weights are
gathered for evaluating and saving.
"""

from __future__ import annotations

import functools
from functools import cached_property

import paddle

from paddle_ft.models.recompute import plain_forward, transformer_layers
from paddle_ft.system import paddle_compat
from paddle_ft.system.errors import UserError
from paddle_ft.training.distributed.data_parallel import BUCKET_SIZE
from paddle_ft.training.distributed.process_group import ProcessGroup
from paddle_ft.training.distributed.sharding import ShardedStates, assign_owners


def sharded_layers(model) -> list:
    """Return the encoder and decoder layers that are trained, in the order in which they run.

    Raises:
        UserError: the model has none.
    """
    layers = [layer for layer in transformer_layers(model) if any(not p.stop_gradient for p in layer.parameters())]
    if not layers:
        raise UserError(
            f"train.sharding: stage3 shards the encoder's and decoder's layers, and {type(model).__name__} has no known layers that"
            " are trained: set it to stage2."
        )
    return layers


class ShardedLayers(ShardedStates):
    """Shard optimizer states, gradients, and the weights of layers.

    Attributes:
        layers: the parameters of each layer.
        has_all_weights: whether this rank has all weights now, as it has at the start.
        visits: number of layer visits in the current pass. Each layer is visited twice.
    """

    def __init__(self, world: ProcessGroup, model, bucket_size: int = BUCKET_SIZE):
        layers = sharded_layers(model)
        super().__init__(world, model, during_backward=False, bucket_size=bucket_size)
        self.during_backward = True  # set here because super() would register hooks; gradients are sent when layers are visited
        self.layers = [layer.parameters() for layer in layers]
        frozen = [p for layer in self.layers for p in layer if p.stop_gradient]
        shares = zip(frozen, assign_owners([p.size for p in frozen], world.world_size), strict=True)
        self.owner_of.update({p.name: owner for p, owner in shares})
        self.has_all_weights = True
        self.visits = 0
        for number, layer in enumerate(layers):
            # without the wrapper of train.recompute, because every layer is recomputed here anyway
            paddle_compat.replace_forward(layer, self._make_forward(number, plain_forward(layer)))

    @cached_property
    def weight_buckets(self) -> list[list[list]]:
        """Return the buckets of each layer's weights, frozen ones included."""
        return [self.make_buckets(layer) for layer in self.layers]

    @cached_property
    def gradient_buckets(self) -> list[list[list]]:
        """Return the buckets of each layer's gradients."""
        return [self.make_buckets([p for p in layer if not p.stop_gradient]) for layer in self.layers]

    @cached_property
    def replicated_buckets(self) -> list[list]:
        """Return the buckets of the trained parameters outside of the layers."""
        layer_names = {p.name for layer in self.layers for p in layer}
        return self.make_buckets([p for p in reversed(self.parameters) if p.name not in layer_names])

    @cached_property
    def buckets(self) -> list[list]:
        """Return the buckets of all gradients in the order in which they are sent, the last layer's first."""
        return [bucket for layer in reversed(self.gradient_buckets) for bucket in layer] + self.replicated_buckets

    # -------------------------------------------------------------------------------- passes
    def _make_forward(self, number: int, forward):
        """Return the function that replaces a layer's forward."""
        from paddle.distributed.fleet.utils import recompute

        def with_weights(*inputs, **named_inputs):
            self._visit(number)
            try:
                return forward(*inputs, **named_inputs)
            finally:  # the graph keeps what the backward pass needs of the weights
                self._release_weights(number)

        @functools.wraps(forward)
        def wrapped(*inputs, **named_inputs):
            if self.has_all_weights:
                return forward(*inputs, **named_inputs)
            return recompute(with_weights, *inputs, use_reentrant=False, **named_inputs)

        return wrapped

    @property
    def next_layer(self) -> int:
        """Return the number of the layer whose weights are sent next."""
        count = len(self.layers)
        return self.visits if self.visits < count else 2 * count - 1 - self.visits

    def _visit(self, number: int) -> None:
        """Receive a layer's weights. In the backward pass also send the gradients of layer number + 2."""
        if number != self.next_layer:
            raise RuntimeError(f"layer {number} of the model ran instead of layer {self.next_layer}: set train.sharding=stage2")
        if self.visits > len(self.layers) + 1:
            for bucket in self.gradient_buckets[number + 2]:
                self.reduce_bucket(bucket)
        self.visits += 1
        self._receive_weights(number)

    def finish_pass(self) -> None:
        """Send the remaining buckets of a pass. A rank without a batch first takes part in the layer visits of the others."""
        while self.visits < 2 * len(self.layers):
            number = self.next_layer
            self._visit(number)
            self._release_weights(number)
        super().finish_pass()
        self.visits = 0

    # -------------------------------------------------------------------------------- weights
    @paddle.no_grad()
    def _receive_weights(self, number: int) -> None:
        for bucket in self.weight_buckets[number]:
            for parameter, value in self.receive_from_owner(bucket):
                paddle_compat.share_buffer(value, parameter)

    def _release_weights(self, number: int) -> None:
        for parameter in self.layers[number]:
            if self.owner_of[parameter.name] != self.world.rank:
                paddle_compat.free_data(parameter)

    def gather_weights(self) -> None:
        if not self.has_all_weights:
            for number in range(len(self.layers)):
                self._receive_weights(number)
            self.has_all_weights = True

    def before_step(self) -> None:
        if self.has_all_weights:
            for number in range(len(self.layers)):
                self._release_weights(number)
            self.has_all_weights = False
