"""Resume a run: find its newest intact checkpoint, check that the settings still fit, and restore the state."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from paddle_ft.config.describe import to_yaml
from paddle_ft.config.schema import BaseConfig
from paddle_ft.data.rows import Rows
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.settings import describe_finished, refuse_other_config
from paddle_ft.system.decisions import DECISIONS, print_decisions, unique
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import print_info
from paddle_ft.system.world import World
from paddle_ft.training import checkpoint as checkpoints
from paddle_ft.training.loop import TrainLoop, TrainState, load_state


@dataclass
class Start:
    """Where a training starts: at a checkpoint, or at the beginning if it is None.

    Attributes:
        checkpoint: the checkpoint's directory.
        tracker_ids: the trackers' run ids of the earlier part.
        lengthened: whether the training has another length than before.
        step: number of steps that the checkpoint has.
    """

    checkpoint: Path | None = None
    tracker_ids: dict = field(default_factory=dict)
    lengthened: bool = False
    step: int = 0


def find_start(config: BaseConfig, run: RunDirectory, world: World) -> Start:
    """Find the checkpoint that a run is resumed from. Every rank must call this.

    Raises:
        UserError: all checkpoints are damaged, or the settings or the number of processes have changed.
    """
    if world.is_main:
        checkpoints.recover(run.path)
    world.barrier()
    checkpoint = checkpoints.newest_checkpoint(run.path)
    state = load_state(checkpoint) if checkpoint else TrainState(world_size=world.world_size)
    lengthened = refuse_other_config(config, run)
    refuse_other_world_size(state, world)
    return Start(checkpoint, state.tracker_ids, lengthened, state.step)


def restore(loop: TrainLoop, checkpoint: Path) -> None:
    """Restore the state of a training, and print where it continues."""
    loop.resume(checkpoint)
    print_info(f"resuming at step {loop.state.step} of {loop.stepper.num_steps} from {checkpoint}")
    if loop.state.step >= loop.stepper.num_steps or loop.state.stopped_early:
        print_info(describe_finished(loop.task.config, loop.run, "only its scores are computed again"))


def lengthen(figures: dict, config: BaseConfig, run: RunDirectory) -> dict:
    """Note in a run's files that its training is longer than planned at first. Return what results.json has until it ends."""
    section = config.train
    epochs, steps = f"train.num_train_epochs={section.num_train_epochs:g}", f"train.max_steps={section.max_steps}"
    length = steps if section.max_steps > 0 else epochs
    said = f"{length} since the run was resumed after {run.trained_steps():,} steps: the training is longer than planned at first"
    print_decisions([said])
    unfinished = {name: value for name, value in figures.items() if name not in ("metrics", "best", "train")}
    unfinished |= {"status": "training", DECISIONS: unique(figures.get(DECISIONS, []), [said])}
    run.write_config(to_yaml(config))
    run.write_results(unfinished)
    return unfinished


def refuse_other_data(run: RunDirectory, rows: dict[str, Rows]) -> None:
    """Raise UserError if the rows of a split are not those that the run was started with.

    Runs of version 0.1 have not kept what this compares.
    """
    before = run.results().get("data", {})
    for split, loaded in rows.items():
        known, now = before.get(split, {}).get("fingerprint"), loaded.fingerprint()
        if known is not None and known != now:
            raise UserError(
                f"--resume: the rows of {split} are not those that the run was started with (fingerprint {known} then, {now} now)."
                " Its files have been changed, or another version of the program reads them in another way. Put the files back,"
                " or start a new run with another output_dir."
            )


def refuse_other_world_size(state: TrainState, world: World) -> None:
    """Raise UserError if the run was trained by another number of processes, because its steps would use other rows."""
    before, now = state.world_size, world.world_size
    if before != now:
        raise UserError(
            f"--resume: the run was trained by {before} process{'es' if before > 1 else ''}, now there"
            f" {'are' if now > 1 else 'is'} {now}. Its steps would use other rows; use the same number of devices."
        )
