"""Choose how several processes synchronise gradients and weights."""

from __future__ import annotations

from paddle_ft.system.errors import UserError
from paddle_ft.system.world import World
from paddle_ft.training.optim import GradientSync, trained_parameters


def check_sharding(stage: str, world: World) -> None:
    """Raise UserError if train.sharding is set and there is only one process."""
    if stage != "none" and world.world_size == 1:
        raise UserError(
            f"train.sharding: {stage} shares memory among processes, so train.sharding needs several processes: --devices 0,1;"
            " or leave it at none."
        )


def unchecked_strategy(stage: str) -> str | None:
    """Return the line in which --check says that it does not try train.sharding. Return None if sharding is off."""
    if stage == "none":
        return None
    return f"sharding            {stage} is not tried: --check runs in one process"


def make_gradient_sync(world: World, model, stage: str, engine: str = "own") -> GradientSync:
    """Return how gradients and weights are synchronised: not at all in one process, else data parallel or ZeRO.

    Args:
        world: the processes that train together.
        model: the model.
        stage: train.sharding: none, stage1, stage2 or stage3.
        engine: train.sharding_engine: own, or fleet for stage1.

    Raises:
        UserError: the model cannot be sharded in this way.
    """
    if world.world_size == 1:
        return GradientSync(model)
    from paddle_ft.training.distributed.data_parallel import DataParallel
    from paddle_ft.training.distributed.sharded_layers import ShardedLayers
    from paddle_ft.training.distributed.sharding import ShardedStates

    if stage == "none":
        return DataParallel(world, model)
    count = len(trained_parameters(model))
    if count < world.world_size:
        raise UserError(f"train.sharding: {world.world_size} processes, but only {count} weights to share: set it to none.")
    if engine == "fleet":
        from paddle_ft.training.distributed.fleet_states import FleetStates

        return FleetStates(world, model)
    if stage == "stage3":
        return ShardedLayers(world, model)
    return ShardedStates(world, model, during_backward=stage == "stage2")
