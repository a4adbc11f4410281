"""Run one optimizer step: collate its batches, forward and backward passes, gradient clipping, update."""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import paddle

from paddle_ft.data.batches import Batches
from paddle_ft.models import kernels
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import write_json_lines
from paddle_ft.system.runtime import on_cpu
from paddle_ft.system.world import World
from paddle_ft.tasks.base import Dataset, Task
from paddle_ft.training import optim
from paddle_ft.training.optim import GradientSync


@dataclass
class StepBatches:
    """The batches of one optimizer step on this process.

    Attributes:
        step: number of the step, from 0.
        indices: the row numbers of each batch. There is one batch for each backward pass.
        batches: the collated batches, in the same order, as `pin` returns them.
        targets: number of targets in all batches.
        tokens: number of input tokens in all batches, padding included.
        padding: how many of them are padding.
    """

    step: int
    indices: list[np.ndarray]
    batches: list[dict[str, np.ndarray]]
    targets: int
    tokens: int
    padding: int

    @property
    def samples(self) -> int:
        """Return the number of rows in all batches."""
        return sum(map(len, self.indices))


@dataclass
class StepResult:
    """The result of an optimizer step.

    Attributes:
        batches: the step's batches.
        loss: the loss summed over this process's targets, a scalar that has not been read from the device yet.
        grad_norm: norm of the gradients before clipping, a scalar on the device.
        learning_rate: of this step.
        seconds: duration of the step.
    """

    batches: StepBatches
    loss: paddle.Tensor
    grad_norm: paddle.Tensor
    learning_rate: float
    seconds: float


class Stepper:
    """Run the optimizer steps of a training by their number.

    Only weights, optimizer states and loss scale carry over from step to step. Dropout depends only on the seed and the step, the
    order and the noise of a batch only on the seed, the epoch and the batch. So a resumed run needs no random state to compute
    exactly what an uninterrupted run computes.

    Attributes:
        num_steps: optimizer steps of the whole training.
        steps_per_epoch: optimizer steps of an epoch.
    """

    def __init__(self, task: Task, train: Dataset, run: RunDirectory, world: World, sync: GradientSync | None = None):
        """Make the optimizer and the thread that collates batches.

        Args:
            task: a task with a model.
            train: the training split.
            run: the run's directory, for the rows of a step whose loss is not finite.
            world: the processes that train together.
            sync: how they synchronise gradients; default: there is one process.
        """
        self.task, self.train, self.run, self.world = task, train, run, world
        self.section, self.seed = task.config.train, task.config.seed
        section = self.section
        self.batches = Batches(
            train.lengths, section.train_batch_size, self.seed, section.group_by_length, section.max_tokens_per_batch
        )
        self.batches_per_epoch = len(self.batches)
        self.accumulation = section.gradient_accumulation_steps
        self.steps_per_epoch = -(-self.batches_per_epoch // (self.accumulation * world.world_size))
        by_epochs = math.ceil(self.steps_per_epoch * section.num_train_epochs)
        self.num_steps = section.max_steps if section.max_steps > 0 else by_epochs
        self.warmup = optim.warmup_steps(section, self.num_steps)
        self.sync = sync or GradientSync(task.model)
        self.optimizer = optim.make_optimizer(task.model, section, self.sync.owned)
        self.amp_dtype = section.amp_dtype if section.use_amp else None
        if self.amp_dtype and section.amp_level == "O2":
            _, self.optimizer = paddle.amp.decorate(  # changes the model's weights in place
                models=task.model, optimizers=self.optimizer, level="O2", dtype=self.amp_dtype
            )
        self.optimizer = self.sync.wrap_optimizer(self.optimizer)
        self.frozen_rows = optim.FrozenRows(task.bundle.frozen_rows)
        self.scaler = paddle.amp.GradScaler(enable=self.amp_dtype == "float16", init_loss_scaling=section.scale_loss)
        self.epoch_order: tuple[int, Sequence[np.ndarray]] = (-1, [])
        self.on_cpu = on_cpu()
        self.unchecked: deque[StepResult] = deque()
        self.skipped_steps = 0  # steps that float16 skipped because a gradient was not finite
        self.collating = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self.next_batches: Future[StepBatches] | None = None

    # -------------------------------------------------------------------------------- batches
    def _collate(self, step: int) -> StepBatches:
        """Collate this process's batches of a step. This runs in a thread, one step ahead."""
        epoch, step_of_epoch = divmod(step, self.steps_per_epoch)
        if self.epoch_order[0] != epoch:
            self.epoch_order = (epoch, self.batches.epoch(epoch))
        rank, world_size = self.world.rank, self.world.world_size
        per_step = self.accumulation * world_size
        numbers = range(step_of_epoch * per_step + rank, min((step_of_epoch + 1) * per_step, self.batches_per_epoch), world_size)
        indices = [self.epoch_order[1][number] for number in numbers]
        collate = self.task.train_batch or self.task.collate_fn
        batches = [
            collate(self.train, rows, np.random.default_rng([self.seed, epoch, number, 1]))
            for number, rows in zip(numbers, indices, strict=True)
        ]
        masks = [batch["attention_mask"] for batch in batches if "attention_mask" in batch]
        tokens = int(sum(mask.size for mask in masks))
        padding = tokens - int(sum(mask.sum() for mask in masks))
        targets = sum(self.task.count_targets(batch) for batch in batches)
        return StepBatches(step, indices, [pin(batch) for batch in batches], targets, tokens, padding)

    def _batches_of(self, step: int) -> StepBatches:
        """Return the batches of a step, and start collating those of the next step."""
        batches = self.next_batches.result() if self.next_batches else None
        if batches is None or batches.step != step:
            batches = self._collate(step)
        self.next_batches = self.collating.submit(self._collate, step + 1) if step + 1 < self.num_steps else None
        return batches

    def _backward_passes(self, step: int) -> int:
        """Return the number of backward passes of a step on the rank that has most."""
        first = step % self.steps_per_epoch * self.accumulation * self.world.world_size
        return min(self.accumulation, -(-(self.batches_per_epoch - first) // self.world.world_size))

    # -------------------------------------------------------------------------------- the step
    def train_step(self, step: int, stop: bool = False) -> tuple[StepResult, bool]:
        """Run one optimizer step.

        Args:
            step: number of the step, from 0.
            stop: whether this rank wants to stop after the step.

        Returns:
            The result, and whether any rank wants to stop.
        """
        started = time.perf_counter()
        batches = self._batches_of(step)
        targets, stops = self.sync.sum_over_ranks([batches.targets, float(stop)])
        paddle.seed(step_seed(self.seed, step * self.world.world_size + self.world.rank))
        section = self.section
        rate = optim.learning_rate(step, section.learning_rate, self.warmup, self.num_steps, section.lr_scheduler_type)
        self.optimizer.set_lr(rate)

        self.sync.before_step()
        loss = paddle.zeros([], dtype="float32")
        passes = self._backward_passes(step)
        for number in range(passes):  # a rank may have one batch less than others
            self.sync.before_backward(number == passes - 1)
            if number < len(batches.batches):
                loss = self._forward_backward(batches.batches[number], targets) + loss
            self.sync.after_backward()
        self.sync.reduce_gradients()
        if self.scaler.is_enable():  # after the reduction, so that all ranks see the overflow of one of them
            self.scaler.unscale_(self.optimizer)
            self.sync.agree_on_overflow(self.scaler)
        grad_norm = optim.clip_gradients(self.sync.owned, self.section.max_grad_norm, self.sync.grad_norm(), self.on_cpu)
        result = StepResult(batches, loss, grad_norm, rate, 0.0)
        self.unchecked.append(replace(result, batches=replace(batches, batches=[])))
        if self.on_cpu:  # elsewhere reading a value waits for the device, so the loop checks the steps before it logs or saves
            self.check_finite()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.clear_grad(set_to_zero=False)
        self.sync.after_step()
        self.frozen_rows.restore()
        result.seconds = time.perf_counter() - started
        return result, stops > 0

    def _forward_backward(self, batch: dict, targets: float):
        """Add the gradient of this batch's loss, divided by the step's targets. Return the summed loss, detached."""
        with self._bfloat16_on_cpu():
            with self._autocast():
                loss = self.task.loss(to_device(batch))
            self.scaler.scale(loss / max(1, targets)).backward()
        return loss.detach().astype("float32")

    def _autocast(self):
        if not self.amp_dtype or self.on_cpu:
            return contextlib.nullcontext()
        return paddle.amp.auto_cast(level=self.section.amp_level, dtype=self.amp_dtype)

    def _bfloat16_on_cpu(self):
        """Return a context in which linear layers and their gradients are computed in bfloat16, if the configuration says so."""
        return kernels.onednn.bfloat16() if self.amp_dtype and self.on_cpu else contextlib.nullcontext()

    def check_finite(self) -> None:
        """Raise UserError if the loss or gradient of a step since the last call is not finite.

        The step's rows are written to a file first. With float16 no error is raised: its loss scaling skips such a step, which is
        counted.
        """
        results = [self.unchecked.popleft() for _ in range(len(self.unchecked))]
        if self.amp_dtype == "float16":
            for result in results:
                self.skipped_steps = (~paddle.isfinite(result.grad_norm)).astype("int64") + self.skipped_steps
        elif results:
            values = paddle.stack([value for result in results for value in (result.loss, result.grad_norm)]).numpy()
            for result, (loss, grad_norm) in zip(results, values.reshape(-1, 2).tolist(), strict=True):
                if not (math.isfinite(loss) and math.isfinite(grad_norm)):
                    self._refuse_step(result.batches, loss, grad_norm)

    def _refuse_step(self, batches: StepBatches, loss: float, grad_norm: float) -> None:
        path = self.run / "bad-batch.jsonl"
        rows = [self.train.rows[i] for indices in batches.indices for i in indices]
        write_json_lines(path, rows)
        problem = f"norm of the gradient of step {batches.step + 1} is {grad_norm}, though its loss is finite"
        if not math.isfinite(loss):
            problem = f"loss of step {batches.step + 1} is {loss}"
        raise UserError(
            f"The {problem}. Its rows are in {path}. Look at them; lower train.learning_rate or raise train.warmup_steps;"
            " with train.use_amp try train.amp_dtype=bfloat16."
        )

    def pop_skipped_steps(self) -> int:
        """Return the number of steps skipped since the last call."""
        count, self.skipped_steps = int(self.skipped_steps), 0
        return count

    def close(self) -> None:
        """Stop the thread that collates batches."""
        self.collating.shutdown(wait=False, cancel_futures=True)


def step_seed(seed: int, number: int) -> int:
    """Return the random seed of a step's dropout: unrelated for neighbouring steps, the same in every run."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def pin(batch: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return a batch in the form that `to_device` takes: on a GPU tensors in pinned memory, else the arrays themselves."""
    if not paddle.get_device().startswith("gpu"):
        return batch
    return {name: paddle.to_tensor(value, place=paddle.CUDAPinnedPlace()) for name, value in batch.items()}


def to_device(batch: dict[str, Any]) -> dict[str, paddle.Tensor]:
    """Return a batch from `pin` as tensors on the current device. A copy from pinned memory is queued and not waited for."""
    return {
        name: value.cuda(blocking=False) if isinstance(value, paddle.Tensor) else paddle.to_tensor(value)
        for name, value in batch.items()
    }
