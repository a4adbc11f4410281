"""Find out before a training whether the directory of its run can be used, and whether it was started with the same settings."""

from __future__ import annotations

import shlex
from pathlib import Path

from paddle_ft.config.load import load_config
from paddle_ft.config.schema import BaseConfig
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.errors import UserError
from paddle_ft.system.installation import train_program

# Settings that may change when a run is resumed, because they do not change the results.
FREE_SETTINGS = ("output_dir", "device", "tracking.", "eval.", "train.save_steps", "train.logging_steps",
                 "train.keep_checkpoints", "train.recompute", "data.cache", "recipe")  # fmt: skip
LENGTH = ("train.max_steps", "train.num_train_epochs")  # may change if the schedule of the steps so far does not depend on them


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


def refuse_shorter(num_steps: int, steps: int) -> None:
    """Raise UserError if a training that is resumed with another length would end before the steps that it already has."""
    if num_steps < steps:
        raise UserError(f"--resume: the run has {steps:,} steps already, more than the {num_steps:,} that it is to have now.")


def refuse_other_config(config: BaseConfig, run: RunDirectory, is_one_of_many: bool = False) -> bool:
    """Raise UserError if a setting that changes what the run has computed differs from the run's.

    Args:
        config: the configuration.
        run: the run's directory.
        is_one_of_many: whether a command for several runs trains it, which has no --resume.

    Returns:
        Whether the training has another length than before, which does not change what the run has computed.
    """
    before = _own_config(run)
    then, now = flatten(before.model_dump()), flatten(config.model_dump())
    changed = [k for k in sorted({*then, *now}) if then.get(k) != now.get(k) and not k.startswith(FREE_SETTINGS)]
    if not changed:
        return False
    if set(changed) <= set(LENGTH):
        if _past_depends_on_length(config, run.trained_steps()):
            raise UserError(_describe_length_problem(config, before, run))
        return True
    lines = "\n".join(f"  {k}: {then.get(k)!r} then, {now.get(k)!r} now" for k in changed)
    if is_one_of_many:
        raise UserError(
            f"the run in {run.path} was started with other settings:\n{lines}\n"
            "Continue with the settings of the first call, or name another folder for all runs with output_dir=ANOTHER."
        )
    raise UserError(
        f"--resume: the run in {run.path} was started with other settings:\n{lines}\n"
        f"Resume with its own settings: --config {run / 'config.yaml'} --resume; or start a new run with another output_dir."
    )


def refuse_run(folder: Path, content: str) -> None:
    """Raise UserError if the folder for many runs is the directory of a run. `content` says what it is for: "all seeds"."""
    if RunDirectory(folder).is_run():
        raise UserError(f"output_dir: {folder} is a run itself; name a folder for {content} with output_dir=ANOTHER.")


def is_finished(config: BaseConfig, run: RunDirectory) -> bool:
    """Return whether a run is complete and has exactly these settings, so that there is nothing to resume."""
    written = all((run / name).exists() for name in ("best", "last", "report.html", "best/README.md"))  # the card is the last
    if not (written and run.is_finished()):
        return False
    then, now = flatten(_own_config(run).model_dump()), flatten(config.model_dump())
    return {**then, "output_dir": None} == {**now, "output_dir": None}


def describe_finished(config: BaseConfig, run: RunDirectory, done: str = "there is nothing to resume") -> str:
    """Return the line that says that a training is finished already, with the command that goes on from its model.

    Args:
        config: the run's configuration.
        run: the run's directory.
        done: what is done instead.
    """
    steps = run.trained_steps()
    longer = "" if _past_depends_on_length(config, steps) else " --resume train.num_train_epochs=N makes it longer."
    more = f"A new run goes on from its model: {new_run_command(config)}"
    return f"{run.path}: this training is finished already, after {steps:,} steps; {done}.{longer} {more}"


def new_run_command(config: BaseConfig, *settings: str) -> str:
    """Return the command of a new run that goes on from the best model of the run in output_dir.

    Args:
        config: the run's configuration.
        settings: further settings of the new run.
    """
    folder = Path(config.output_dir).expanduser()
    overrides = [f"model.pretrained={folder / 'best'}", f"output_dir={folder}-more", *settings]
    built = ("config", "new_vocabulary", "tokenizer")
    overrides += [f"model.{name}=null" for name in built if getattr(config.model, name) is not None]
    return f"{train_program()} --config {shlex.quote(str(folder / 'config.yaml'))} {shlex.join(overrides)}"


def _own_config(run: RunDirectory) -> BaseConfig:
    """Return the run's configuration; a setting that did not exist yet has its default. Raise UserError if it is damaged."""
    try:
        return load_config(str(run / "config.yaml"))
    except UserError as error:
        raise UserError(f"--resume: {run / 'config.yaml'} cannot be used: {error}\nStart again with --overwrite.") from None


def _past_depends_on_length(config: BaseConfig, steps: int) -> bool:
    """Return whether the learning rate of the first `steps` steps would be another one if the training were longer."""
    section = config.train
    if steps == 0:
        return False
    if section.warmup_steps == 0 and section.warmup_proportion > 0:
        return True  # the warm-up is a share of the length
    return section.lr_scheduler_type == "linear" and steps > section.warmup_steps + 1


def _describe_length_problem(config: BaseConfig, before: BaseConfig, run: RunDirectory) -> str:
    """Return why a run cannot be lengthened, and the command of a new run that trains the rest."""
    section, old, steps = config.train, before.train, run.trained_steps()
    if section.max_steps > 0:
        settings = [f"train.max_steps={section.max_steps - steps}"] if section.max_steps > steps else []
    else:
        rest = section.num_train_epochs - (old.num_train_epochs if old.max_steps <= 0 else run.last_logged()[1])
        settings = [f"train.num_train_epochs={round(rest, 4):g}"] if rest > 0 else []
        settings += ["train.max_steps=-1"] if old.max_steps > 0 else []
    changed = [name for name in ("num_train_epochs", "max_steps") if getattr(old, name) != getattr(section, name)]
    lines = ", ".join(f"train.{name}: {getattr(old, name):g} then, {getattr(section, name):g} now" for name in changed)
    return (
        f"--resume: {lines}: the learning rate of the {steps:,} steps in {run.path} followed the length that was planned then."
        f" A new run goes on from its model: {new_run_command(before, *settings)}\n"
        "(A run can be lengthened if it has train.lr_scheduler_type=constant_with_warmup, and train.warmup_steps or"
        " train.warmup_proportion=0.)"
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
