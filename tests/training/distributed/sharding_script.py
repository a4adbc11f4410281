"""Run everything that test_sharding.py looks at, in two processes: to start them takes much longer than what they compute."""

import gc
import json
import sys
from pathlib import Path

from convert.paddlenlp_import import import_paddlenlp
from paddle_ft.training.distributed.process_group import init_world
from paddle_ft.training.distributed.worker import exit_worker
from tests.training.distributed.sharded_layers import measure_layers
from tests.training.distributed.sharded_sums import compare_sums
from tests.training.distributed.sharding_engines import train_with_each_engine


def main(folder: Path) -> None:
    """Write folder/NAME.RANK, a result of this rank, for each NAME."""
    import_paddlenlp()
    world = init_world()
    runs = {
        "layers": lambda: measure_layers(world),  # first, because it measures memory
        "stage1": lambda: compare_sums(world, "stage1"),
        "stage2": lambda: compare_sums(world, "stage2"),
        "engines": lambda: train_with_each_engine(world),
    }
    for name, run in runs.items():
        (folder / f"{name}.{world.rank}").write_text(json.dumps(run()))
        gc.collect()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    exit_worker()
