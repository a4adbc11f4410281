"""Train a recipe with many settings, choose the best by validation, train it again, and score it once on test.

Every trial is a run of its own. One that has ended is not trained again, and one that was stopped goes on, so that the same command
continues the whole wherever it was stopped or killed.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence

from convert.terminal import message, traceback_of
from paddle_ft.config.schema import BaseConfig
from paddle_ft.experiments.parallel import Job, run_jobs
from paddle_ft.experiments.sweep_plan import Plan
from paddle_ft.experiments.sweep_results import (
    FINISHED,
    UNFINISHED,
    WAITING,
    Trial,
    choose,
    describe_tie,
    explained,
    read_trials,
    summarize_sweep,
    validation_scores,
)
from paddle_ft.experiments.sweep_space import describe_settings
from paddle_ft.experiments.sweep_study import Trials, open_trials
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.settings import refuse_other_config
from paddle_ft.system.errors import FTError, UserError
from paddle_ft.system.files import WriteError
from paddle_ft.system.formatting import format_duration, is_number
from paddle_ft.system.progress import print_info
from paddle_ft.training.stop_rule import StopRule

Train = Callable[[BaseConfig, bool, StopRule | None], object]
"""Train a run, called with its configuration, whether to resume, and what ends it early."""


class Sweep:
    """A sweep in its folder.

    Args:
        plan: the sweep. What sweep.json has of an earlier call is taken over.
        without_failed: whether trials that have failed are left out; else they are tried again.

    Raises:
        UserError: the folder has another sweep, or another process trains in it.
    """

    def __init__(self, plan: Plan, without_failed: bool = False):
        plan.restore()
        _refuse_second_process(plan)
        self.plan, self.trials, self.without_failed = plan, open_trials(plan), without_failed
        if not without_failed and plan.winner is None:
            plan.failed.clear()
        plan.save()

    def is_done(self) -> bool:
        """Return whether the chosen settings were trained again, so that nothing is left to do."""
        return self.plan.winner is not None and RunDirectory(self.plan.folder / "best").is_finished()

    def train_all(self, train: Train) -> None:
        """Train all trials that have not ended, one after the other, and write the tables after each."""
        for number in self._pending():
            try:
                run_trial(self.plan, self.trials, number, train)
            except WriteError:  # it will stop the others as well
                raise
            except Exception as error:
                self._note_failure(number, error)
            self.write()

    def train_in_parallel(self, devices: str, command: Sequence[str]) -> None:
        """Do the same with a trial on each device at a time, each in a process of its own. Its output goes to logs/ in the folder.

        Args:
            devices: the value of --devices.
            command: the command of this sweep, without --devices.
        """
        jobs: dict[str, int] = {}

        def start() -> Iterator[Job]:
            for number in self._pending():
                label = f"trial {number}"
                jobs[label] = number
                yield Job(label, [*command, "--trial", str(number)], self.plan.log(number))

        for job in run_jobs(start(), devices, self.write):
            self.plan.failed[jobs[job.label]] = job.last_line()
        self.plan.save()
        self.write()

    def choose(self) -> Trial:
        """Return the winner. It is chosen once, and stays the winner.

        Raises:
            UserError: a trial has failed. The same command tries it again.
        """
        trials = read_trials(self.plan, self.trials)
        if self.plan.winner is None:
            self._refuse_failed()
            winner = choose(self.plan.metric, trials)
            if winner is None:
                raise UserError(f"{self.plan.folder}: no trial was trained to its end, so none can be chosen.")
            self.plan.winner = winner.number
            self.plan.save()
        return trials[self.plan.winner - 1]

    def train_winner(self, train: Train) -> None:
        """Train the chosen settings again with another seed, and score that run on test."""
        winner = self.choose()
        config = self.plan.winner_config(winner.settings)
        run = RunDirectory(config.output_dir)
        shown = describe_settings(winner.settings)
        print_info(f"trial {winner.number} is the best of {self.plan.count} on validation: {shown}")
        if tie := describe_tie(self.plan.metric, winner, read_trials(self.plan, self.trials)):
            print_info(tie)
        print_info(f"training it again with seed {config.seed}, and scoring it on test: {run.path}")
        self.write()
        if run.is_run():
            refuse_other_config(config, run, is_one_of_many=True)
        train(config, run.is_run(), None)

    def write(self) -> str:
        """Write results.json, sweep.md and report.html into the folder, and return the tables as text."""
        from paddle_ft.experiments.sweep_page import write_pages  # here, because Matplotlib is imported with it

        trials = read_trials(self.plan, self.trials)
        finished = [trial for trial in trials if trial.state == FINISHED]
        importance = self.trials.importance() if not self.plan.space.is_grid else explained(finished)
        return write_pages(self.plan, trials, summarize_sweep(self.plan, trials, importance))

    def markdown(self) -> str:
        """Return the tables that `write` has written, as Markdown."""
        return (self.plan.folder / "sweep.md").read_text(encoding="utf-8")

    # -------------------------------------------------------------------------------- parts
    def _pending(self) -> Iterator[int]:
        """Yield the trials that have not ended, each when it can start: a search chooses its settings then."""
        if self.plan.winner is not None:
            return
        for number in range(1, self.plan.count + 1):
            if number > self.trials.known():
                self.trials.add()
            settings = self.trials.settings(number)
            run = RunDirectory(self.plan.path(number))
            if run.is_run():
                refuse_other_config(self.plan.config(number, settings), run, is_one_of_many=True)
            shown = describe_settings(settings)
            name = f"trial {number} of {self.plan.count} ({shown})"
            if number in self.plan.failed:
                print_info(f"{name}: has failed, left out")
            elif run.is_finished():
                print_info(f"{name}: already finished")
                try:
                    end_trial(self.plan, self.trials, number)  # the process may have been killed just before
                except UserError as error:
                    self._note_failure(number, error)
            else:
                print_info(f"{name}{self._time_left()}")
                yield number

    def _time_left(self) -> str:
        """Return how long the trials that are left take, by the mean of those that have ended, as the end of a message."""
        trials = read_trials(self.plan, self.trials)
        seconds = [trial.seconds for trial in trials if is_number(trial.seconds)]
        left = sum(trial.state in (WAITING, UNFINISHED) for trial in trials)
        return f"; about {format_duration(left * sum(seconds) / len(seconds))} of training left" if seconds else ""

    def _note_failure(self, number: int, error: Exception) -> None:
        log = self.plan.log(number)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(message(f"error: {error}\n") if isinstance(error, FTError) else traceback_of(error), "utf-8")
        self.plan.failed[number] = message(str(error) or type(error).__name__).strip().splitlines()[0]
        self.plan.save()
        print_info(f"trial {number}: failed: {self.plan.failed[number]}")

    def _refuse_failed(self) -> None:
        failed = self.plan.failed
        lines = "\n".join(f"  trial {number}: {reason} ({self.plan.log(number)})" for number, reason in sorted(failed.items()))
        if len(failed) == self.plan.count:
            raise UserError(f"all {self.plan.count} trials have failed; the same command tries them again:\n{lines}")
        if not failed or self.without_failed:
            return
        have = "has" if len(failed) == 1 else "have"
        raise UserError(
            f"{len(failed)} of {self.plan.count} trials {have} failed, so no winner is chosen yet. The same command tries them"
            f" again; with --without-failed it chooses among the others:\n{lines}"
        )


def run_trial(plan: Plan, trials: Trials, number: int, train: Train) -> None:
    """Train a trial, or go on with it, and note its value.

    Raises:
        UserError: the training failed, or there is no score on validation.
    """
    config = plan.config(number, trials.settings(number))
    run = RunDirectory(config.output_dir)
    if not run.is_finished():
        train(config, run.is_run(), trials.stop_rule(number))
    end_trial(plan, trials, number)


def end_trial(plan: Plan, trials: Trials, number: int) -> None:
    """Note the value of a trial whose training has ended, and remove the checkpoint with which it could have gone on."""
    run = RunDirectory(plan.path(number))
    value = validation_scores(run.results()).get(plan.metric)
    if not is_number(value):
        raise UserError(f"{run.path}: there is no {plan.metric} on validation to choose by; set data.validation to a file.")
    if not math.isfinite(value):
        raise UserError(f"{run.path}: {plan.metric} on validation is {value}.")
    trials.end(number, value)
    for path in (run / "last", *run.path.glob("checkpoint-*")):
        shutil.rmtree(path, ignore_errors=True)


def _refuse_second_process(plan: Plan) -> None:
    for path in (*plan.folder.glob("trial-*"), plan.folder / "best"):
        if RunDirectory(path).is_being_trained():
            raise UserError(f"output_dir: another process is training in {path} right now. Wait for it, or use another output_dir.")
