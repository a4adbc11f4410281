"""The training loop: steps, and what is due after them. It knows nothing of what a task is about."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from paddle_ft.metrics.registry import find_metric
from paddle_ft.models import lora
from paddle_ft.runs.directory import RunDir, WriteError
from paddle_ft.system.progress import Progress, say
from paddle_ft.system.runtime import peak_memory_mb
from paddle_ft.system.world import World
from paddle_ft.tasks.base import Dataset, Task
from paddle_ft.training import checkpoint
from paddle_ft.training.signals import Interrupted, Interrupts
from paddle_ft.training.step import Done, Stepper
from paddle_ft.training.trackers import Trackers

WINDOW = ("loss", "targets", "samples", "tokens", "padding")


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
    world_size: int = 1
    window: dict = field(default_factory=lambda: {**dict.fromkeys(WINDOW, 0), "seconds": 0.0})  # since the last log line
    metrics_size: int = 0
    tracker_ids: dict = field(default_factory=dict)
    scaler: dict = field(default_factory=dict)


class Loop:
    """Trains task.model by the steps of `stepper`, evaluates it on `validation`, logs, saves, and stops when asked to."""

    def __init__(
        self, task: Task, stepper: Stepper, validation: Dataset | None, run: RunDir, trackers: Trackers,
        world: World | None = None, interrupts: Interrupts | None = None,
    ):  # fmt: skip
        self.task, self.validation, self.run, self.trackers = task, validation, run, trackers
        self.world = world or World()
        self.config = task.config
        self.stepper = stepper
        self.state = State(world_size=self.world.size)
        self.interrupts = interrupts or Interrupts()
        self.best_metric = self.config.eval.best_metric or task.best_metric

    # -------------------------------------------------------------------------------- the run
    def resume(self, directory: Path) -> None:
        """Takes over optimizer, scaler and state of a checkpoint whose model is already loaded."""
        self.state = State(**checkpoint.read_state(directory))
        checkpoint.load_optimizer(directory, self.task.model, self.stepper.optimizer)
        if self.state.scaler:
            self.stepper.scaler.load_state_dict(self.state.scaler)
        self.run.cut_metrics(self.state.metrics_size)

    def fit(self) -> State:
        """Trains to the last step. Raises Interrupted after saving if a signal comes."""
        self.task.model.train()
        state, total = self.state, self.stepper.total
        saved = state.step if state.step else -1
        self.interrupts.agreed = self.world.size > 1
        done = None
        with Progress(total, "train", unit="step", initial=state.step) as bar:
            try:
                while True:
                    if self._evaluation_due() and state.evaluated_step < state.step:
                        self._evaluate()
                        if state.stopped_early and state.window["samples"]:
                            self._log(done, bar)
                    if self._save_due() and saved < state.step:
                        self.save_last()
                        saved = state.step
                    if state.step >= total or state.stopped_early:
                        self.stepper.gather_weights()
                        return state
                    with self.interrupts.deferred():
                        done, stop = self.stepper.take(state.step, self.interrupts.pending is not None)
                        self._count(done)
                        if state.step % self.config.train.logging_steps == 0 or state.step == total:
                            self._log(done, bar)
                    bar.update()
                    if stop and self.world.size > 1:
                        self.interrupts.agree()
            except (Interrupted, WriteError) as error:
                alone = isinstance(error, WriteError) and self.world.size > 1  # the others would not come to save with it
                if saved < state.step and not alone:
                    self.save_last()
                raise
            finally:
                self.interrupts.agreed = False
                self.stepper.close()

    @property
    def epoch(self) -> float:
        return self.state.step / self.stepper.steps_per_epoch

    def _evaluation_due(self) -> bool:
        step, every = self.state.step, self.config.eval.eval_steps
        if step == 0 or self.validation is None:
            return False
        return step % self.stepper.steps_per_epoch == 0 or step == self.stepper.total or bool(every and step % every == 0)

    def _save_due(self) -> bool:
        step = self.state.step
        due = step % self.stepper.steps_per_epoch == 0 or step % self.config.train.save_steps == 0
        return step > 0 and (due or step == self.stepper.total or self.state.stopped_early)

    # -------------------------------------------------------------------------------- what is due
    def _count(self, done: Done) -> None:
        state, window, work = self.state, self.state.window, done.work
        state.step += 1
        state.seconds += done.seconds
        window["seconds"] += done.seconds
        window["loss"] = done.loss + window["loss"]
        for name in ("targets", "samples", "tokens", "padding"):
            window[name] += getattr(work, name)

    def _close_window(self) -> dict[str, float]:
        """The figures since the last log line, over all processes; starts the next window."""
        state, window = self.state, self.state.window
        sums = dict(zip(WINDOW, self.world.total([float(window[name]) for name in WINDOW]), strict=True))
        sums["seconds"] = window["seconds"]
        state.samples += int(sums["samples"])
        state.targets += int(sums["targets"])
        state.window = State().window
        return sums

    def _log(self, done: Done, bar: Progress) -> None:
        """Writes a line of figures for the steps since the last one."""
        state = self.state
        sums = self._close_window()
        figures = {
            "loss": round(sums["loss"] / max(1, sums["targets"]), 6),
            "learning_rate": done.learning_rate,
            "grad_norm": round(float(done.grad_norm), 6),
            "samples_per_second": round(sums["samples"] / sums["seconds"], 2),
            "target_tokens_per_second": round(sums["targets"] / sums["seconds"], 1),
            "padding_share": round(sums["padding"] / max(1, sums["tokens"]), 4),
            "memory_mb": round(peak_memory_mb(), 1),
        }
        self.run.log({"event": "train", "step": state.step, "epoch": round(self.epoch, 4), **figures})
        self.trackers.log_scalars("train", state.step, figures)
        bar.note(loss=f"{figures['loss']:.4g}", samples_per_s=figures["samples_per_second"])

    def _evaluate(self) -> None:
        self.stepper.check_finite()
        self.stepper.gather_weights()
        began = time.perf_counter()
        scores = self.task.evaluate(self.validation, f"evaluate at step {self.state.step}")
        seconds = round(time.perf_counter() - began, 2)
        with self.interrupts.deferred():
            event = {"event": "eval", "step": self.state.step, "epoch": round(self.epoch, 4), "split": "validation"}
            self.run.log({**event, **scores.metrics, "seconds": seconds})
            self.trackers.log_scalars("validation", self.state.step, scores.metrics)
            self.trackers.log_samples("validation", self.state.step, scores.predictions[:8])
            self.state.evaluated_step = self.state.step
            self._keep_if_best(scores.metrics)

    def _keep_if_best(self, metrics: dict) -> None:
        name, value = self.best_metric, metrics[self.best_metric]
        state = self.state
        if state.best and state.best["metric"] != name:
            say(f"eval.best_metric is {name} now and was {state.best['metric']}: the best so far is forgotten")
            state.best, state.patience_used = None, 0
        best = state.best
        better = best is None or find_metric(name).is_better(value, best["value"])
        better = better or (value == best["value"] and metrics["loss"] < best.get("loss", 0))  # a tie: the loss decides
        say(
            f"step {state.step}, epoch {self.epoch:.2f}: loss {metrics['loss']:.4f}, {name} {value:.4g}"
            + (" (best so far)" if better else f" (best {best['value']:.4g} at step {best['step']})")
        )
        if better:
            state.best = {"metric": name, "value": value, "loss": metrics["loss"], "step": state.step}
            state.patience_used = 0
            if self.world.is_main:
                checkpoint.write(self.run / "best", self.task.save_model)
            self.world.wait()
            return
        state.patience_used += 1
        patience = self.config.eval.early_stopping_patience
        if patience is not None and state.patience_used >= patience:
            state.stopped_early = True
            say(f"stopping early: {name} has not improved in {patience} evaluations")

    def save_last(self) -> None:
        """Writes last/: model, tokenizer and all that a resumed run needs."""
        with self.interrupts.deferred():
            self.stepper.check_finite()
            self.stepper.gather_weights()
            self.state.skipped += self.stepper.take_skipped()
            self.state.metrics_size = self.run.metrics_size()
            self.state.tracker_ids = self.trackers.ids
            self.state.scaler = self.stepper.scaler.state_dict() if self.stepper.scaler.is_enable() else {}
            self.state.window["loss"] = float(self.state.window["loss"])
            arrays = self._optimizer_arrays()
            if self.world.is_main:
                count = self.config.train.keep_checkpoints
                checkpoint.write_last(self.run.path, count, lambda directory: self._fill_checkpoint(directory, arrays))
            self.world.wait()

    def _optimizer_arrays(self) -> dict:
        """The optimizer's states, in the main process all of them. Every process must call it."""
        shards = self.stepper.shards
        if shards is None and not self.world.is_main:
            return {}
        arrays = checkpoint.optimizer_arrays(self.task.model, self.stepper.optimizer)
        return shards.gather_states(arrays) if shards else arrays

    def _fill_checkpoint(self, directory: Path, arrays: dict) -> None:
        self.task.save_model(directory)
        checkpoint.save_trainer(directory, arrays, asdict(self.state))
        lora.save(self.task.model, directory / "trainer")
