"""Measure how the speed of data parallel training grows with the number of CPU processes that share the same cores.

    python benchmarks/scaling.py [--cores 4] [--steps 20] [--repeats 3] [--processes 1 2 4]

The rows of a step are the same for every number of processes: each has its share of the batch, and its share of the cores as
threads, but at least one. The workload is the classification of benchmarks/train_speed.py. So the ratio to one process says what
the division into processes costs or brings: waiting for the slowest, sending gradients, more optimizers, smaller products. On a
machine with more cores, --cores gives the cores to use. It must be a multiple of the number of processes for a fair comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the launcher's processes do not have it

from workloads import ROOT, WORKLOADS, Collate, make_rows, make_stepper

WORKLOAD = "classification"
WARM_UP = 3  # steps that are not counted


def run_worker(target: str, batch: int, steps: int) -> None:
    """Train in one of the processes. Rank 0 writes the samples per second of all."""
    from paddle_ft.system.runtime import import_frameworks_quietly, prepare_cpu

    prepare_cpu()
    import_frameworks_quietly()
    from paddle_ft.training.distributed.process_group import init_world
    from paddle_ft.training.distributed.worker import exit_worker

    world = init_world()
    rows = make_rows(WORKLOAD, (steps + WARM_UP) * batch)
    settings = [f"train.train_batch_size={batch // world.world_size}"]
    with tempfile.TemporaryDirectory() as folder:
        stepper = make_stepper(WORKLOAD, Collate(WORKLOAD), rows, steps + WARM_UP, folder, *settings, world=world)
        for step in range(WARM_UP):
            stepper.train_step(step)
        world.barrier()
        started = time.perf_counter()
        for step in range(WARM_UP, WARM_UP + steps):
            stepper.train_step(step)
        world.barrier()
        seconds = time.perf_counter() - started
        stepper.close()
    if world.is_main:
        Path(target).write_text(json.dumps(steps * batch / seconds))
    if world.world_size > 1:
        exit_worker()


def measure(processes: int, cores: list[int], batch: int, steps: int) -> float:
    """Return the samples per second of a number of processes on these cores."""
    sys.path.insert(0, str(ROOT))
    from paddle_ft.training.distributed import launch

    with tempfile.TemporaryDirectory() as folder:
        target = f"{folder}/speed"
        command = [sys.executable, str(Path(__file__).resolve()), "--worker", target, "--batch", str(batch), "--steps", str(steps)]
        os.environ["OMP_NUM_THREADS"] = str(max(1, len(cores) // processes))
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)
        try:
            if processes == 1:
                completed = subprocess.run(command, capture_output=True, text=True)
                code, log = completed.returncode, completed.stderr
            else:
                code = launch.launch_processes(f"cpu:{processes}", command, Path(folder) / "logs")
                log = f"see the messages above; {processes} processes"
        finally:
            os.sched_setaffinity(0, before)
        if code:
            sys.exit(f"error: the training failed: {log}")
        return json.loads(Path(target).read_text())


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    available = sorted(os.sched_getaffinity(0))
    parser.add_argument("--cores", type=int, default=len(available), help=f"cores that all share (default: {len(available)})")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4], metavar="N", help="default: 1 2 4")
    parser.add_argument("--batch", type=int, default=WORKLOADS[WORKLOAD]["batch"], help="rows of a step of all processes together")
    parser.add_argument("--steps", type=int, default=20, help="steps that are timed (default: 20)")
    parser.add_argument("--repeats", type=int, default=3, help="the table has the median (default: 3)")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        run_worker(options.worker, options.batch, options.steps)
        return
    if not 1 <= options.cores <= len(available):
        parser.error(f"--cores: this process may use 1 to {len(available)} cores")
    if any(n < 1 or options.batch % n for n in options.processes):
        parser.error(f"--processes: the {options.batch} rows of a step must be divisible by each number")
    speeds: dict[int, list[float]] = {n: [] for n in options.processes}
    for _ in range(options.repeats):  # they take turns
        for n in options.processes:
            speeds[n].append(measure(n, available[: options.cores], options.batch, options.steps))
    print(f"\n{WORKLOADS[WORKLOAD]['about']}, {options.batch} rows a step, {options.cores} cores\n")
    print("| processes | threads of each | samples/s | ratio to the first |\n| ---: | ---: | ---: | ---: |")
    first = None
    for n, values in speeds.items():
        speed = statistics.median(values)
        first = first or speed
        print(f"| {n} | {max(1, options.cores // n)} | {speed:.1f} | {speed / first:.2f} |")


if __name__ == "__main__":
    main()
