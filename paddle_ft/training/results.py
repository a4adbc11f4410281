"""Evaluate a run: baselines and the untrained model before training, the best checkpoint after it."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from typing import Any

import paddle

from paddle_ft.models.adapt import adapt_model
from paddle_ft.models.bundle import reload_bundle
from paddle_ft.models.lora import count_parameters
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.integrity import find_damage
from paddle_ft.system.decisions import DECISIONS, unique
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import print_info
from paddle_ft.system.runtime import peak_memory_mb
from paddle_ft.system.version import __version__
from paddle_ft.system.world import World
from paddle_ft.tasks.base import Dataset, Scores, Task
from paddle_ft.tasks.shared.empty import are_all_empty, describe_empty
from paddle_ft.tasks.shared.evaluate import draw_sample, evaluate, score_baselines
from paddle_ft.training.loop import TrainLoop


def first_results(task: Task, data: dict[str, Dataset], run: RunDirectory, world: World, decisions: Sequence[str] = ()) -> dict:
    """Evaluate the baselines and the model before training, write results.json, and return its contents.

    Args:
        task: a task with a model.
        data: the data set of each split.
        run: the run's directory.
        world: the processes that train together.
        decisions: what was decided for the user (see system.decisions).
    """
    results = _facts_and_baselines(task, data, decisions)
    wanted = task.config.eval.before_training
    for split, dataset in _evaluation_splits(data).items() if wanted else ():
        dataset, sample = draw_sample(dataset, None if wanted is True else wanted, "before the training (eval.before_training)")
        metrics = {**evaluate(task, dataset, f"before training: {split}", world).metrics, **sample}
        results["before_training"][split] = metrics
        run.log({"event": "eval", "step": 0, "epoch": 0.0, "split": split, **metrics})
    run.write_results(results)
    return results


def resumed_results(task: Task, data: dict[str, Dataset], run: RunDirectory, decisions: Sequence[str] = ()) -> dict:
    """Return the content of results.json of a run that is resumed, and warn if it was started with other versions.

    If the file is gone, it is made again. The scores before the training are then those in metrics.jsonl, because the model is
    not the one before the training any more. The arguments are those of first_results.
    """
    results = run.results()
    if not results:
        results = _facts_and_baselines(task, data, decisions)
        for event in run.events():
            if event.get("event") == "eval" and event.get("step") == 0 and "split" in event:
                names = set(event) - {"event", "step", "epoch", "split"}
                results["before_training"][event["split"]] = {name: event[name] for name in event if name in names}
        print_info(f"{run / 'results.json'} is not there any more and is made again")
        run.write_results(results)
        return results
    before, now = results.get("versions", {}), versions()
    changed = [f"{name} {before[name]}, now {now.get(name, 'none')}" for name in before if before[name] != now.get(name)]
    changed = [text for text in changed if not text.startswith("python ")]  # Python's own version changes no number
    if changed:
        note = f"the run was started with {', '.join(changed)}: its last digits may differ from those of a run in one piece"
        print_info(f"warning: {note}")
        results[DECISIONS] = unique(results.get(DECISIONS, []), [note])
    return results


def _facts_and_baselines(task: Task, data: dict[str, Dataset], decisions: Sequence[str]) -> dict[str, Any]:
    """Return what results.json has before any step, without the scores of the model."""
    config = task.config
    parameters, trained = count_parameters(task.model)
    results: dict[str, Any] = {
        "task": task.name,
        "config": config.recipe,
        "sample": config.sample,
        "seed": config.seed,
        "status": "training",
        "data": {**{split: dataset.info for split, dataset in data.items()}, **task.facts()},
        "model": {"parameters": parameters, "trained": trained, "trained_share": round(trained / parameters, 6)},
        DECISIONS: list(decisions),
        "before_training": {},
        "baseline": {},
        "versions": versions(),
    }
    for split, dataset in _evaluation_splits(data).items():
        (name, scores), *others = score_baselines(task, dataset, data["train"]).items()
        results["baseline"]["name"] = name
        results["baseline"][split] = scores.metrics
        for name, scores in others:
            results.setdefault("other_baselines", {}).setdefault(name, {})[split] = scores.metrics
    return results


def final_results(results: dict, loop: TrainLoop, data: dict[str, Dataset]) -> None:
    """Evaluate the best checkpoint on every split, and write results.json and the predictions.

    Args:
        results: what first_results returned; it is extended.
        loop: the finished training loop.
        data: the data set of each split.
    """
    state, task, run = loop.state, loop.task, loop.run
    if state.best is None:  # without a validation split the last weights are the best
        loop.save_best()
    known = _known_scores(loop)
    splits = _evaluation_splits(data)
    merged = task.config.model.lora is not None  # with LoRA the merged model is evaluated
    if set(splits) != set(known) and (merged or (state.best and state.best["step"] != state.step)):
        load_best(task, run)
    results["metrics"] = {}
    if loop.sample:
        results["data"]["validation"]["rows_during_training"] = loop.sample["rows"]
    empty: dict[str, int] = {}  # split -> number of predictions, if all are empty
    for split, dataset in splits.items():
        scores = known[split] if split in known else evaluate(task, dataset, f"final: {split}", loop.world)
        if are_all_empty(scores.predictions):
            empty[split] = len(scores.predictions)
        results["metrics"][split] = scores.metrics
        run.write_predictions(split, scores.predictions)
        run.write_losses(split, scores.losses)
        loop.trackers.log_scalars(f"final_{split}", state.step, scores.metrics)
    if empty:
        print_info(describe_empty(task, " and ".join(empty), sum(empty.values())))
    results["best"] = state.best
    seconds = max(state.seconds, 1e-9)
    results["train"] = {
        "seconds": round(state.seconds, 2),
        "steps": state.step,
        "samples_per_second": round(state.samples / seconds, 2),
        "target_tokens_per_second": round(state.targets / seconds, 1),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "processes": loop.world.world_size,
        "skipped_steps": state.skipped,
        "stopped_early": state.stopped_early,
        "device": paddle.get_device(),
    }
    results["status"] = "finished"
    run.write_results(results)


def _known_scores(loop: TrainLoop) -> dict[str, Scores]:
    """Return the scores of the best checkpoint on the splits that were evaluated in full when it was saved, so not again.

    Not if the saved weights are not those that were evaluated: adapters are merged, and with level O2 they have another format.
    """
    train = loop.config.train
    is_other = loop.config.model.lora is not None or (train.use_amp and train.amp_level == "O2")
    if loop.best_scores is None or loop.sample or is_other:
        return {}
    return {"validation": loop.best_scores}


def load_best(task: Task, run: RunDirectory) -> None:
    """Load the model of best/ into the task. Raise UserError if it is damaged."""
    if problem := find_damage(run / "best"):
        raise UserError(f"{run / 'best'}: the best checkpoint is damaged: {problem}. Train again with --overwrite.")
    task.set_model(adapt_model(reload_bundle(task.head_type, run / "best"), task.config))


def versions() -> dict[str, str]:
    """Return the versions of the packages that can change results."""
    versions = {"paddle_ft": __version__, "python": platform.python_version()}
    for package in ("paddlepaddle", "paddlepaddle-gpu", "paddlenlp", "numpy", "rouge_score", "tokenizers"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _evaluation_splits(data: dict[str, Dataset]) -> dict[str, Dataset]:
    """Return the splits that are evaluated: all except the training split."""
    return {split: dataset for split, dataset in data.items() if split != "train"}
