"""What a run is measured by: baseline and model before training first, the best checkpoint at the end."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass

import paddle

from paddle_ft import __version__
from paddle_ft.config.schema import BaseConfig
from paddle_ft.models.lora import count_parameters
from paddle_ft.runs.directory import RunDir
from paddle_ft.system.errors import UserError
from paddle_ft.system.runtime import peak_memory_mb
from paddle_ft.tasks.base import Dataset, Scores, Task
from paddle_ft.training import checkpoint
from paddle_ft.training.loop import Loop


@dataclass
class Prepared:
    """A task with its model, and its encoded data by split."""

    task: Task
    data: dict[str, Dataset]

    @property
    def measured(self) -> dict[str, Dataset]:
        """The splits that are scored."""
        return {split: dataset for split, dataset in self.data.items() if split != "train"}


def first_results(config: BaseConfig, prepared: Prepared, run: RunDir) -> dict:
    """Baseline and scores before training."""
    task = prepared.task
    parameters, trained = count_parameters(task.model)
    results = {
        "task": task.name,
        "config": config.recipe,
        "sample": config.sample,
        "seed": config.seed,
        "status": "training",
        "data": {**{split: dataset.info for split, dataset in prepared.data.items()}, **task.facts()},
        "model": {"parameters": parameters, "trained": trained, "trained_share": round(trained / parameters, 6)},
        "before_training": {},
        "baseline": {},
        "versions": versions(),
    }
    for split, dataset in prepared.measured.items():
        name, scores = task.baseline(dataset, prepared.data["train"])
        results["baseline"]["name"] = name
        results["baseline"][split] = scores.metrics
        for name, scores in task.other_baselines(dataset, prepared.data["train"]).items():
            results.setdefault("other_baselines", {}).setdefault(name, {})[split] = scores.metrics
        if config.eval.before_training:
            scores = task.evaluate(dataset, f"before training: {split}")
            results["before_training"][split] = scores.metrics
            run.log({"event": "eval", "step": 0, "epoch": 0.0, "split": split, **scores.metrics})
    run.write_results(results)
    return results


def final_results(results: dict, loop: Loop, prepared: Prepared, run: RunDir) -> None:
    """Scores the best checkpoint on every split, and writes results, predictions, plots and report."""
    from paddle_ft.reporting.page import write_report

    state, task = loop.state, prepared.task
    if state.best is None:  # nothing to choose by: the last weights are the result
        if loop.world.is_main:
            checkpoint.write(run / "best", task.save_model)
        loop.world.wait()
    if task.config.model.lora or (state.best and state.best["step"] != state.step):  # adapters: what is measured is merged
        if problem := checkpoint.damage(run / "best"):
            raise UserError(f"{run / 'best'}: the best checkpoint is damaged: {problem}. Train again with --overwrite.")
        task.reload_model(run / "best")
    results["metrics"] = {}
    for split, dataset in prepared.measured.items():
        scores: Scores = task.evaluate(dataset, f"final: {split}")
        results["metrics"][split] = scores.metrics
        run.write_predictions(split, scores.predictions)
        loop.trackers.log_scalars(f"final_{split}", state.step, scores.metrics)
    results["best"] = state.best
    seconds = max(state.seconds, 1e-9)
    results["train"] = {
        "seconds": round(state.seconds, 2),
        "steps": state.step,
        "samples_per_second": round(state.samples / seconds, 2),
        "target_tokens_per_second": round(state.targets / seconds, 1),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "processes": loop.world.size,
        "skipped_steps": state.skipped,
        "stopped_early": state.stopped_early,
        "device": paddle.get_device(),
    }
    results["status"] = "finished"
    run.write_results(results)
    if loop.world.is_main:
        write_report(run.path)
    loop.world.wait()


def versions() -> dict[str, str]:
    found = {"paddle_ft": __version__, "python": platform.python_version()}
    for package in ("paddlepaddle", "paddlepaddle-gpu", "paddlenlp", "numpy", "rouge_score", "tokenizers"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
