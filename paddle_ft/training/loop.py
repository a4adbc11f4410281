"""Run the training loop: optimizer steps, and between them evaluation, logging and checkpoints."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import NotRequired, TypedDict

from paddle_ft.config.describe import to_yaml
from paddle_ft.metrics.registry import find_metric
from paddle_ft.models import lora
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.integrity import find_damage
from paddle_ft.system.files import WriteError, to_json
from paddle_ft.system.progress import Progress, print_info
from paddle_ft.system.runtime import peak_memory_mb
from paddle_ft.system.world import World
from paddle_ft.tasks.base import Dataset, Scores, Task
from paddle_ft.tasks.shared.empty import are_all_empty
from paddle_ft.tasks.shared.evaluate import draw_sample, evaluate
from paddle_ft.training import checkpoint
from paddle_ft.training.signals import Interrupted, SignalHandler
from paddle_ft.training.step import Stepper, StepResult
from paddle_ft.training.stop_rule import StopRule
from paddle_ft.training.trackers import Trackers

WINDOW = ("loss", "targets", "samples", "tokens", "padding")


class Best(TypedDict):
    """The best evaluation so far: its metric, the values of that and of the loss, its step, and with eval.limit its rows."""

    metric: str
    value: float
    loss: NotRequired[float]
    step: int
    rows: NotRequired[int]


@dataclass
class TrainState:
    """The state of a training besides weights and optimizer. It is saved with every checkpoint.

    Attributes:
        step: number of finished optimizer steps. Epoch, batch order and dropout follow from it.
        evaluated_step: step of the last evaluation.
        best: {"metric", "value", "loss", "step"} of the best evaluation so far.
        seconds: time spent in training steps.
        samples: rows trained on.
        targets: targets trained on.
        skipped: steps that float16 skipped because a gradient was not finite.
        patience_used: evaluations since the best one.
        stopped_early: whether early stopping has ended the training.
        world_size: number of processes.
        window: sums since the last log line.
        metrics_size: size of metrics.jsonl in bytes, so that a resumed run repeats no line.
        tracker_ids: the trackers' run ids.
        scaler: state of the float16 loss scaling.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)  # for load_state

    step: int = 0
    evaluated_step: int = 0
    best: Best | None = None
    seconds: float = 0.0
    samples: int = 0
    targets: int = 0
    skipped: int = 0
    patience_used: int = 0
    stopped_early: bool = False
    world_size: int = 1
    window: dict[str, float] = field(default_factory=lambda: {**dict.fromkeys(WINDOW, 0), "seconds": 0.0})
    metrics_size: int = 0
    tracker_ids: dict = field(default_factory=dict)
    scaler: dict = field(default_factory=dict)


def load_state(directory: Path) -> TrainState:
    """Return the state in a checkpoint. Raise UserError if an entry is missing, unknown or of another type than this version's."""
    content = checkpoint.read_state(directory)
    try:
        state = TypeAdapter(TrainState).validate_json(to_json(content))
    except ValidationError as error:
        details = error.errors()[0]
        raise checkpoint.state_error(directory, f"{'.'.join(map(str, details['loc']))}: {details['msg']}") from None
    if set(state.window) != {*WINDOW, "seconds"}:
        raise checkpoint.state_error(directory, f"window: {', '.join(sorted(state.window))}")
    return state


class TrainLoop:
    """Run the steps of `stepper`, evaluate on `validation`, log, save, and stop after a signal.

    Attributes:
        validation, sample: the rows to evaluate during the training, and whether they are a sample (evaluate.draw_sample).
        best_scores: the scores of best/ on these rows, if this process has evaluated it.
        stop_rule: decides after each evaluation whether the training ends there; it is for trainings in a single process.
    """

    def __init__(
        self, task: Task, stepper: Stepper, validation: Dataset | None, run: RunDirectory, trackers: Trackers,
        world: World | None = None, signals: SignalHandler | None = None, stop_rule: StopRule | None = None,
    ):  # fmt: skip
        self.task, self.stepper, self.run, self.trackers = task, stepper, run, trackers
        self.stop_rule = stop_rule
        self.validation, self.sample = validation, {}
        if validation is not None:
            self.validation, self.sample = draw_sample(validation, task.config.eval.limit, "during the training (eval.limit)")
        self.world = world or World()
        self.signals = signals or SignalHandler()
        self.config = task.config
        self.best_metric = self.config.eval.best_metric or task.best_metric
        self.best_scores: Scores | None = None
        self.state = TrainState(world_size=self.world.world_size)

    # -------------------------------------------------------------------------------- the run
    def resume(self, directory: Path) -> None:
        """Restore optimizer, loss scale and state from a checkpoint whose model is already loaded."""
        self.state = load_state(directory)
        checkpoint.load_optimizer(directory, self.task.model, self.stepper.optimizer)
        if self.state.scaler:
            self.stepper.scaler.load_state_dict(self.state.scaler)
        self.run.cut_metrics(self.state.metrics_size)
        if self.state.best and (problem := find_damage(self.run / "best")):
            print_info(f"warning: {self.run / 'best'} is damaged ({problem}): the best checkpoint is chosen anew from here on")
            self.state.best, self.state.patience_used = None, 0

    def fit(self) -> TrainState:
        """Train to the last step. After a signal, save a checkpoint and raise Interrupted."""
        self.task.model.train()
        state, num_steps = self.state, self.stepper.num_steps
        saved_step = state.step if state.step else -1
        self.signals.wait_for_all_ranks = self.world.world_size > 1
        result = None
        with Progress(num_steps, "train", unit="step", initial=state.step) as bar:
            try:
                while True:
                    if self._evaluation_due() and state.evaluated_step < state.step:
                        self._evaluate()
                        if state.stopped_early and state.window["samples"]:
                            self._log(result, bar)
                    if self._save_due() and saved_step < state.step:
                        self.save_last()
                        saved_step = state.step
                    if state.step >= num_steps or state.stopped_early:
                        self.stepper.sync.gather_weights()
                        return state
                    with self.signals.deferred():
                        result, stop = self.stepper.train_step(state.step, self.signals.pending is not None)
                        self._count(result)
                        if state.step % self.config.train.logging_steps == 0 or state.step == num_steps:
                            self._log(result, bar)
                    bar.update()
                    if stop and self.world.world_size > 1:
                        self.signals.stop_now()
            except (Interrupted, WriteError) as error:
                # all ranks must take part in saving, which they do not after a write error of one rank
                without_other_ranks = isinstance(error, WriteError) and self.world.world_size > 1
                if saved_step < state.step and not without_other_ranks:
                    self.save_last()
                raise
            finally:
                self.signals.wait_for_all_ranks = False
                self.stepper.close()

    @property
    def epoch(self) -> float:
        """Return the number of epochs trained so far."""
        return self.state.step / self.stepper.steps_per_epoch

    def _evaluation_due(self) -> bool:
        step, every = self.state.step, self.config.eval.eval_steps
        if step == 0 or self.validation is None:
            return False
        return step % self.stepper.steps_per_epoch == 0 or step == self.stepper.num_steps or bool(every and step % every == 0)

    def _save_due(self) -> bool:
        step = self.state.step
        due = step % self.stepper.steps_per_epoch == 0 or step % self.config.train.save_steps == 0
        return step > 0 and (due or step == self.stepper.num_steps or self.state.stopped_early)

    # -------------------------------------------------------------------------------- logging
    def _count(self, result: StepResult) -> None:
        state, window = self.state, self.state.window
        state.step += 1
        state.seconds += result.seconds
        window["seconds"] += result.seconds
        window["loss"] = result.loss + window["loss"]
        for name in ("targets", "samples", "tokens", "padding"):
            window[name] += getattr(result.batches, name)

    def _close_window(self) -> dict[str, float]:
        """Return the sums since the last log line over all ranks, and start the next window."""
        state, window = self.state, self.state.window
        sums = dict(zip(WINDOW, self.world.all_reduce([float(window[name]) for name in WINDOW]), strict=True))
        sums["seconds"] = window["seconds"]
        state.samples += int(sums["samples"])
        state.targets += int(sums["targets"])
        state.window = TrainState().window
        return sums

    def _log(self, result: StepResult, bar: Progress) -> None:
        """Log the figures of the steps since the last log line."""
        self.stepper.check_finite()
        state = self.state
        sums = self._close_window()
        figures = {
            "loss": round(sums["loss"] / max(1, sums["targets"]), 6),
            "learning_rate": result.learning_rate,
            "grad_norm": round(float(result.grad_norm), 6),
            "samples_per_second": round(sums["samples"] / sums["seconds"], 2),
            "target_tokens_per_second": round(sums["targets"] / sums["seconds"], 1),
            "padding_share": round(sums["padding"] / max(1, sums["tokens"]), 4),
            "memory_mb": round(peak_memory_mb(), 1),
        }
        self.run.log({"event": "train", "step": state.step, "epoch": round(self.epoch, 4), **figures})
        self.trackers.log_scalars("train", state.step, figures)
        bar.note(loss=f"{figures['loss']:.4g}", samples_per_s=figures["samples_per_second"])

    # -------------------------------------------------------------------------------- evaluation
    def _evaluate(self) -> None:
        self.stepper.check_finite()
        self.stepper.sync.gather_weights()
        started = time.perf_counter()
        scores = evaluate(self.task, self.validation, f"evaluate at step {self.state.step}", self.world)
        seconds = round(time.perf_counter() - started, 2)
        with self.signals.deferred():
            event = {"event": "eval", "step": self.state.step, "epoch": round(self.epoch, 4), "split": "validation"}
            self.run.log({**event, **scores.metrics, "seconds": seconds})
            self.trackers.log_scalars("validation", self.state.step, scores.metrics)
            self.trackers.log_samples("validation", self.state.step, scores.predictions[:8])
            self.state.evaluated_step = self.state.step
            self._update_best(scores.metrics, "; all predictions are empty" if are_all_empty(scores.predictions) else "")
            if self.state.best["step"] == self.state.step:
                self.best_scores = scores
            self._ask_stop_rule(scores.metrics[self.best_metric])

    def _ask_stop_rule(self, value: float) -> None:
        """End the training like early stopping does if the stop rule says so. `value` is that of best_metric."""
        state, num_steps = self.state, self.stepper.num_steps
        share = 1.0 if state.stopped_early else state.step / num_steps
        reason = self.stop_rule(state.step, share, value) if self.stop_rule else ""
        if reason and share < 1:
            state.stopped_early = True
            print_info(f"stopping at step {state.step}: {reason}")

    def _update_best(self, metrics: dict, note: str = "") -> None:
        """Save best/ if these are the best scores so far, else count towards early stopping. The loss decides ties.

        Args:
            metrics: the scores.
            note: what is printed after them.
        """
        name, value, state = self.best_metric, metrics[self.best_metric], self.state
        if state.best and state.best.get("rows") != self.sample.get("rows"):
            print_info("eval.limit has another value than before: the previous best is not compared")
            state.best, state.patience_used = None, 0
        if state.best and state.best["metric"] != name:
            print_info(f"eval.best_metric is {name} now and was {state.best['metric']}: the previous best is not compared")
            state.best, state.patience_used = None, 0
        best = state.best
        better = best is None or find_metric(name).is_better(value, best["value"])
        better = better or (value == best["value"] and metrics["loss"] < best.get("loss", 0))
        print_info(
            f"step {state.step}, epoch {self.epoch:.2f}: loss {metrics['loss']:.4f}, {name} {value:.4g}"
            + (" (best so far)" if better else f" (best {best['value']:.4g} at step {best['step']})")
            + note
        )
        if better:
            state.best = {"metric": name, "value": value, "loss": metrics["loss"], "step": state.step, **self.sample}
            state.patience_used = 0
            self.save_best()
            return
        state.patience_used += 1
        patience = self.config.eval.early_stopping_patience
        if patience is not None and state.patience_used >= patience:
            state.stopped_early = True
            print_info(f"stopping early: {name} has not improved in {patience} evaluations")

    # -------------------------------------------------------------------------------- saving
    def save_best(self) -> None:
        """Write the current model and tokenizer to best/."""
        if self.world.is_main:
            checkpoint.write_best(self.run.path, self.task.bundle.save, self.state.step, self.epoch)
        self.world.barrier()

    def save_last(self) -> None:
        """Write last/: model, tokenizer, and everything else that a resumed run needs."""
        with self.signals.deferred():
            self.stepper.check_finite()
            self.stepper.sync.gather_weights()
            self.state.skipped += self.stepper.pop_skipped_steps()
            self.state.metrics_size = self.run.metrics_size()
            self.state.tracker_ids = self.trackers.ids
            self.state.scaler = self.stepper.scaler.state_dict() if self.stepper.scaler.is_enable() else {}
            self.state.window["loss"] = float(self.state.window["loss"])
            arrays = self.stepper.sync.gather_optimizer_states(
                lambda: checkpoint.optimizer_arrays(self.task.model, self.stepper.optimizer)
            )
            if self.world.is_main:
                count = self.config.train.keep_checkpoints
                checkpoint.write_last(self.run.path, count, lambda directory: self._fill_checkpoint(directory, arrays))
                if not self.run.is_run():  # somebody has removed the directory; with its settings it can be resumed
                    self.run.write_config(to_yaml(self.config))
            self.world.barrier()

    def _fill_checkpoint(self, directory: Path, arrays: dict) -> None:
        self.task.bundle.save(directory)
        checkpoint.save_trainer(directory, arrays, asdict(self.state))
        lora.save_adapters(self.task.model, directory / "trainer")
