"""Run a whole training, from the configuration to the report. `train` has all parts in their order."""

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

from convert.terminal import message
from paddle_ft.config.describe import to_yaml
from paddle_ft.config.schema import BaseConfig
from paddle_ft.data.rows import Rows
from paddle_ft.models.adapt import adapt_model
from paddle_ft.models.bundle import load_bundle, reload_bundle
from paddle_ft.reporting.card import write_card
from paddle_ft.reporting.page import write_report
from paddle_ft.reporting.tables import summary
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.settings import refuse_shorter
from paddle_ft.system.decisions import DECISIONS, print_decisions, unique
from paddle_ft.system.formatting import counted
from paddle_ft.system.installation import train_program
from paddle_ft.system.progress import print_info
from paddle_ft.system.runtime import cpu_settings, on_cpu, seed_everything, set_device
from paddle_ft.system.world import World, is_main_process, launched_processes
from paddle_ft.tasks import find_task
from paddle_ft.tasks.base import Dataset, Task
from paddle_ft.tasks.shared.rows import download_files, load_rows
from paddle_ft.tokenization.fit import describe_unknown
from paddle_ft.training import checkpoint, preflight, results
from paddle_ft.training import resume as resuming
from paddle_ft.training.distributed import worker
from paddle_ft.training.distributed.launch import DEVICES
from paddle_ft.training.distributed.process_group import init_world
from paddle_ft.training.distributed.strategy import check_sharding, make_gradient_sync
from paddle_ft.training.loop import TrainLoop
from paddle_ft.training.optim import describe_warmup
from paddle_ft.training.signals import Interrupted, SignalHandler
from paddle_ft.training.step import Stepper
from paddle_ft.training.stop_rule import StopRule
from paddle_ft.training.trackers import Trackers

NOT_STARTED = "the training had not started and nothing was written; give the same command again"
WITHOUT_VALIDATION = "there is no validation split (data.validation): best/ is the model after the last step"
NOTHING_SAVED = "no step was trained yet, so nothing was saved; start again with"


def train(config: BaseConfig, resume: bool = False, overwrite: bool = False, stop_rule: StopRule | None = None) -> RunDirectory:
    """Train, evaluate the best checkpoint, and write the report.

    Args:
        config: the configuration.
        resume: whether to continue the run in output_dir.
        overwrite: whether to replace the run in output_dir.
        stop_rule: ends the training after an evaluation, see training.stop_rule.

    Returns:
        The run's directory.

    Raises:
        UserError: the configuration, the data, the machine or the directory has a problem.
        Interrupted: a signal has stopped the training, after a checkpoint was saved if there was anything to save.
    """
    world = init_world()
    with (
        open_run_directory(config, resume, overwrite, world) as run,
        SignalHandler() as signals,
        preflight.explained_memory_errors(),
    ):
        start = resuming.find_start(config, run, world) if resume else resuming.Start()
        signals.has_directory = resume
        check_sharding(config.train.sharding, world)
        task = make_task(config, world)
        rows = load_rows(config, task)
        if start.checkpoint is not None:
            resuming.refuse_other_data(run, rows)
        load_model(task, rows["train"], start.checkpoint)
        data, decisions = encode(task, rows)
        sync = make_gradient_sync(world, task.model, config.train.sharding, config.train.sharding_engine)
        preflight.try_out(task, data, run, world)
        stepper = Stepper(task, data["train"], run, world, sync)  # before an old run is cleared, because this may raise
        refuse_shorter(stepper.num_steps, start.step)
        decisions += print_decisions(describe_warmup(config.train, stepper.num_steps))
        if start.checkpoint is None:
            with signals.deferred():
                start_directory(run, config, world)
                signals.has_directory = True
        run.write_texts(task.run_files())
        world.barrier()
        with Trackers(config, run.path, start.tracker_ids, enabled=world.is_main) as trackers:
            loop = TrainLoop(task, stepper, data.get("validation"), run, trackers, world, signals, stop_rule)
            if start.checkpoint:
                figures = results.resumed_results(task, data, run, decisions)
                resuming.restore(loop, start.checkpoint)
                if start.lengthened:
                    figures = resuming.lengthen(figures, config, run)
            else:
                figures = results.first_results(task, data, run, world, decisions)
            loop.fit()
            results.final_results(figures, loop, data)
        if world.is_main:
            write_report(run.path)
            write_card(run.path)
        world.barrier()
    return run


def check(config: BaseConfig) -> None:
    """Run --check: load everything, try two batches and two steps, and print examples and an estimate of the cost."""
    run = RunDirectory(config.output_dir)
    run.check_writable()
    run.release()
    with preflight.explained_memory_errors():
        task = make_task(config, World())
        rows = load_rows(config, task)
        load_model(task, rows["train"])
        preflight.check(task, encode(task, rows)[0])


def run_training(config: BaseConfig, resume: bool, overwrite: bool, imports: Sequence[str] = ()) -> int:
    """Train, and print the summary, or after an interruption the command that resumes the training or starts it again.

    Args:
        config: the configuration.
        resume: whether to continue the run in output_dir.
        overwrite: whether to replace the run in output_dir.
        imports: the user's modules of --import, for that command.

    Returns:
        The exit code. A process that a launcher started exits instead of returning.
    """
    exit_code = 0
    try:
        run = train(config, resume, overwrite)
    except Interrupted as interruption:
        if launched_processes() > 1:  # everything is saved; a repeated signal must not change the exit code
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        hint = continuation_hint(config, imports, interruption)
        print(message(f"\nstopped by {interruption}; {hint}"), file=sys.stderr)
        exit_code = interruption.exit_code
    else:
        if is_main_process():
            print(summary(run.path))
    if launched_processes() > 1:
        worker.exit_worker(exit_code)
    return exit_code


def continuation_hint(config: BaseConfig, imports: Sequence[str], interruption: Interrupted) -> str:
    """Return the part of a message that says how to go on with an interrupted training, or how to start it again."""
    folder = Path(config.output_dir).expanduser()
    if not interruption.has_directory:
        return NOT_STARTED
    what, flag = ("resume with", "--resume") if checkpoint.has_checkpoint(folder) else (NOTHING_SAVED, "--overwrite")
    devices = f" --devices {os.environ[DEVICES]}" if DEVICES in os.environ else ""
    modules = "".join(f" --import {module}" for module in imports)
    return f"{what}:\n  {train_program()} --config {shlex.quote(str(folder / 'config.yaml'))} {flag}{devices}{modules}"


# ---------------------------------------------------------------------------------------------------- parts
def make_task(config: BaseConfig, world: World) -> Task:
    """Set the device, make the task, and download the files that data and model need."""
    device = paddle.get_device() if world.world_size > 1 else set_device(config.device)  # a process group has set it already
    processes = [f"{world.world_size} processes"] if world.world_size > 1 else []
    print_info(", ".join([f"device: {device}", *processes, *(cpu_settings() if on_cpu() else [])]))
    preflight.check_precision(config)
    task = find_task(config.task.name)(config)
    if world.is_main:
        download_files(config, task.head_type)
    world.barrier()
    return task


def load_model(task: Task, train_rows: Rows, checkpoint: Path | None = None) -> None:
    """Load or build the task's model, and prepare it for training. A resumed run loads it from `checkpoint`."""
    seed_everything(task.config.seed)
    with tempfile.TemporaryDirectory(prefix="paddle_ft-") as folder:
        if checkpoint is not None:
            bundle = reload_bundle(task.head_type, checkpoint)
        else:
            bundle = load_bundle(task.config.model, task.model_request(train_rows), Path(folder))
    task.set_model(adapt_model(bundle, task.config, for_training=True))
    if checkpoint is None:
        bundle.decisions += task.model_decisions()
    print_decisions(bundle.decisions)


def encode(task: Task, rows: dict[str, Rows]) -> tuple[dict[str, Dataset], list[str]]:
    """Encode the rows of every split, and print how many there are.

    Returns:
        The data set of each split, and all decisions (see system.decisions): of the rows, the loaded model and the data sets.
    """
    data = {split: task.encode(loaded, split) for split, loaded in rows.items()}
    data["train"].decide(*describe_unknown(data["train"].columns, len(data["train"]), task.tokenizer))
    if "validation" not in data:
        data["train"].decide(WITHOUT_VALIDATION)
    known = unique(*(loaded.decisions for loaded in rows.values()), task.bundle.decisions)  # printed already
    decisions = unique(known, *(dataset.info.pop(DECISIONS, []) for dataset in data.values()))
    for split, dataset in data.items():
        dataset.info["fingerprint"] = rows[split].fingerprint()
        for line in (describe_data(dataset, len(rows[split].files)), *task.header_lines(dataset)):
            print_info(f"{split}: {line}")
    print_decisions(decision for decision in decisions if decision not in known)
    return data, decisions


def describe_data(dataset: Dataset, num_files: int = 1) -> str:
    """Return one line about a split: rows, truncated rows, bad rows. `num_files` is the number of files that it was read from."""
    info = dict(dataset.info)
    parts = [counted(info.pop("rows"), "rows") + (f" from {num_files:,} files" if num_files > 1 else "")]
    for name in [n for n in info if n.startswith("truncated_") and not n.endswith("_share")]:
        if info[name]:
            parts.append(f"{info[name]:,} cut at max_{name.removeprefix('truncated_')}_length ({info[name + '_share']:.1%})")
    if info.get("bad_rows"):
        parts.append(counted(info["bad_rows"], "bad rows skipped"))
    return ", ".join(parts)


@contextlib.contextmanager
def open_run_directory(config: BaseConfig, resume: bool, overwrite: bool, world: World) -> Iterator[RunDirectory]:
    """Lock the run's directory while the block runs. Only rank 0 writes into it."""
    if world.is_main:
        run = RunDirectory.open_for_training(config.output_dir, resume, overwrite)
    else:
        run = RunDirectory(config.output_dir, silent=True)
    try:
        yield run
    finally:
        run.release()


def start_directory(run: RunDirectory, config: BaseConfig, world: World) -> None:
    """Remove an old run from the directory, and write the configuration of the new one."""
    if world.is_main:
        run.clear()
    run.write_config(to_yaml(config))
