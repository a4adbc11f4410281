"""Find problems before a long training starts: the checks before every training, and --check."""

from __future__ import annotations

import contextlib
import tempfile
import time

import numpy as np

from paddle_ft.config.schema import BaseConfig
from paddle_ft.models import kernels
from paddle_ft.models.lora import count_parameters
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.decisions import print_decisions
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import format_duration, is_number
from paddle_ft.system.plugins import import_hint
from paddle_ft.system.runtime import on_cpu, peak_memory_mb, peak_tensor_memory_mb, reset_peak_tensor_memory
from paddle_ft.system.world import World
from paddle_ft.tasks.base import Dataset, Scores, Task
from paddle_ft.tasks.shared.evaluate import evaluate
from paddle_ft.training import checkpoint
from paddle_ft.training.distributed.strategy import unchecked_strategy
from paddle_ft.training.optim import describe_warmup
from paddle_ft.training.step import Stepper


def try_out(task: Task, data: dict[str, Dataset], run: RunDirectory, world: World, batches: int = 1) -> dict[str, float]:
    """Evaluate the first batches of each split, and check eval.best_metric and the disk space.

    Args:
        task: a task with a model.
        data: the data set of each split.
        run: the run's directory.
        world: the processes that train together.
        batches: number of batches.

    Returns:
        Split -> seconds for its batches.

    Raises:
        UserError: eval.best_metric is not computed, or the checkpoints do not fit on the disk.
    """
    config, seconds = task.config, {}
    for split, dataset in data.items():
        if split == "train":
            continue
        scores, seconds[split] = evaluate_batches(task, dataset, world, batches)
        best_metric = config.eval.best_metric or task.best_metric
        metrics = [name for name, value in scores.metrics.items() if is_number(value)]
        if split == "validation" and best_metric not in metrics:
            raise UserError(
                f"eval.best_metric: {best_metric!r} is not a metric of {task.name}; it reports {', '.join(metrics)}."
                + import_hint("a metric")
            )
    if "validation" not in data:
        needing = [n for n in ("best_metric", "early_stopping_patience") if getattr(config.eval, n) is not None]
        if needing:
            names = " and ".join(f"eval.{name}" for name in needing)
            raise UserError(f"{names}: there is no validation split to choose or stop by: set data.validation.")
    count, trained = count_parameters(task.model)
    checkpoint.check_space(run.path, count, config.train.keep_checkpoints, trained)
    return seconds


def evaluate_batches(task: Task, dataset: Dataset, world: World, batches: int) -> tuple[Scores, float]:
    """Evaluate the first batches, so that a broken evaluation fails before the training. Return scores and seconds."""
    started = time.perf_counter()
    rows = dataset.take(np.arange(min(len(dataset), batches * task.config.eval.eval_batch_size)))
    scores = evaluate(task, rows, f"try {'a batch' if batches == 1 else f'{batches} batches'} of {dataset.split}", world)
    return scores, time.perf_counter() - started


def check_precision(config: BaseConfig) -> None:
    """Raise UserError for mixed precision on a CPU, except bfloat16 on a processor that has it."""
    section = config.train
    if not (section.use_amp and on_cpu()):
        return
    if section.amp_dtype != "bfloat16" or section.amp_level != "O1":
        raise UserError(
            "train.use_amp: a CPU has no float16, and its weights stay in float32. Leave it off, or set train.amp_dtype=bfloat16"
            " and train.amp_level=O1, or device=gpu on a GPU machine."
        )
    if section.compile:
        raise UserError("train.use_amp: on a CPU it does not go with train.compile, whose layers are Paddle's own. Leave one off.")
    if not kernels.has_bfloat16():
        raise UserError(
            "train.use_amp: this processor does not compute in bfloat16 (it has neither avx512_bf16 nor amx_bf16), or Paddle has no"
            " oneDNN here. Leave it off, or set device=gpu on a GPU machine."
        )


def check(task: Task, data: dict[str, Dataset]) -> None:
    """Evaluate two batches, train two steps, and print examples and an estimate of time and memory."""
    config, train = task.config, data["train"]
    print(f"\nexamples as the model sees them\n\n{task.preview(train)}\n")
    count, trained = count_parameters(task.model)
    print(f"parameters          {count:,}" + (f", of them trained {trained:,}" if trained < count else ""))

    with tempfile.TemporaryDirectory() as folder:
        run, evaluation_seconds = RunDirectory(folder), 0.0
        for split, seconds in try_out(task, data, run, World(), batches=2).items():
            batches = -(-len(data[split]) // config.eval.eval_batch_size)
            if split == "validation":
                evaluation_seconds = seconds / min(2, batches) * batches
            print(f"two batches         {split} evaluated in {seconds:.1f} s")

        task.model.train()
        stepper = Stepper(task, train, run, World())
        print_decisions(describe_warmup(config.train, stepper.num_steps))
        reset_peak_tensor_memory()  # the evaluation above may have used more
        first, _ = stepper.train_step(0)
        second, _ = stepper.train_step(1)
        stepper.check_finite()
        stepper.close()
    print(
        f"one training step   loss {float(first.loss) / first.batches.targets:.4f}, {first.seconds:.2f} s,"
        f" the next {second.seconds:.2f} s"
    )
    print(f"steps               {stepper.num_steps:,} ({stepper.steps_per_epoch:,} an epoch)")
    training, evaluation = format_duration(second.seconds * stepper.num_steps), format_duration(evaluation_seconds)
    print(f"estimated training  {training}, and {evaluation} an evaluation")
    print(f"memory              {describe_memory(count, trained, [*first.batches.indices, *second.batches.indices], train)}")
    note = unchecked_strategy(config.train.sharding)
    if note:
        print(note)
    print("\ncheck passed: everything loads, evaluates and trains")


def describe_memory(count: int, trained: int, batches: list[np.ndarray], data: Dataset) -> str:
    """Return how much memory the training steps took.

    Args:
        count: parameters of the model.
        trained: how many of them are trained. Each has a weight, a gradient and two moments of AdamW, of 4 bytes each.
        batches: the row numbers of each batch of the steps.
        data: the split that the rows are from.
    """
    tensors, states = peak_tensor_memory_mb(), (count * 4 + trained * 12) / 1e6
    rows, longest = max(map(len, batches)), max(data.lengths[row] for batch in batches for row in batch)
    process = f"; with libraries and data this process holds {peak_memory_mb():,.0f} MB" if on_cpu() else ""
    return (
        f"{tensors:,.0f} MB for the tensors of a step: {states:,.0f} MB are weights, gradients and AdamW's states, the rest is"
        f" for {rows} rows of up to {longest} tokens{process}"
    )


@contextlib.contextmanager
def explained_memory_errors():
    """Turn an out-of-memory error of the device or the host into a UserError with advice."""
    try:
        yield
    except (MemoryError, RuntimeError, SystemError, OSError) as error:
        text = str(error)
        if not (isinstance(error, MemoryError) or "ResourceExhausted" in text or "out of memory" in text.lower()):
            raise
        raise UserError(
            "out of memory. Lower train.train_batch_size and raise train.gradient_accumulation_steps by the same factor (the"
            " result stays the same); lower the task's max lengths; set train.recompute=true; set train.use_amp=true on a GPU. If"
            " it happened in evaluation: lower eval.eval_batch_size or generation.num_beams."
        ) from None
