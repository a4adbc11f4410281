"""Find out before a training whether the directory of its run can be used, and whether it was started with the same settings."""

from __future__ import annotations

from paddle_ft.config.load import load_config
from paddle_ft.config.schema import BaseConfig
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.errors import UserError

# Settings that may change when a run is resumed, because they do not change the results.
FREE_SETTINGS = ("output_dir", "device", "tracking.", "eval.", "train.save_steps", "train.logging_steps",
                 "train.keep_checkpoints", "train.recompute", "data.cache", "recipe")  # fmt: skip


def refuse_early(config: BaseConfig, resume: bool, overwrite: bool) -> None:
    """Raise UserError for a directory or for settings that the training would refuse later, after it has imported paddle.

    The training checks them again, because another process may have changed the directory.

    Args:
        config: the configuration.
        resume: whether the run in output_dir is continued.
        overwrite: whether the run in output_dir may be replaced.
    """
    run = RunDirectory(config.output_dir)
    run.refuse_unusable(resume, overwrite)
    if resume:
        refuse_other_config(config, run)


def refuse_other_config(config: BaseConfig, run: RunDirectory) -> None:
    """Raise UserError if a setting that changes the results differs from the run's."""
    try:  # a setting that did not exist yet gets its default
        before = flatten(load_config(str(run / "config.yaml")).model_dump())
    except UserError as error:
        raise UserError(f"--resume: {run / 'config.yaml'} cannot be used: {error}\nStart again with --overwrite.") from None
    now = flatten(config.model_dump())
    changed = [k for k in sorted({*before, *now}) if before.get(k) != now.get(k) and not k.startswith(FREE_SETTINGS)]
    if changed:
        lines = "\n".join(f"  {k}: {before.get(k)!r} then, {now.get(k)!r} now" for k in changed)
        raise UserError(
            f"--resume: the run in {run.path} was started with other settings:\n{lines}\n"
            f"Resume with its own settings: --config {run / 'config.yaml'} --resume; or start a new run with another output_dir."
        )


def flatten(data: dict, prefix: str = "") -> dict:
    """Return a nested mapping as one with dotted keys."""
    out = {}
    for key, value in data.items():
        if isinstance(value, dict) and value:
            out.update(flatten(value, f"{prefix}{key}."))
        else:
            out[f"{prefix}{key}"] = value
    return out
