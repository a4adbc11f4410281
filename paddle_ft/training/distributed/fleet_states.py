"""Implement train.sharding_engine=fleet: stage1 with Paddle's DygraphShardingOptimizer.

Paddle divides the parameters among the ranks, sums the gradients at their owners and sends the updated weights to all ranks. It
averages over ranks, so that the sums are the averages times the number of ranks. Everything else is as with our own engine.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import paddle
from paddle.distributed import fleet
from paddle.distributed.fleet.meta_optimizers.dygraph_optimizer import DygraphShardingOptimizer
from paddle.distributed.fleet.utils.log_util import logger

from paddle_ft.system import paddle_compat
from paddle_ft.training.distributed.data_parallel import broadcast_parameters, names_without_gradient
from paddle_ft.training.distributed.process_group import ProcessGroup
from paddle_ft.training.distributed.sharding import OwnedStates
from paddle_ft.training.optim import trained_parameters


class FleetOptimizer(DygraphShardingOptimizer):
    """Paddle's optimizer, whose errors of connections are explained."""

    def __init__(self, optimizer: Any, groups: Any, world: ProcessGroup):
        super().__init__(optimizer, groups)
        self.world = world

    def step(self) -> None:
        """Update the weights that this rank owns, and send them to all ranks."""
        with self.world.collective():
            super().step()


class FleetStates(OwnedStates):
    """Let Paddle sum gradients at the owners of the parameters, and send the updated weights from them.

    Attributes:
        groups: Paddle's process groups.
    """

    def __init__(self, world: ProcessGroup, model):
        self.world, self.model, self.parameters = world, model, trained_parameters(model)
        self.owned = self.parameters  # the optimizer is made for all of them, and Paddle then leaves it those of this rank
        self.no_grad_names = None
        strategy = fleet.DistributedStrategy()
        strategy.hybrid_configs = {"dp_degree": 1, "mp_degree": 1, "pp_degree": 1, "sharding_degree": world.world_size}
        with quiet(), world.collective():
            fleet.init(is_collective=True, strategy=strategy, log_level="ERROR")  # it sets the level itself
        self.groups = fleet.get_hybrid_communicate_group()
        broadcast_parameters(world, model)

    def wrap_optimizer(self, optimizer):
        with quiet():
            self.optimizer = FleetOptimizer(optimizer, self.groups, self.world)
        own = {parameter.name for parameter in paddle_compat.optimizer_parameters(optimizer)}
        self.owned = [parameter for parameter in self.parameters if parameter.name in own]
        return self.optimizer

    def reduce_gradients(self) -> None:
        names = {p.name for p in self.parameters if p.grad is not None}
        if self.no_grad_names is None:
            self.no_grad_names = names_without_gradient(self.world, self.parameters, names)
        if self.no_grad_names & names:
            raise RuntimeError("a parameter that had no gradient in the first step has one now")
        summed = [p for p in self.parameters if p.name not in self.no_grad_names]
        with self.world.collective():
            self.optimizer.reduce_gradients(summed, self.groups)
        with paddle.no_grad():
            for parameter in self.owned:
                if parameter.grad is not None:
                    parameter.grad.scale_(float(self.world.world_size))

    def gather_optimizer_states(self, collect: Callable[[], dict]) -> dict:
        """Return the states as our own engine does. Paddle also has states, zeros, for parameters without a gradient."""
        unused = {name for name, p in self.model.named_parameters() if p.name in (self.no_grad_names or ())}
        states = super().gather_optimizer_states(collect)
        return {name: state for name, state in states.items() if name.partition("::")[0] not in unused}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Leave out what Paddle says about its process groups while a block runs."""
    level = logger.level
    logger.setLevel("ERROR")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
