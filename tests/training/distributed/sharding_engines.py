"""Train a model with each engine of stage1 and without sharding, and return the weights and states.

The model has an unused and a tied layer. Rank 0 has two batches, rank 1 has one.
"""

import paddle

from paddle_ft.training import checkpoint, optim
from paddle_ft.training.distributed.strategy import make_gradient_sync
from tests.training.distributed.sharded_sums import Model, batches


def train(world, stage: str, engine: str) -> dict:
    """Return what three steps leave: weights, gathered states by name, norms, and the number of owned parameters."""
    paddle.seed(3)
    model, norms = Model(), []
    sync = make_gradient_sync(world, model, stage, engine)
    decayed = optim.decayed_names(model)
    optimizer = sync.wrap_optimizer(
        paddle.optimizer.AdamW(0.1, parameters=sync.owned, weight_decay=0.5, apply_decay_param_fun=lambda name: name in decayed)
    )
    for _ in range(3):
        sync.before_step()
        for turn in range(2):
            sync.before_backward(turn == 1)
            if turn < len(batches(world.rank)):
                model(batches(world.rank)[turn]).backward()
            sync.after_backward()
        sync.reduce_gradients()
        norms.append(float(optim.clip_gradients(sync.owned, 1.0, sync.grad_norm(), on_cpu=True)))
        optimizer.step()
        optimizer.clear_grad(set_to_zero=False)
        sync.after_step()
        assert all(p.grad is None for p in model.parameters())
    states = sync.gather_optimizer_states(lambda: checkpoint.optimizer_arrays(model, optimizer))
    return {
        "weights": [p.tolist() for p in model.parameters()],
        "states": {name: array.tolist() for name, array in sorted(states.items())},
        "norms": norms,
        "owned": len(sync.owned),
    }


def train_with_each_engine(world):
    choices = {"none": ("none", "own"), "own": ("stage1", "own"), "fleet": ("stage1", "fleet")}
    return {name: train(world, *choice) for name, choice in choices.items()}
