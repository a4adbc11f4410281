"""Resume a run: find its newest intact checkpoint, check that the settings still fit, and restore the state."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from paddle_ft.config.schema import BaseConfig
from paddle_ft.data.rows import Rows
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.settings import refuse_other_config
from paddle_ft.system.errors import UserError
from paddle_ft.system.installation import train_program
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
    """

    checkpoint: Path | None = None
    tracker_ids: dict = field(default_factory=dict)


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
    refuse_other_config(config, run)
    refuse_other_world_size(state, world)
    return Start(checkpoint, state.tracker_ids)


def restore(loop: TrainLoop, checkpoint: Path) -> None:
    """Restore the state of a training, and print where it continues."""
    loop.resume(checkpoint)
    print_info(f"resuming at step {loop.state.step} of {loop.stepper.num_steps} from {checkpoint}")
    if loop.state.step >= loop.stepper.num_steps or loop.state.stopped_early:
        print_info(describe_finished(loop.task.config))


def describe_finished(config: BaseConfig) -> str:
    """Return the line that says that a training is finished already, with the command that goes on from its model."""
    folder = Path(config.output_dir).expanduser()
    settings = [f"model.pretrained={folder / 'best'}", f"output_dir={folder}-more"]
    settings += [f"model.{name}=null" for name in ("config", "new_vocabulary") if getattr(config.model, name) is not None]
    command = f"{train_program()} --config {shlex.quote(str(folder / 'config.yaml'))} {shlex.join(settings)}"
    return f"this training is finished already; only its scores are computed again. A new run goes on from its model: {command}"


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
