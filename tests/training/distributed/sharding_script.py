"""Run in two processes by test_sharding: the sums of Shards beside plain sums, on a model with an unused and a tied layer.

Process 0 has two batches, process 1 one. Buckets of 64 elements, so that they leave while the backward pass still runs.
"""

import json
import sys

import paddle

from paddle_ft.training import checkpoint
from paddle_ft.training.distributed import process_group as distributed
from paddle_ft.training.distributed.sharding import Shards

SIZES = [(6, 8), (8, 8), (8, 8), (8, 3)]  # the third is never used, the first is used twice


class Model(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.layers = paddle.nn.LayerList([paddle.nn.Linear(*size) for size in SIZES])
        self.freed = []  # of every batch: is the last layer's gradient gone before the first layer's is there?

    def forward(self, x):
        first, second, _, last = self.layers
        x = paddle.tanh(first(x))
        x.register_hook(lambda gradient: self.freed.append(last.weight.grad is None))
        return last(paddle.tanh(second(x))).sum() + paddle.matmul(x, first.weight, transpose_y=True).square().sum()


def batches(rank):
    paddle.seed(7)
    every = [paddle.randn([5, 6]) for _ in range(3)]
    return [every[0], every[2]] if rank == 0 else [every[1]]


def main(stage, target):
    world = distributed.join()
    paddle.seed(3)
    model, plain = Model(), Model()
    plain.set_state_dict(model.state_dict())
    for batch in batches(world.rank):
        plain(batch).backward()
    distributed.sum_gradients(world, plain.parameters())

    shards = Shards(world, model.parameters(), early=stage == "stage2", bucket=64)
    optimizer = paddle.optimizer.AdamW(0.1, parameters=shards.mine)
    differences, norms, freed = [], [], []
    for _ in range(2):  # the first pass learns which parameters get no gradient
        model.freed.clear()
        for turn in range(2):
            if turn < len(batches(world.rank)):
                model(batches(world.rank)[turn]).backward()
            if shards.early:
                shards.send()
        if not shards.early:
            shards.send()
        shards.collect()
        names = {p.name: q.grad for p, q in zip(model.parameters(), plain.parameters(), strict=True)}
        differences.append(max(float((p.grad - names[p.name]).abs().max()) for p in shards.mine if p.grad is not None))
        assert [p.grad is None for p in shards.mine] == [any(p is q for q in model.layers[2].parameters()) for p in shards.mine]
        norms.append([float(shards.norm()), float(sum(q.grad.square().sum() for q in plain.parameters()) ** 0.5)])
        freed.append(all(model.freed))
        optimizer.clear_grad(set_to_zero=False)
    assert all(p.grad is None for p in model.parameters())
    for parameter in shards.mine:
        parameter.grad = paddle.ones_like(parameter)
    optimizer.step()
    shards.spread()
    own = checkpoint.optimizer_arrays(model, optimizer)
    whole = shards.gather_states(own)
    weights = world.gather([[float(p.sum()) for p in model.parameters()]], world.size)
    result = {"differences": differences, "norms": norms, "freed": freed, "weights": weights, "mine": len(shards.mine),
              "own": len(own), "whole": sorted(whole), "all": len(model.parameters())}  # fmt: skip
    with open(f"{target}.{world.rank}", "w") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
