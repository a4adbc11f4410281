"""One optimizer step: the rows it takes, their batches, forward and backward passes, clipping, update."""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import paddle

from paddle_ft.data.batches import Batches
from paddle_ft.models.compiled import compile_stacks
from paddle_ft.runs.directory import RunDir, to_json, write_atomically
from paddle_ft.system.errors import UserError
from paddle_ft.system.runtime import on_cpu
from paddle_ft.system.world import World
from paddle_ft.tasks.base import Dataset, Task
from paddle_ft.training import optim
from paddle_ft.training.distributed import process_group as distributed
from paddle_ft.training.distributed.sharding import make_shards


@dataclass
class Work:
    """What one optimizer step of this process computes on: rows and batches, their targets, how much of them is padding."""

    step: int
    rows: list[np.ndarray]
    batches: list[dict[str, np.ndarray]]
    targets: int
    tokens: int
    padding: int

    @property
    def samples(self) -> int:
        return sum(map(len, self.rows))


@dataclass
class Done:
    """What a step was: its work, the sum of its loss (not yet read from the device), and figures to log."""

    work: Work
    loss: paddle.Tensor
    grad_norm: paddle.Tensor
    learning_rate: float
    seconds: float


class Stepper:
    """Takes steps by number. Nothing in it depends on the steps before but weights, optimizer and loss scale.

    Dropout of step n depends on (seed, n) alone, order and noise of a batch on (seed, epoch, batch) alone: a resumed run
    repeats no random state and still computes what the run never stopped computes.
    """

    def __init__(self, task: Task, train: Dataset, run: RunDir, world: World):
        self.task, self.train, self.run, self.world = task, train, run, world
        self.section, self.seed = task.config.train, task.config.seed
        section = self.section
        self.batches = Batches(
            train.lengths, section.train_batch_size, self.seed, section.group_by_length, section.max_tokens_per_batch
        )
        self.accumulation = section.gradient_accumulation_steps
        self.steps_per_epoch = -(-len(self.batches) // (self.accumulation * world.size))
        self.total = section.max_steps if section.max_steps > 0 else math.ceil(self.steps_per_epoch * section.num_train_epochs)
        self.warmup = optim.warmup_steps(section, self.total)
        self.shards = make_shards(world, task.model, section.sharding)
        self.optimizer = optim.make_optimizer(task.model, section, self.shards.mine if self.shards else None)
        self.parameters = [p for p in task.model.parameters() if not p.stop_gradient]
        self.silent: list | None = None  # those of them that get no gradient
        distributed.broadcast_weights(world, task.model)
        self.half = section.amp_dtype if section.use_amp else None
        if self.half and section.amp_level == "O2":
            _, self.optimizer = paddle.amp.decorate(  # changes the model's weights in place
                models=task.model, optimizers=self.optimizer, level="O2", dtype=self.half
            )
        self.frozen = optim.frozen_rows(task.model)
        if section.compile:
            compile_stacks(task.model)
        self.scaler = paddle.amp.GradScaler(enable=self.half == "float16", init_loss_scaling=section.scale_loss)
        self.order: tuple[int, list] = (-1, [])
        self.on_host = on_cpu()
        self.unchecked: deque[Done] = deque()
        self.skipped = 0  # steps that float16 left out because the gradient was not finite
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self.ahead: Future[Work] | None = None

    # -------------------------------------------------------------------------------- the rows of a step
    def _prepare(self, step: int) -> Work:
        """Collates this process's batches of a step. Runs on the worker thread, one step ahead."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if self.order[0] != epoch:
            self.order = (epoch, self.batches.epoch(epoch))
        share = self.accumulation * self.world.size
        numbers = range(place * share + self.world.rank, min((place + 1) * share, len(self.batches)), self.world.size)
        rows = [self.order[1][number] for number in numbers]
        batches = [
            self.task.collate(self.train, indices, np.random.default_rng([self.seed, epoch, number, 1]))
            for number, indices in zip(numbers, rows, strict=True)
        ]
        masks = [batch["attention_mask"] for batch in batches if "attention_mask" in batch]
        tokens = int(sum(mask.size for mask in masks))
        padding = tokens - int(sum(mask.sum() for mask in masks))
        return Work(step, rows, batches, sum(self.task.count_targets(batch) for batch in batches), tokens, padding)

    def _turns(self, step: int) -> int:
        """How many backward passes a step takes in the process that has most."""
        first = step % self.steps_per_epoch * self.accumulation * self.world.size
        return min(self.accumulation, -(-(len(self.batches) - first) // self.world.size))

    def _work(self, step: int) -> Work:
        work = self.ahead.result() if self.ahead else None
        if work is None or work.step != step:
            work = self._prepare(step)
        self.ahead = self.worker.submit(self._prepare, step + 1) if step + 1 < self.total else None
        return work

    # -------------------------------------------------------------------------------- the step
    def take(self, step: int, stop: bool = False) -> tuple[Done, bool]:
        """Takes step `step` (counted from 0). Returns it, and whether any process asked to stop."""
        began = time.perf_counter()
        work = self._work(step)
        targets, stops = self.world.total([work.targets, float(stop)])
        paddle.seed(step_seed(self.seed, step * self.world.size + self.world.rank))
        rate = optim.learning_rate(step, self.section.learning_rate, self.warmup, self.total)
        self.optimizer.set_lr(rate)

        if self.shards:
            self.shards.release_weights()
        loss = paddle.zeros([], dtype="float32")
        for turn in range(self._turns(step)):  # a process may have a batch less than others
            if turn < len(work.batches):
                loss = self._backward(work.batches[turn], targets) + loss
            if self.shards and self.shards.early:
                self.shards.send()
        norm = self._sum_and_clip()
        done = Done(work, loss, norm, rate, 0.0)
        self.unchecked.append(done)
        self.check_finite(keep=0 if self.on_host else 1)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.clear_grad(set_to_zero=False)
        if self.shards:
            self.shards.spread()
        optim.put_back(self.frozen)
        done.seconds = time.perf_counter() - began
        return done, stops > 0

    def _backward(self, batch: dict, targets: float):
        """Adds the gradient of (this batch's loss sum / all targets of the step); returns the sum, detached."""
        tensors = {name: paddle.to_tensor(value) for name, value in batch.items()}
        with self._autocast():
            loss = self.task.loss(tensors)
        self.scaler.scale(loss / max(1, targets)).backward()
        return loss.detach().astype("float32")

    def _sum_and_clip(self):
        """Sums the gradients over the processes, undoes the loss scale, clips. Returns their norm.

        The loss scale goes after the sum, so that a float16 overflow in one process is seen by all.
        """
        limit = self.section.max_grad_norm
        if not self.shards:
            if self.world.size > 1:
                self._leave_out_silent()
            distributed.sum_gradients(self.world, self.parameters)
            self._unscale()
            return optim.clip_gradients(self.parameters, limit)
        if not self.shards.early:
            self.shards.send()
        self.shards.collect()
        self._unscale()
        return optim.clip_gradients(self.shards.mine, limit, self.shards.norm())

    def _leave_out_silent(self) -> None:
        """Parameters that no process has a gradient for (in the first step, so in every one) are left alone, as in one process."""
        if self.silent is None:
            ready = {p.name for p in self.parameters if p.grad is not None}
            names = distributed.without_gradient(self.world, self.parameters, ready)
            self.silent = [p for p in self.parameters if p.name in names]
            self.parameters = [p for p in self.parameters if p.name not in names]
        if any(p.grad is not None for p in self.silent):
            raise RuntimeError("a parameter that had no gradient in the first step has one now")

    def gather_weights(self) -> None:
        """Puts together what train.sharding takes apart, to evaluate or save it. Every process must call it."""
        if self.shards:
            self.shards.gather_weights()

    def _unscale(self) -> None:
        if self.scaler.is_enable():
            self.scaler.unscale_(self.optimizer)
            if self.shards:
                self.shards.agree_on_overflow(self.scaler)

    def _autocast(self):
        if not self.half:
            return contextlib.nullcontext()
        return paddle.amp.auto_cast(level=self.section.amp_level, dtype=self.half)

    def check_finite(self, keep: int = 0) -> None:
        """A loss or gradient that is NaN or infinite ends the run, its rows written out; float16 skips such a step itself.

        `keep`: how many of the latest steps are left for later, so that a GPU is not waited for.
        """
        while len(self.unchecked) > keep:
            done = self.unchecked.popleft()
            if self.half == "float16":
                self.skipped = (~paddle.isfinite(done.grad_norm)).astype("int64") + self.skipped
                continue
            loss, norm = float(done.loss), float(done.grad_norm)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                path = self.run / "bad-batch.jsonl"
                rows = [self.train.rows[i] for indices in done.work.rows for i in indices]
                write_atomically(path, "".join(to_json(row) + "\n" for row in rows))
                what = f"norm of the gradient of step {done.work.step + 1} is {norm}, though its loss is finite"
                if not math.isfinite(loss):
                    what = f"loss of step {done.work.step + 1} is {loss}"
                raise UserError(
                    f"The {what}. Its rows are in {path}. Look at them; lower"
                    " train.learning_rate or raise train.warmup_steps; with train.use_amp try train.amp_dtype=bfloat16."
                )

    def take_skipped(self) -> int:
        """Steps skipped since the last call."""
        count, self.skipped = int(self.skipped), 0
        return count

    def close(self) -> None:
        self.worker.shutdown(wait=False, cancel_futures=True)


def step_seed(seed: int, number: int) -> int:
    """Seed of a step's dropout: far apart for neighbouring steps, the same in every run."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
