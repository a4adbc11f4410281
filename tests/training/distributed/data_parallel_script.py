"""Compare sums that are sent during the backward pass with sums that are sent after it. Run in two processes.

The model has an unused and a tied layer. Rank 0 has two batches, rank 1 has one. Buckets have 64 elements or a little more.
"""

import json
import sys

import paddle

from paddle_ft.training.distributed.data_parallel import DataParallel
from paddle_ft.training.distributed.process_group import init_world
from paddle_ft.training.distributed.worker import exit_worker
from tests.training.distributed.sharded_sums import Model, batches


def gradients(sync, model, rank) -> list:
    """Return the summed gradients of a step with two backward passes."""
    for turn in range(2):
        sync.before_backward(turn == 1)
        if turn < len(batches(rank)):
            model(batches(rank)[turn]).backward()
        sync.after_backward()
    sync.reduce_gradients()
    found = [None if p.grad is None else p.grad.tolist() for p in model.parameters()]
    model.clear_gradients(set_to_zero=False)
    return found


def main(target):
    world = init_world()
    paddle.seed(3)
    model = Model()
    sync = DataParallel(world, model, bucket_size=64)
    result = {"gradients": [], "sent_early": [], "overlaps": []}
    for step in range(3):
        model.freed.clear()
        if step == 2:
            sync.overlaps = False
        result["gradients"].append(gradients(sync, model, world.rank))
        result["sent_early"].append(list(model.freed))
        result["overlaps"].append(sync.overlaps)
    result["buckets"] = len(sync.buckets)
    with open(f"{target}.{world.rank}", "w") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main(sys.argv[1])
    exit_worker()
