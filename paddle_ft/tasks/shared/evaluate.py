"""Evaluate a model. Training, --check, `evaluate` and `predict` all use this loop.

It is part of tasks/ and not of training/ because finished runs are evaluated without any training code.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from paddle_ft.data.batches import longest_first
from paddle_ft.data.blocks import subsample
from paddle_ft.metrics.user_metrics import compute_metrics, computed_metrics
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress, print_info
from paddle_ft.system.world import World
from paddle_ft.tasks import task_names
from paddle_ft.tasks.base import Dataset, EvalResult, Scores, Task

SAMPLE_SEED = 2022  # of the rows that are drawn for an evaluation, so that they are the same for all training seeds


def evaluate(task: Task, dataset: Dataset, label: str, world: World | None = None) -> Scores:
    """Evaluate a task's model on a data set. Every rank of `world` must call this, and all get the same scores.

    Metrics are computed from sums over the whole data set, so they do not depend on the batches or the number of processes.

    Args:
        task: a task with a model.
        dataset: the split to evaluate on.
        label: name of the progress bar.
        world: the processes that share the work; default: this process alone.
    """
    world = world or World()
    dataset = task.eval_dataset(dataset)
    inputs = task.eval_inputs(dataset)
    result = run_eval_steps(task, dataset, label if inputs is None else f"{label}: loss", world)
    if inputs is not None:
        own_inputs = [inputs[i] for i in world.shard_indices(len(inputs))]
        result.texts = world.all_gather(task.generate(own_inputs, f"{label}: generate"), len(inputs))
    scores = add_user_metrics(task, task.scores(dataset, result))
    scores.losses = task.row_losses(dataset, result)
    return scores


def draw_sample(dataset: Dataset, limit: int | None, when: str) -> tuple[Dataset, dict[str, int]]:
    """Return the rows of a split that are evaluated, and {"rows": their number} if they are not all.

    Args:
        dataset: the split.
        limit: the number of rows, or None for all.
        when: what is said of the evaluation if the rows are not all, with the name of the setting.
    """
    if limit is None or limit >= len(dataset):
        return dataset, {}
    print_info(f"{dataset.split}: {limit:,} of its {len(dataset):,} rows are evaluated {when}")
    return dataset.take(subsample(len(dataset), limit, SAMPLE_SEED)), {"rows": limit}


def score_baselines(task: Task, dataset: Dataset, train: Dataset) -> dict[str, Scores]:
    """Return the scores of the task's baselines by name, with the same metrics as the model's."""
    return {name: add_user_metrics(task, scores) for name, scores in task.baselines(dataset, train).items()}


def add_user_metrics(task: Task, scores: Scores) -> Scores:
    """Return the scores with the user's own metrics for this task. Without such metrics they are returned unchanged.

    Args:
        task: the task.
        scores: its own metrics and the predictions.

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
            raise UserError(f"METRICS: {metric.key!r} is already a metric of {task.name}: give yours another key.")
    pairs = [(row["prediction"], row[task.reference_field]) for row in scores.predictions]
    predictions, references = zip(*pairs, strict=True)
    config = task.config
    values = compute_metrics(metrics, predictions, references, config.seed, config.eval.bootstrap_samples)
    return Scores({**scores.metrics, **values}, scores.predictions)


def run_eval_steps(task: Task, dataset: Dataset, label: str, world: World | None = None) -> EvalResult:
    """Run task.eval_step on this rank's rows, longest first, and gather the results of all ranks."""
    import paddle

    world = world or World()
    own_rows = world.shard_indices(len(dataset))
    rows: list[Any] = [None] * len(own_rows)
    loss, targets = 0.0, 0
    rng = np.random.default_rng(0)
    task.model.eval()
    with paddle.no_grad(), Progress(len(own_rows), label, unit="rows") as bar:
        for positions in longest_first(dataset.lengths[own_rows], task.config.eval.eval_batch_size):
            batch = task.collate_fn(dataset, own_rows[positions], rng)
            step = task.eval_step({name: paddle.to_tensor(value) for name, value in batch.items()}, own_rows[positions])
            for position, row in zip(positions, step.rows or [], strict=step.rows is not None):
                rows[position] = row
            loss += step.loss
            targets += step.targets
            bar.update(len(positions))
    task.model.train()
    loss, targets = world.all_reduce([loss, targets])
    return EvalResult(world.all_gather(rows, len(dataset)), loss / max(1, targets), [])
