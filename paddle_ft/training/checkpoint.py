"""Write, find, read and remove the checkpoints of a training.

A checkpoint is a directory that plain PaddleNLP loads. Its folder trainer/ has what a resumed training needs:
optimizer.safetensors (optimizer states by parameter name), state.json, and checksums.json (sha256 of every file).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from paddle_ft.runs.directory import BEST_NOTE
from paddle_ft.runs.integrity import find_damage, write_directory
from paddle_ft.system import paddle_compat
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import read_object, to_json
from paddle_ft.system.formatting import format_size
from paddle_ft.system.progress import print_info


def recover(run: Path) -> None:
    """Clean up after a killed process: remove incomplete files, and restore best/ and last/ if they were being replaced."""
    for leftover in run.glob(".*.tmp-*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    for name in ("best", "last"):
        old = run / f".{name}.old"
        if old.is_dir() and not (run / name).exists():
            os.rename(old, run / name)
        elif old.is_dir() and find_damage(run / name) is None:
            shutil.rmtree(old, ignore_errors=True)


def write_best(run: Path, save: Callable[[Path], None], step: int, epoch: float) -> None:
    """Write best/, with a note of the step that it is.

    Args:
        run: the run's directory.
        save: writes model and tokenizer into a directory.
        step, epoch: what has been trained so far.
    """

    def fill(best: Path) -> None:
        save(best)
        (best / "trainer").mkdir(exist_ok=True)
        (best / "trainer" / BEST_NOTE).write_text(to_json({"step": step, "epoch": round(epoch, 4)}))

    write_directory(run / "best", fill)


def write_last(run: Path, count: int, fill: Callable[[Path], None]) -> None:
    """Write last/. If more than one checkpoint is kept, the previous last/ is renamed to checkpoint-STEP.

    Old checkpoints are removed only after the new one is complete, because until then one of them may be the only intact one.

    Args:
        run: the run's directory.
        count: number of checkpoints to keep.
        fill: writes the files of the checkpoint into a directory.
    """
    last = run / "last"
    if count > 1 and last.is_dir() and find_damage(last) is None:
        target = run / f"checkpoint-{read_state(last)['step']:08d}"
        shutil.rmtree(target, ignore_errors=True)
        os.rename(last, target)
    write_directory(last, fill)
    for path in _older_checkpoints(run)[count - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


def _older_checkpoints(run: Path) -> list[Path]:
    """Return the checkpoint-STEP directories, newest first."""
    return sorted(run.glob("checkpoint-*"), reverse=True)


def _all_checkpoints(run: Path) -> list[Path]:
    """Return the directories of all checkpoints, newest first. They may be damaged."""
    return [path for path in (run / "last", run / ".last.old", *_older_checkpoints(run)) if path.is_dir()]


def has_checkpoint(run: Path) -> bool:
    """Return whether a checkpoint has been saved, without a check that it is intact."""
    return bool(_all_checkpoints(run))


def newest_checkpoint(run: Path) -> Path | None:
    """Return the newest intact checkpoint: last/, or an older one if last/ is damaged. Return None without any checkpoint.

    Raises:
        UserError: all checkpoints are damaged.
    """
    candidates = _all_checkpoints(run)
    for path in candidates:
        problem = find_damage(path)
        if problem is None:
            return path
        print_info(f"warning: checkpoint {path} is damaged ({problem}) and is skipped")
    if candidates:
        raise UserError(f"--resume: all checkpoints in {run} are damaged. Start again with --overwrite.")
    return None


def check_space(run: Path, parameters: int, keep: int, trained: int | None = None) -> None:
    """Raise UserError if the checkpoints will not fit on the disk.

    A training checkpoint takes 12 bytes for each parameter (weights and AdamW's two moments in float32), best/ takes 4. While a
    checkpoint is written, the previous one still exists. Frozen parameters have no moments, but with LoRA the weights are stored
    twice: merged and not merged.

    Args:
        run: the run's directory.
        parameters: number of the model's parameters.
        keep: number of checkpoints to keep.
        trained: number of parameters that are trained; default: all.
    """
    trained = parameters if trained is None else trained
    checkpoint = parameters * 4 + trained * 8 + (parameters * 4 if trained < parameters else 0)
    needed = checkpoint * (keep + 1) + parameters * 4 * 2
    free = shutil.disk_usage(run).free
    if free < needed:
        raise UserError(
            f"output_dir: {run} has {format_size(free)} free, but the checkpoints of this training take about"
            f" {format_size(needed)}. Choose an output_dir on another disk"
            + (", or lower train.keep_checkpoints." if keep > 1 else ".")
        )


# ---------------------------------------------------------------------------------------------------- training state
def save_trainer(directory: Path, arrays: dict, state: dict) -> None:
    """Write `arrays` (from optimizer_arrays) and `state` (a TrainState as a dictionary) into directory/trainer."""
    from safetensors.numpy import save_file

    folder = directory / "trainer"
    folder.mkdir(exist_ok=True)
    save_file(arrays, str(folder / "optimizer.safetensors"))
    (folder / "state.json").write_text(to_json(state, indent=1))


def read_state(directory: Path) -> dict:
    """Return the training state of a checkpoint, a loop.TrainState as a dictionary. Raise UserError if it is damaged."""
    state = read_object(directory / "trainer" / "state.json")
    if not isinstance(state.get("step"), int):
        raise state_error(directory, f"step: {state.get('step')!r}")
    return state


def state_error(directory: Path, problem: str) -> UserError:
    """Return the error for a state that this version cannot use: the checkpoint is damaged, or from a newer version."""
    return UserError(
        f"{directory / 'trainer' / 'state.json'}: this state of a training cannot be used ({problem}). Resume with the version of"
        " paddle_ft that wrote it, or start again with --overwrite."
    )


def _model_names(model) -> dict[str, str]:
    """Return Paddle's name -> name in the model of each parameter. Paddle's names depend on the order of creation."""
    return {parameter.name: name for name, parameter in model.named_parameters()}


def optimizer_arrays(model, optimizer) -> dict:
    """Return the optimizer's states: "parameter::state" -> NumPy array."""
    import numpy as np
    import paddle

    names = sorted(_model_names(model).items(), key=lambda item: -len(item[0]))
    arrays = {}
    for key, value in optimizer.state_dict().items():
        if key == "master_weights":
            arrays.update({f"{_model_names(model)[n]}::master": np.ascontiguousarray(v.numpy()) for n, v in value.items()})
        elif isinstance(value, paddle.Tensor):
            paddle_name, name = next(item for item in names if key.startswith(item[0] + "_"))
            arrays[f"{name}::{key[len(paddle_name) + 1 :]}"] = np.ascontiguousarray(value.numpy())
    return arrays


def _read_arrays(path: Path) -> dict:
    """Return the arrays of a safetensors file. Raise UserError if it is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(str(path))
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


def load_optimizer(directory: Path, model, optimizer) -> None:
    """Load a checkpoint's optimizer states into a new optimizer, for the parameters that the optimizer updates."""
    import paddle

    updated = {parameter.name for parameter in paddle_compat.optimizer_parameters(optimizer)}
    paddle_names = {name: paddle_name for paddle_name, name in _model_names(model).items() if paddle_name in updated}
    states: dict = {}
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    for key, array in _read_arrays(directory / "trainer" / "optimizer.safetensors").items():
        name, _, state = key.partition("::")
        if name not in paddle_names:
            continue
        if array.size != 1 and array.shape != shapes[name]:
            raise UserError(f"{directory}: {key} of the optimizer is {list(array.shape)}, but the weight is {list(shapes[name])}")
        tensor = paddle.to_tensor(array)
        if state == "master":
            states.setdefault("master_weights", {})[paddle_names[name]] = tensor
        else:
            states[f"{paddle_names[name]}_{state}"] = tensor
    optimizer.set_state_dict(states)
