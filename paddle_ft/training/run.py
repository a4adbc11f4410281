"""A training from configuration to report: prepare, check, train, measure."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path

import paddle

from paddle_ft.config.describe import to_yaml
from paddle_ft.config.load import load_config
from paddle_ft.config.schema import BaseConfig
from paddle_ft.data import load
from paddle_ft.data.download import download_missing
from paddle_ft.data.rows import Rows
from paddle_ft.models.lora import count_parameters
from paddle_ft.runs.directory import RunDir
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import say
from paddle_ft.system.runtime import choose_device, on_cpu, peak_memory_mb, seed_everything, settings_in_force
from paddle_ft.system.world import World
from paddle_ft.tasks import find_task
from paddle_ft.tasks.base import Dataset, Scores, Task
from paddle_ft.training import checkpoint
from paddle_ft.training.distributed import process_group as distributed
from paddle_ft.training.distributed.sharding import check_sharding
from paddle_ft.training.loop import Loop
from paddle_ft.training.results import Prepared, final_results, first_results
from paddle_ft.training.signals import Interrupts
from paddle_ft.training.step import Stepper
from paddle_ft.training.trackers import Trackers

SPLITS = ("train", "validation", "test")


# ---------------------------------------------------------------------------------------------------- preparing
def load_rows(config: BaseConfig, task: Task) -> dict[str, Rows]:
    """Rows of every split that is configured. Raises UserError if there are none to train on."""
    rows = {}
    for split in SPLITS:
        loaded = load.load_split(config.data, split, required=task.fields, optional=task.optional_fields)
        if loaded is not None:
            rows[split] = loaded
    if "train" not in rows:
        raise UserError("data: there are no training rows: set data.train.")
    for split, loaded in rows.items():
        if loaded.bad:
            say(f"{split}: {len(loaded.bad)} bad rows skipped, the first: {loaded.bad[0]}")
    return task.arrange(rows)


def prepare(config: BaseConfig, folder: Path, checkpoint_directory: Path | None = None, world: World | None = None) -> Prepared:
    """Device, files, rows, model, features. `folder` is for a tokenizer that is built here."""
    world = world or World()
    device = paddle.get_device() if world.size > 1 else choose_device(config.device)  # a group has chosen its devices
    chosen = settings_in_force() if device == "cpu" else []
    say(", ".join([f"device: {device}", *([f"{world.size} processes"] if world.size > 1 else []), *chosen]))
    _check_precision(config)
    task = find_task(config.task.name)(config)
    task.world = world
    if world.is_main:
        ensure_files(config, task)
    world.wait()
    rows = load_rows(config, task)
    seed_everything(config.seed)
    if checkpoint_directory is not None:
        task.reload_model(checkpoint_directory)
    else:
        task.load_model(folder, rows["train"])
    data = {split: task.encode(loaded, split) for split, loaded in rows.items()}
    for split, dataset in data.items():
        say(f"{split}: {describe_data(dataset)}")
    return Prepared(task, data)


def ensure_files(config: BaseConfig, task: Task) -> None:
    """Fetches what the data and the model need. Raises one UserError that names all that cannot be had."""
    load.check_local_files(config.data)
    problems = []
    for fetch in (lambda: download_missing(load.list_remote_files(config.data)), task.ensure_model_files):
        try:
            fetch()
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("\n\n".join(problems))


def describe_data(dataset: Dataset) -> str:
    info = dict(dataset.info)
    parts = [f"{info.pop('rows'):,} rows"]
    for name in [n for n in info if n.startswith("truncated_") and not n.endswith("_share")]:
        if info[name]:
            parts.append(f"{info[name]:,} cut at max_{name.removeprefix('truncated_')}_length ({info[name + '_share']:.1%})")
    if info.get("bad_rows"):
        parts.append(f"{info['bad_rows']} bad rows skipped")
    return ", ".join(parts)


def _check_precision(config: BaseConfig) -> None:
    if config.train.use_amp and on_cpu():
        raise UserError("train.use_amp: Paddle has no mixed precision on a CPU. Leave it off, or set device=gpu on a GPU machine.")


# ---------------------------------------------------------------------------------------------------- --check
def check(config: BaseConfig) -> None:
    """Loads everything, evaluates two batches, trains one step, and prints what the model sees and what it will cost."""
    run = RunDir(config.output_dir)
    run.check_writable()
    run.release()
    with tempfile.TemporaryDirectory() as name, explained_memory_errors():
        folder = Path(name)
        prepared = prepare(config, folder / "tokenizer")
        task, train = prepared.task, prepared.data["train"]
        print(f"\nexamples as the model sees them\n\n{task.preview(train)}\n")
        count, trained = count_parameters(task.model)
        print(f"parameters          {count:,}" + (f", of them trained {trained:,}" if trained < count else ""))

        evaluation_seconds = 0.0
        for split, seconds in _try_out(prepared, RunDir(folder)).items():
            batches = -(-len(prepared.data[split]) // config.eval.eval_batch_size)
            if split == "validation":
                evaluation_seconds = seconds / min(2, batches) * batches
            print(f"two batches         {split} evaluated in {seconds:.1f} s")

        task.model.train()
        stepper = Stepper(task, train, RunDir(folder), World())
        first, _ = stepper.take(0)
        second, _ = stepper.take(1)
        stepper.close()
        print(
            f"one training step   loss {float(first.loss) / first.work.targets:.4f}, {first.seconds:.2f} s,"
            f" the next {second.seconds:.2f} s"
        )
        print(f"steps               {stepper.total:,} ({stepper.steps_per_epoch:,} an epoch)")
        print(f"estimated training  {duration(second.seconds * stepper.total)}, and {duration(evaluation_seconds)} an evaluation")
        print(f"memory              {peak_memory_mb():,.0f} MB used so far; weights, gradients and AdamW's states"
              f" take {(count * 4 + trained * 12) / 1e6:,.0f} MB of it")
        if config.train.sharding != "none":
            print(f"sharding            {config.train.sharding} is not tried: --check runs in one process")
        print("\ncheck passed: everything loads, evaluates and trains")


def _untracked(config: BaseConfig) -> BaseConfig:
    return config.model_copy(update={"tracking": type(config.tracking)()})


def two_batches(task: Task, dataset: Dataset) -> tuple[Scores, float]:
    """Evaluates two batches, so that a broken evaluation fails now and not after the first epoch. Returns also the seconds."""
    began = time.perf_counter()
    scores = task.evaluate(dataset.head(2 * task.config.eval.eval_batch_size), f"try two batches of {dataset.split}")
    return scores, time.perf_counter() - began


def duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


# ---------------------------------------------------------------------------------------------------- training
def train(config: BaseConfig, resume: bool = False, overwrite: bool = False) -> RunDir:
    """Trains and measures. Returns the run's directory; Interrupted passes through after a checkpoint is saved."""
    world = distributed.join()
    run = RunDir.claim(config.output_dir, resume, overwrite) if world.is_main else RunDir(config.output_dir, silent=True)
    try:
        with Interrupts() as interrupts, explained_memory_errors():
            _train(config, resume, overwrite, world, run, interrupts)
    finally:
        run.release()
    return run


def _train(config: BaseConfig, resume: bool, overwrite: bool, world: World, run: RunDir, interrupts: Interrupts) -> None:
    if resume and world.is_main:
        checkpoint.recover(run.path)
    world.wait()
    start = checkpoint.newest(run.path) if resume else None
    state = checkpoint.read_state(start) if start else {}
    if resume:
        refuse_other_config(config, run)
        _refuse_other_world(state, world)
    check_sharding(config.train.sharding, world)
    with tempfile.TemporaryDirectory(prefix="paddle_ft-") as folder:
        prepared = prepare(config, Path(folder), start, world)
    check_sharding(config.train.sharding, world, prepared.task.model)
    _try_out(prepared, run)
    stepper = Stepper(prepared.task, prepared.data["train"], run, world)  # refuses settings, so before an old run is cleared

    if not start:
        if world.is_main:
            run.clear()
        run.write_config(to_yaml(config))
    run.write_texts(prepared.task.run_files())
    world.wait()
    trackers = Trackers(config, run.path, state.get("tracker_ids")) if world.is_main else Trackers(_untracked(config), run.path)
    try:
        results = run.results() if start else {}
        results = results or first_results(config, prepared, run)
        validation = prepared.data.get("validation")
        loop = Loop(prepared.task, stepper, validation, run, trackers, world, interrupts)
        if start:
            loop.resume(start)
            say(f"resuming at step {loop.state.step} of {loop.stepper.total} from {start}")
            if loop.state.step >= loop.stepper.total or loop.state.stopped_early:
                say("this training has finished; only its scores are computed again")
        loop.fit()
        final_results(results, loop, prepared, run)
    finally:
        trackers.close()


def _refuse_other_world(state: dict, world: World) -> None:
    before = state.get("world_size", world.size)
    if before != world.size:
        raise UserError(
            f"--resume: the run was trained by {before} process{'es' if before > 1 else ''}, now there"
            f" {'are' if world.size > 1 else 'is'} {world.size}. Its steps would take other rows; use the same number of devices."
        )


def _try_out(prepared: Prepared, run: RunDir) -> dict[str, float]:
    """What can be known to fail before hours are spent: evaluation, the metric to choose by, disk space.

    Returns the seconds that two batches of each split took.
    """
    config, task = prepared.task.config, prepared.task
    seconds = {}
    for split, dataset in prepared.measured.items():
        scores, seconds[split] = two_batches(task, dataset)
        wanted = config.eval.best_metric or task.best_metric
        figures = [name for name, value in scores.metrics.items() if isinstance(value, (int, float))]
        if split == "validation" and wanted not in figures:
            raise UserError(f"eval.best_metric: {wanted!r} is no figure of {task.name}; it reports {', '.join(figures)}.")
    if "validation" not in prepared.data:
        needing = [n for n in ("best_metric", "early_stopping_patience") if getattr(config.eval, n) is not None]
        if needing:
            names = " and ".join(f"eval.{name}" for name in needing)
            raise UserError(f"{names}: there is no validation split to choose or stop by: set data.validation.")
    count, trained = count_parameters(task.model)
    checkpoint.check_space(run.path, count, config.train.keep_checkpoints, trained)
    return seconds


@contextlib.contextmanager
def explained_memory_errors():
    """Turns "out of memory" of the device or the host into advice."""
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


def refuse_other_config(config: BaseConfig, run: RunDir) -> None:
    """A resumed run computes what the run never stopped computes; settings that would change that are refused."""
    free = ("output_dir", "device", "tracking.", "eval.", "train.save_steps", "train.logging_steps",
            "train.keep_checkpoints", "train.recompute", "data.cache", "recipe")  # fmt: skip
    try:  # a setting that the run did not have yet gets its default
        before = flat(load_config(str(run / "config.yaml")).model_dump())
    except UserError as error:
        raise UserError(f"--resume: {run / 'config.yaml'} cannot be used: {error}\nStart again with --overwrite.") from None
    now = flat(config.model_dump())
    changed = [k for k in sorted({*before, *now}) if before.get(k) != now.get(k) and not k.startswith(free)]
    if changed:
        lines = "\n".join(f"  {k}: {before.get(k)!r} then, {now.get(k)!r} now" for k in changed)
        raise UserError(
            f"--resume: the run in {run.path} was started with other settings:\n{lines}\n"
            f"Go on with its own: --config {run / 'config.yaml'} --resume; or start a new run with another output_dir."
        )


def flat(data: dict, prefix: str = "") -> dict:
    """Nested mapping -> dotted keys."""
    out = {}
    for key, value in data.items():
        if isinstance(value, dict) and value:
            out.update(flat(value, f"{prefix}{key}."))
        else:
            out[f"{prefix}{key}"] = value
    return out
