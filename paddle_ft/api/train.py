"""Train a recipe from Python."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddle_ft.api.arguments import check_overrides, require_paddle
from paddle_ft.api.run import Run
from paddle_ft.config.load import load_config
from paddle_ft.config.sample import describe_replaced
from paddle_ft.config.schema import BaseConfig
from paddle_ft.system.errors import UserError
from paddle_ft.system.plugins import import_user_modules
from paddle_ft.system.progress import print_info
from paddle_ft.system.runtime import import_frameworks_quietly, prepare_cpu
from paddle_ft.system.world import launched_processes

if TYPE_CHECKING:
    from paddle_ft.training.signals import Interrupted


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C, or a notebook's button, has stopped a training. The message says how to go on."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows: the message alone."""
        return [str(self)]


def train(
    config: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    sample: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    imports: Sequence[str] = (),
) -> Run:
    """Train a recipe, evaluate the best checkpoint, and write the report.

    The training runs in this process, on the device of the key `device`: "auto" (a GPU if there is one), "cpu" or "gpu". To choose
    a GPU, set CUDA_VISIBLE_DEVICES before the first training. Several devices need several processes: use the command line,
    `python -m paddle_ft train --devices 0,1`.

    Ctrl-C, or a notebook's stop button, ends the training after the running step. The step is saved first, and the message says
    how to resume. Before the first step nothing is saved, and the message says how to start again. This works in the main thread
    only, because Python delivers signals there.

    >>> import paddle_ft
    >>> run = paddle_ft.train("bart_lcsts", {"train.learning_rate": 3e-5}, sample=True)
    >>> run.results["status"]
    'finished'

    Args:
        config: a recipe such as "bart_lcsts", or the path of a YAML file. The config.yaml of a run repeats or resumes the run.
        overrides: section.key -> value, such as {"train.learning_rate": 3e-5, "data.train": "my.tsv"}.
        sample: use the recipe's sample: generated text and a small model, a few minutes on a CPU.
        resume: continue the run in output_dir.
        overwrite: replace the run in output_dir.
        imports: modules with a task, source, format, metrics or architecture of your own (docs/extend.md).

    Returns:
        The finished run. Its model is loaded when it is first used.

    Raises:
        UserError: the configuration, the data, the machine or the directory has a problem.
        KeyboardInterrupt: the training was interrupted. It is saved, if any step was trained.
    """
    prepare_cpu()
    if launched_processes() > 1:
        raise UserError(
            "train: this process is one of several that a launcher has started, but train runs in a single process."
            " Use the command line: python -m paddle_ft train --config NAME --devices 0,1."
        )
    if resume and overwrite:
        raise UserError("resume and overwrite exclude each other: continue the run, or replace it.")
    try:
        import_user_modules(imports)
        settings = load_config(os.fspath(config), check_overrides(overrides), sample)
        if sample and (replaced := describe_replaced(os.fspath(config), check_overrides(overrides))):
            print_info(_in_python(replaced))
        return _train(settings, resume, overwrite, imports)
    except UserError as error:
        error.args = (_in_python(str(error)),)
        raise


def _train(config: BaseConfig, resume: bool, overwrite: bool, imports: Sequence[str]) -> Run:
    """Train a checked configuration. Raise TrainingInterrupted if a signal stops the training."""
    from paddle_ft.data.load import check_local_files
    from paddle_ft.runs.directory import RunDirectory
    from paddle_ft.runs.settings import describe_finished, is_finished, refuse_early
    from paddle_ft.tasks import find_task

    refuse_early(config, resume, overwrite)
    if resume and is_finished(config, run := RunDirectory(config.output_dir)):
        print_info(describe_finished(config, run))
        return Run(run.path, config)
    check_local_files(config.data, find_task(config.task.name).file_source)
    require_paddle()
    import_frameworks_quietly()
    from paddle_ft.training import run as training
    from paddle_ft.training.signals import Interrupted

    try:
        return Run(training.train(config, resume, overwrite).path, config)
    except Interrupted as interruption:
        message = _continuation_advice(config, imports, interruption)
        if interruption.number != signal.SIGINT:  # by default SIGTERM ends the process; the caller may have a handler
            print(message, flush=True)
            os.kill(os.getpid(), interruption.number)
        raise TrainingInterrupted(message) from None


def _continuation_advice(config: BaseConfig, imports: Sequence[str], interruption: Interrupted) -> str:
    """Return the message of an interrupted training, which says how to resume it or how to start it again."""
    from paddle_ft.training.checkpoint import has_checkpoint
    from paddle_ft.training.run import NOT_STARTED, NOTHING_SAVED

    folder = Path(config.output_dir).expanduser()
    if not interruption.has_directory:
        return f"stopped: {NOT_STARTED}"
    saved = has_checkpoint(folder)
    what, argument = ("stopped and saved; resume with", "resume") if saved else (f"stopped: {NOTHING_SAVED}", "overwrite")
    modules = f", imports={list(imports)!r}" if imports else ""
    return f"{what}:\n  paddle_ft.train({str(folder / 'config.yaml')!r}, {argument}=True{modules})"


def _in_python(message: str) -> str:
    """Return a message of the command line with the arguments of `train` instead of flags."""
    flags = {"--resume": "resume=True", "--overwrite": "overwrite=True", "--sample": "sample=True", "--config ": "config "}
    for flag, argument in flags.items():
        message = message.replace(flag, argument)
    return message
