"""Compare the sums of ShardedStates with plain sums, on a model with an unused and a tied layer.

Rank 0 has two batches, rank 1 has one. Buckets have only 64 elements, so that some are sent during the backward pass.
"""

import paddle

from paddle_ft.training import checkpoint
from paddle_ft.training.distributed.data_parallel import DataParallel
from paddle_ft.training.distributed.sharding import ShardedStates

SIZES = [(6, 8), (8, 8), (8, 8), (8, 3)]  # the third is never used, the first is used twice


class Model(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.layers = paddle.nn.LayerList([paddle.nn.Linear(*size) for size in SIZES])
        self.freed = []  # for every batch: is the last layer's gradient freed before the first layer's is computed?

    def forward(self, x):
        first, second, _, last = self.layers
        x = paddle.tanh(first(x))
        x.register_hook(lambda gradient: self.freed.append(last.weight.grad is None))
        return last(paddle.tanh(second(x))).sum() + paddle.matmul(x, first.weight, transpose_y=True).square().sum()


def batches(rank):
    paddle.seed(7)
    all_batches = [paddle.randn([5, 6]) for _ in range(3)]
    return [all_batches[0], all_batches[2]] if rank == 0 else [all_batches[1]]


def compare_sums(world, stage):
    paddle.seed(3)
    model, plain = Model(), Model()
    plain.set_state_dict(model.state_dict())
    for batch in batches(world.rank):
        plain(batch).backward()
    DataParallel(world, plain).reduce_gradients()

    shards = ShardedStates(world, model, during_backward=stage == "stage2", bucket_size=64)
    optimizer = paddle.optimizer.AdamW(0.1, parameters=shards.owned)
    differences, norms, freed = [], [], []
    for _ in range(2):  # the first pass learns which parameters get no gradient
        model.freed.clear()
        for turn in range(2):
            if turn < len(batches(world.rank)):
                model(batches(world.rank)[turn]).backward()
            shards.after_backward()
        shards.reduce_gradients()
        names = {p.name: q.grad for p, q in zip(model.parameters(), plain.parameters(), strict=True)}
        differences.append(max(float((p.grad - names[p.name]).abs().max()) for p in shards.owned if p.grad is not None))
        assert [p.grad is None for p in shards.owned] == [any(p is q for q in model.layers[2].parameters()) for p in shards.owned]
        squares = [q.grad.square().sum() for q in plain.parameters() if q.grad is not None]
        norms.append([float(shards.grad_norm()), float(sum(squares) ** 0.5)])
        freed.append(all(model.freed))
        optimizer.clear_grad(set_to_zero=False)
    assert all(p.grad is None for p in model.parameters())
    for parameter in shards.owned:
        parameter.grad = paddle.ones_like(parameter)
    optimizer.step()
    shards.after_step()
    owned_states = checkpoint.optimizer_arrays(model, optimizer)
    gathered_states = shards.gather_optimizer_states(lambda: owned_states)
    weights = world.all_gather([[float(p.sum()) for p in model.parameters()]], world.world_size)
    return {"differences": differences, "norms": norms, "freed": freed, "weights": weights, "owned": len(shards.owned),
            "owned_states": len(owned_states), "gathered_states": sorted(gathered_states),
            "parameters": len(model.parameters())}  # fmt: skip
