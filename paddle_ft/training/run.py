"""A training from the configuration to the report. `train` reads from top to bottom what happens in which order."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import paddle

from paddle_ft.config.describe import to_yaml
from paddle_ft.config.schema import BaseConfig
from paddle_ft.data.rows import Rows
from paddle_ft.models.adapt import adapt_model
from paddle_ft.models.bundle import load_bundle, reload_bundle
from paddle_ft.reporting.page import write_report
from paddle_ft.reporting.tables import summary
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.progress import print_info
from paddle_ft.system.runtime import cpu_settings, on_cpu, seed_everything, set_device
from paddle_ft.system.world import World, is_main_process, launched_processes
from paddle_ft.tasks import find_task
from paddle_ft.tasks.base import Dataset, Task
from paddle_ft.tasks.shared.rows import download_files, load_rows
from paddle_ft.training import preflight, results
from paddle_ft.training import resume as resuming
from paddle_ft.training.distributed import worker
from paddle_ft.training.distributed.launch import CODE_FOLDER, DEVICES
from paddle_ft.training.distributed.process_group import init_world
from paddle_ft.training.distributed.strategy import check_sharding, make_gradient_sync
from paddle_ft.training.loop import TrainLoop
from paddle_ft.training.signals import Interrupted, SignalHandler
from paddle_ft.training.step import Stepper
from paddle_ft.training.trackers import Trackers


def train(config: BaseConfig, resume: bool = False, overwrite: bool = False) -> RunDirectory:
    """Train, score the best checkpoint and write the report. Return the run's directory.

    Raises:
        UserError: something is wrong with configuration, data, machine or directory.
        Interrupted: a signal came; a checkpoint has been saved.
    """
    world = init_world()
    with opened_run(config, resume, overwrite, world) as run, SignalHandler() as signals, preflight.explained_memory_errors():
        start = resuming.find_start(config, run, world) if resume else resuming.Start()
        check_sharding(config.train.sharding, world)
        task = make_task(config, world)
        rows = load_rows(config, task)
        load_model(task, rows["train"], start.checkpoint)
        data = encode(task, rows)
        sync = make_gradient_sync(world, task.model, config.train.sharding)
        preflight.try_out(task, data, run, world)
        stepper = Stepper(task, data["train"], run, world, sync)  # may refuse settings: so before an old run is cleared
        if start.checkpoint is None:
            start_directory(run, config, world)
        run.write_texts(task.run_files())
        world.barrier()
        with Trackers(config, run.path, start.tracker_ids, enabled=world.is_main) as trackers:
            figures = (run.results() if start.checkpoint else {}) or results.first_results(task, data, run, world)
            loop = TrainLoop(task, stepper, data.get("validation"), run, trackers, world, signals)
            if start.checkpoint:
                resuming.restore(loop, start.checkpoint)
            loop.fit()
            results.final_results(figures, loop, data)
        if world.is_main:
            write_report(run.path)
        world.barrier()
    return run


def check(config: BaseConfig) -> None:
    """--check: load everything, try it out, and print what the model sees and what a training will cost."""
    run = RunDirectory(config.output_dir)
    run.check_writable()
    run.release()
    with preflight.explained_memory_errors():
        task = make_task(config, World())
        rows = load_rows(config, task)
        load_model(task, rows["train"])
        preflight.check(task, encode(task, rows))


def run_training(config: BaseConfig, resume: bool, overwrite: bool, imports: Sequence[str] = ()) -> int:
    """Train, and print the summary or how to go on after an interruption.

    Args:
        imports: the user's modules of --import, for the command that goes on.

    Returns:
        The exit code. A process started by a launcher does not return: it exits.
    """
    exit_code = 0
    try:
        run = train(config, resume, overwrite)
    except Interrupted as stop:
        if launched_processes() > 1:  # all is saved: a launcher that sends the signal again must not change the exit code
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(f"\nstopped by {stop}; {resume_hint(config, imports)}", file=sys.stderr)
        exit_code = stop.exit_code
    else:
        if is_main_process():
            print(summary(run.path))
    if launched_processes() > 1:
        worker.exit_worker(exit_code)
    return exit_code


def resume_hint(config: BaseConfig, imports: Sequence[str]) -> str:
    """Return the command that resumes an interrupted training."""
    saved = Path(config.output_dir).expanduser() / "config.yaml"
    if not saved.exists():
        return "the training had not begun and nothing was written"
    devices = f" --devices {os.environ[DEVICES]}" if DEVICES in os.environ else ""
    modules = "".join(f" --import {module}" for module in imports)
    script = CODE_FOLDER / "train.py"  # not in the working directory where the user's files lie in a folder of their own
    program = f"python {shlex.quote(os.path.relpath(script))}" if script.is_file() else "python -m paddle_ft train"
    return f"go on with:\n  {program} --config {shlex.quote(str(saved))} --resume{devices}{modules}"


# ---------------------------------------------------------------------------------------------------- the parts
def make_task(config: BaseConfig, world: World) -> Task:
    """Choose the device, make the task, and fetch the files that data and model need."""
    device = paddle.get_device() if world.world_size > 1 else set_device(config.device)  # a process group has chosen it
    processes = [f"{world.world_size} processes"] if world.world_size > 1 else []
    print_info(", ".join([f"device: {device}", *processes, *(cpu_settings() if on_cpu() else [])]))
    preflight.check_precision(config)
    task = find_task(config.task.name)(config)
    if world.is_main:
        download_files(config, task.head_type)
    world.barrier()
    return task


def load_model(task: Task, train_rows: Rows, checkpoint: Path | None = None) -> None:
    """Load or build the task's model and prepare it for training. `checkpoint`: where to load it from to go on with a run."""
    seed_everything(task.config.seed)
    with tempfile.TemporaryDirectory(prefix="paddle_ft-") as folder:
        if checkpoint is not None:
            bundle = reload_bundle(task.head_type, checkpoint)
        else:
            bundle = load_bundle(task.config.model, task.model_request(train_rows), Path(folder))
    task.set_model(adapt_model(bundle, task.config, for_training=True))


def encode(task: Task, rows: dict[str, Rows]) -> dict[str, Dataset]:
    """Encode the rows of every split, and print their facts."""
    data = {split: task.encode(loaded, split) for split, loaded in rows.items()}
    for split, dataset in data.items():
        print_info(f"{split}: {describe_data(dataset)}")
    return data


def describe_data(dataset: Dataset) -> str:
    """Return a split's facts in one line: rows, rows that were cut, bad rows."""
    info = dict(dataset.info)
    parts = [f"{info.pop('rows'):,} rows"]
    for name in [n for n in info if n.startswith("truncated_") and not n.endswith("_share")]:
        if info[name]:
            parts.append(f"{info[name]:,} cut at max_{name.removeprefix('truncated_')}_length ({info[name + '_share']:.1%})")
    if info.get("bad_rows"):
        parts.append(f"{info['bad_rows']} bad rows skipped")
    return ", ".join(parts)


@contextlib.contextmanager
def opened_run(config: BaseConfig, resume: bool, overwrite: bool, world: World) -> Iterator[RunDirectory]:
    """Hold the run's directory while the block runs; only rank 0 writes into it."""
    if world.is_main:
        run = RunDirectory.open_for_training(config.output_dir, resume, overwrite)
    else:
        run = RunDirectory(config.output_dir, silent=True)
    try:
        yield run
    finally:
        run.release()


def start_directory(run: RunDirectory, config: BaseConfig, world: World) -> None:
    """Remove an old run from the directory and write the configuration of this one."""
    if world.is_main:
        run.clear()
    run.write_config(to_yaml(config))
