"""The one evaluation loop. Training, --check, `evaluate` and `predict` all measure a model here.

It lies beside the tasks and not in training/ because a finished run is scored without any training.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from paddle_ft.data.batches import longest_first
from paddle_ft.metrics.user_metrics import compute_metrics, computed_metrics
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress
from paddle_ft.system.world import World
from paddle_ft.tasks import task_names
from paddle_ft.tasks.base import Dataset, EvalResult, Scores, Task


def evaluate(task: Task, dataset: Dataset, label: str, world: World | None = None) -> Scores:
    """Score a task's model on a data set. Every rank of `world` must call this, and gets the same scores.

    Figures come from exact sums over the whole data set, whatever the batches and the number of processes.

    Args:
        label: what the progress bar calls it.
    """
    world = world or World()
    dataset = task.eval_dataset(dataset)
    inputs = task.eval_inputs(dataset)
    result = run_eval_steps(task, dataset, label if inputs is None else f"{label}: loss", world)
    if inputs is not None:
        own = [inputs[i] for i in world.shard_indices(len(inputs))]
        result.texts = world.all_gather(task.generate(own, f"{label}: generate"), len(inputs))
    return add_user_metrics(task, task.scores(dataset, result))


def score_baselines(task: Task, dataset: Dataset, train: Dataset) -> dict[str, Scores]:
    """Return the scores of the task's baselines by name, measured as the model is."""
    return {name: add_user_metrics(task, scores) for name, scores in task.baselines(dataset, train).items()}


def add_user_metrics(task: Task, scores: Scores) -> Scores:
    """Add the figures of the user's own metrics for this task. Without such metrics the scores are returned as they are.

    Raises:
        UserError: a metric cannot be computed for this task.
    """
    metrics = [metric for metric in computed_metrics(task_names()) if task.name in metric.tasks]
    if not metrics or not scores.predictions:
        return scores
    for metric in metrics:
        if task.reference_field is None:
            raise UserError(f"METRICS: {metric.key!r} is for {task.name}, whose predictions have no references to compare with.")
        if metric.key in scores.metrics:
            raise UserError(f"METRICS: {metric.key!r} is a figure of {task.name} already: give yours another key.")
    pairs = [(row["prediction"], row[task.reference_field]) for row in scores.predictions]
    predictions, references = zip(*pairs, strict=True)
    config = task.config
    figures = compute_metrics(metrics, predictions, references, config.seed, config.eval.bootstrap_samples)
    return Scores({**scores.metrics, **figures}, scores.predictions)


def run_eval_steps(task: Task, dataset: Dataset, label: str, world: World | None = None) -> EvalResult:
    """Run task.eval_step over this rank's rows, longest first, and put the results of all ranks together."""
    import paddle

    world = world or World()
    own = world.shard_indices(len(dataset))
    rows: list[Any] = [None] * len(own)
    loss, targets = 0.0, 0
    rng = np.random.default_rng(0)
    task.model.eval()
    with paddle.no_grad(), Progress(len(own), label, unit="rows") as bar:
        for places in longest_first(dataset.lengths[own], task.config.eval.eval_batch_size):
            batch = task.collate_fn(dataset, own[places], rng)
            step = task.eval_step({name: paddle.to_tensor(value) for name, value in batch.items()}, own[places])
            for place, row in zip(places, step.rows or [], strict=step.rows is not None):
                rows[place] = row
            loss += step.loss
            targets += step.targets
            bar.update(len(places))
    task.model.train()
    loss, targets = world.all_reduce([loss, targets])
    return EvalResult(world.all_gather(rows, len(dataset)), loss / max(1, targets), [])
