"""The training loop: what happens in a step, and what is due after it. It knows nothing of what a task is about."""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import paddle

from paddle_ft.data.batches import Batches
from paddle_ft.errors import UserError
from paddle_ft.progress import Progress, say
from paddle_ft.rundir import RunDir, to_json, write_atomically
from paddle_ft.runtime import peak_memory_mb
from paddle_ft.tasks.base import Dataset, Task
from paddle_ft.training import checkpoint, optim
from paddle_ft.training.signals import Interrupted, Interrupts
from paddle_ft.training.trackers import Trackers

LOWER_IS_BETTER = {"loss", "perplexity", "ece"}


@dataclass
class State:
    """All that changes as training goes, beside weights and optimizer: saved with every checkpoint."""

    step: int = 0  # finished optimizer steps; epoch, place in it, shuffle and dropout all follow from it
    evaluated_step: int = 0
    best: dict | None = None  # {"metric", "value", "step"}
    seconds: float = 0.0  # spent in training steps
    samples: int = 0
    targets: int = 0
    skipped: int = 0  # steps left out under float16 because the gradient was not finite
    patience_used: int = 0  # evaluations since the best one
    stopped_early: bool = False
    window: dict = field(default_factory=lambda: {"loss": 0.0, "targets": 0, "samples": 0, "seconds": 0.0})
    metrics_size: int = 0
    tracker_ids: dict = field(default_factory=dict)
    scaler: dict = field(default_factory=dict)


@dataclass
class Work:
    """What one optimizer step computes on: the rows of its batches, the batches, the number of their targets."""

    step: int
    rows: list[np.ndarray]
    batches: list[dict[str, np.ndarray]]
    targets: int

    @property
    def samples(self) -> int:
        return sum(map(len, self.rows))


class Loop:
    """Trains task.model on `train`, evaluates it on `validation`.

    Dropout of step n depends on (seed, n) alone, order and noise of a batch on (seed, epoch, batch) alone: a resumed run
    repeats no random state and still computes what the run never stopped computes.
    """

    def __init__(self, task: Task, train: Dataset, validation: Dataset | None, run: RunDir, trackers: Trackers):
        self.task, self.train, self.validation, self.run, self.trackers = task, train, validation, run, trackers
        self.config = task.config
        section = self.config.train
        self.batches = Batches(train.lengths, section.train_batch_size, self.config.seed, section.group_by_length)
        self.accumulation = section.gradient_accumulation_steps
        self.steps_per_epoch, self.total_steps = plan(len(self.batches), section)
        self.warmup = optim.warmup_steps(section, self.total_steps)
        self.optimizer = optim.make_optimizer(task.model, section)
        self.parameters = [p for p in task.model.parameters() if not p.stop_gradient]
        self.half = section.amp_dtype if section.use_amp else None
        if self.half and section.amp_level == "O2":
            _, self.optimizer = paddle.amp.decorate(  # changes the model's weights in place
                models=task.model, optimizers=self.optimizer, level="O2", dtype=self.half
            )
        self.scaler = paddle.amp.GradScaler(enable=self.half == "float16", init_loss_scaling=section.scale_loss)
        self.state = State()
        self.epoch_order: tuple[int, list] = (-1, [])
        self.interrupts = Interrupts()
        self.best_metric = self.config.eval.best_metric or task.best_metric
        self.on_host = paddle.get_device() == "cpu"
        self.unchecked: deque[tuple[Work, paddle.Tensor]] = deque()
        self.skipped = 0
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self.ahead: Future[Work] | None = None

    # -------------------------------------------------------------------------------- the run
    def resume(self, directory: Path) -> None:
        """Takes over optimizer, scaler and state of a checkpoint whose model is already loaded."""
        self.state = State(**checkpoint.read_state(directory))
        checkpoint.load_optimizer(directory, self.task.model, self.optimizer)
        if self.state.scaler:
            self.scaler.load_state_dict(self.state.scaler)
        self.run.cut_metrics(self.state.metrics_size)

    def fit(self) -> State:
        """Trains to the last step. Raises Interrupted after saving if a signal comes."""
        self.task.model.train()
        saved = self.state.step if self.state.step else -1
        with self.interrupts, Progress(self.total_steps, "train", unit="step", initial=self.state.step) as bar:
            try:
                while True:
                    if self._evaluation_due() and self.state.evaluated_step < self.state.step:
                        self._evaluate()
                    if self._save_due() and saved < self.state.step:
                        self.save_last()
                        saved = self.state.step
                    if self.state.step >= self.total_steps or self.state.stopped_early:
                        return self.state
                    with self.interrupts.deferred():
                        self._step()
                        self._log_if_due(bar)
                    bar.update()
            except Interrupted:
                if saved < self.state.step:
                    self.save_last()
                raise
            finally:
                self.worker.shutdown(wait=False, cancel_futures=True)

    @property
    def epoch(self) -> float:
        return self.state.step / self.steps_per_epoch

    def _evaluation_due(self) -> bool:
        step, every = self.state.step, self.config.eval.eval_steps
        if step == 0 or self.validation is None:
            return False
        return step % self.steps_per_epoch == 0 or step == self.total_steps or bool(every and step % every == 0)

    def _save_due(self) -> bool:
        step = self.state.step
        due = step % self.steps_per_epoch == 0 or step % self.config.train.save_steps == 0
        return step > 0 and (due or step == self.total_steps or self.state.stopped_early)

    # -------------------------------------------------------------------------------- one step
    def _prepare(self, step: int) -> Work:
        """Collates the batches of a step. Runs on the worker thread, one step ahead."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if self.epoch_order[0] != epoch:
            self.epoch_order = (epoch, self.batches.epoch(epoch))
        first = place * self.accumulation
        rows = self.epoch_order[1][first : first + self.accumulation]
        seed = self.config.seed
        batches = [
            self.task.collate(self.train, indices, np.random.default_rng([seed, epoch, first + n, 1]))
            for n, indices in enumerate(rows)
        ]
        return Work(step, rows, batches, sum(self.task.count_targets(batch) for batch in batches))

    def _next_work(self) -> Work:
        step = self.state.step
        work = self.ahead.result() if self.ahead else None
        if work is None or work.step != step:
            work = self._prepare(step)
        self.ahead = self.worker.submit(self._prepare, step + 1) if step + 1 < self.total_steps else None
        return work

    def _step(self) -> None:
        began = time.perf_counter()
        work = self._next_work()
        paddle.seed(step_seed(self.config.seed, work.step))
        section = self.config.train
        self.rate = optim.learning_rate(work.step, section.learning_rate, self.warmup, self.total_steps)
        self.optimizer.set_lr(self.rate)

        loss = 0.0
        for batch in work.batches:
            loss = self._backward(batch, work.targets) + loss
        if self.scaler.is_enable():
            self.scaler.unscale_(self.optimizer)
        self.grad_norm = optim.clip_gradients(self.parameters, section.max_grad_norm)
        self.unchecked.append((work, loss))
        self._check_finite(keep=0 if self.on_host else 1)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.clear_grad(set_to_zero=False)
        self._count(work, loss, time.perf_counter() - began)

    def _backward(self, batch: dict, targets: int):
        """Adds the gradient of (this batch's loss sum / all targets of the step); returns that loss, detached."""
        tensors = {name: paddle.to_tensor(value) for name, value in batch.items()}
        with self._autocast():
            loss = self.task.loss(tensors) / max(1, targets)
        self.scaler.scale(loss).backward()
        return loss.detach().astype("float32")

    def _autocast(self):
        if not self.half:
            return contextlib.nullcontext()
        return paddle.amp.auto_cast(level=self.config.train.amp_level, dtype=self.half)

    def _check_finite(self, keep: int = 0) -> None:
        """A loss that is NaN or infinite ends the run, its rows written out; float16 skips such a step itself.

        `keep`: how many of the latest losses are left for later, so that a GPU is not waited for.
        """
        while len(self.unchecked) > keep:
            work, loss = self.unchecked.popleft()
            if self.half == "float16":
                self.skipped = (~paddle.isfinite(self.grad_norm)).astype("int64") + self.skipped
            elif not math.isfinite(float(loss)):
                path = self.run / "bad-batch.jsonl"
                write_atomically(path, "".join(to_json(self.train.rows[i]) + "\n" for rows in work.rows for i in rows))
                raise UserError(
                    f"The loss of step {work.step + 1} is {float(loss)}. Its rows are in {path}. Look at them; lower"
                    " train.learning_rate or raise train.warmup_steps; with train.use_amp try train.amp_dtype=bfloat16."
                )

    def _count(self, work: Work, loss, seconds: float) -> None:
        state, window = self.state, self.state.window
        state.step += 1
        state.seconds += seconds
        state.samples += work.samples
        state.targets += work.targets
        window["loss"] = loss * work.targets + window["loss"]
        window["targets"] += work.targets
        window["samples"] += work.samples
        window["seconds"] += seconds

    # -------------------------------------------------------------------------------- what is due
    def _log_if_due(self, bar: Progress) -> None:
        state, window = self.state, self.state.window
        if state.step % self.config.train.logging_steps and state.step != self.total_steps:
            return
        figures = {
            "loss": round(float(window["loss"]) / max(1, window["targets"]), 6),
            "learning_rate": self.rate,
            "grad_norm": round(float(self.grad_norm), 6),
            "samples_per_second": round(window["samples"] / window["seconds"], 2),
            "target_tokens_per_second": round(window["targets"] / window["seconds"], 1),
            "memory_mb": round(peak_memory_mb(), 1),
        }
        state.window = State().window
        self.run.log({"event": "train", "step": state.step, "epoch": round(self.epoch, 4), **figures})
        self.trackers.scalars("train", state.step, figures)
        bar.note(loss=f"{figures['loss']:.4g}", samples_per_s=figures["samples_per_second"])

    def _evaluate(self) -> None:
        self._check_finite()
        began = time.perf_counter()
        scores = self.task.evaluate(self.validation, f"evaluate at step {self.state.step}")
        seconds = round(time.perf_counter() - began, 2)
        with self.interrupts.deferred():
            event = {"event": "eval", "step": self.state.step, "epoch": round(self.epoch, 4), "split": "validation"}
            self.run.log({**event, **scores.metrics, "seconds": seconds})
            self.trackers.scalars("validation", self.state.step, scores.metrics)
            self.trackers.samples("validation", self.state.step, scores.predictions[:8])
            self.state.evaluated_step = self.state.step
            self._keep_if_best(scores.metrics)

    def _keep_if_best(self, metrics: dict) -> None:
        name, value = self.best_metric, metrics[self.best_metric]
        best, state = self.state.best, self.state
        sign = -1 if name in LOWER_IS_BETTER else 1
        better = best is None or sign * value > sign * best["value"]
        say(
            f"step {state.step}, epoch {self.epoch:.2f}: loss {metrics['loss']:.4f}, {name} {value:.4g}"
            + (" (best so far)" if better else f" (best {best['value']:.4g} at step {best['step']})")
        )
        if better:
            state.best = {"metric": name, "value": value, "step": state.step}
            state.patience_used = 0
            checkpoint.write(self.run / "best", self.task.save_model)
            return
        state.patience_used += 1
        patience = self.config.eval.early_stopping_patience
        if patience is not None and state.patience_used >= patience:
            state.stopped_early = True
            say(f"stopping early: {name} has not improved in {patience} evaluations")

    def save_last(self) -> None:
        """Writes last/: model, tokenizer and all that a resumed run needs."""
        with self.interrupts.deferred():
            self._check_finite()
            self.state.skipped += int(self.skipped)
            self.skipped = 0
            self.state.metrics_size = self.run.metrics_size()
            self.state.tracker_ids = self.trackers.ids
            self.state.scaler = self.scaler.state_dict() if self.scaler.is_enable() else {}
            self.state.window["loss"] = float(self.state.window["loss"])
            checkpoint.keep_older(self.run.path, self.config.train.keep_checkpoints)
            checkpoint.write(self.run / "last", self._fill_checkpoint)

    def _fill_checkpoint(self, directory: Path) -> None:
        self.task.save_model(directory)
        checkpoint.save_trainer(directory, self.task.model, self.optimizer, asdict(self.state))


def plan(batches: int, section) -> tuple[int, int]:
    """(optimizer steps an epoch, optimizer steps in all)."""
    per_epoch = -(-batches // section.gradient_accumulation_steps)
    total = section.max_steps if section.max_steps > 0 else math.ceil(per_epoch * section.num_train_epochs)
    return per_epoch, max(1, total)


def step_seed(seed: int, step: int) -> int:
    """Seed of a step's dropout: far apart for neighbouring steps, the same in every run."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])
