"""Train the runs of a study, one after the other or several at once, and write its page after each.

A run that is finished is not trained again, and one that was stopped goes on.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from paddle_ft.config.schema import BaseConfig
from paddle_ft.experiments.parallel import Job, refuse_failed, run_jobs
from paddle_ft.experiments.repeat import is_pending
from paddle_ft.experiments.study_plan import StudyPlan, StudyRun
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import format_duration, is_number
from paddle_ft.system.progress import print_info

Refuse = Callable[[BaseConfig, RunDirectory], bool]
"""Raise UserError if a run directory was made with other settings, and return whether the configuration makes the run longer."""


class TimeLeft:
    """Estimates the time that the rest of a study takes: each run as long as those like it have taken.

    Args:
        plan: the study. The times of its finished runs are read.
    """

    def __init__(self, plan: StudyPlan):
        self.seconds: dict[tuple, list[float]] = defaultdict(list)
        for run in plan.runs:
            seconds = (RunDirectory(run.path).results().get("train") or {}).get("seconds")
            if is_number(seconds):
                self.add(run, seconds)

    def add(self, run: StudyRun, seconds: float) -> None:
        """Note how long a run has taken."""
        for key in self._alike(run):
            self.seconds[key].append(seconds)

    def describe(self, runs: Sequence[StudyRun]) -> str:
        """Return ", about 5 min 0 s left" for runs that are to be trained, or "" as long as nothing is known about one of them."""
        estimates = [next((fmean(self.seconds[key]) for key in self._alike(run) if self.seconds[key]), None) for run in runs]
        known = [seconds for seconds in estimates if seconds is not None]
        return f", about {format_duration(sum(known))} left" if len(known) == len(estimates) else ""

    def _alike(self, run: StudyRun) -> list[tuple]:
        """Return what a run has in common with others, the closest first."""
        return [(run.stage, run.x, run.series), (run.stage, run.x), (run.stage,)]


def run_study(plan: StudyPlan, train: Callable[[BaseConfig, bool], object], refuse_other_config: Refuse) -> str:
    """Train all runs that are not finished, one after the other, and write the page after each.

    Args:
        plan: the study.
        train: trains a run, called with its configuration and whether to resume.
        refuse_other_config: see Refuse.

    Returns:
        The tables after the last run, as text.
    """
    pending = _pending(plan, refuse_other_config)
    left = TimeLeft(plan)
    for number, run in enumerate(plan.runs, start=1):
        place = f"run {number} of {len(plan.runs)}: {run.label}"
        if run not in pending:
            print_info(f"{place}: already finished")
            continue
        print_info(f"{place}: {run.path}{left.describe(pending)}")
        start = time.monotonic()
        train(run.config, RunDirectory(run.path).is_run())
        left.add(run, time.monotonic() - start)
        pending.remove(run)
        write_pages(plan)
    return write_pages(plan)


def run_study_in_parallel(plan: StudyPlan, devices: str, command: Sequence[str], refuse_other_config: Refuse) -> str:
    """Do the same with a run on each device at a time, each in a process of its own. Its output goes to logs/ in the folder.

    Args:
        plan: the study.
        devices: the value of --devices.
        command: the command that trains a run, without its recipe, settings and device.
        refuse_other_config: see Refuse.

    Raises:
        UserError: a device is not available, or a run has failed; those that have not are on the page.
    """
    pending = _pending(plan, refuse_other_config)
    done, count, start = len(plan.runs) - len(pending), len(pending), time.monotonic()
    print_info(f"{done} of {len(plan.runs)} runs are finished already")

    def on_done() -> None:
        nonlocal done
        done += 1
        trained, rest = done - len(plan.runs) + count, len(plan.runs) - done
        left = (time.monotonic() - start) / trained * rest
        print_info(f"{done} of {len(plan.runs)} runs are finished, about {format_duration(left)} left")
        write_pages(plan)

    for stage in plan.file.study.stages:
        jobs = [_job(plan, run, command) for run in pending if run.stage == stage]
        if failed := run_jobs(jobs, devices, on_done) if jobs else []:
            write_pages(plan)
            refuse_failed(failed, len(jobs))
    return write_pages(plan)


def _job(plan: StudyPlan, run: StudyRun, command: Sequence[str]) -> Job:
    flags = ["--resume"] if RunDirectory(run.path).is_run() else []
    log = plan.folder / "logs" / f"{'-'.join(run.path.relative_to(plan.folder).parts)}.log"
    return Job(run.label, [*command, "--config", run.recipe, *flags, *run.overrides], log)


def _pending(plan: StudyPlan, refuse_other_config: Refuse) -> list[StudyRun]:
    """Return the runs that are to be trained. Settings that differ are refused before the first one is.

    Raises:
        UserError: see is_pending; or a run started from a checkpoint that is to be trained (again) now.
    """
    pending = [run for run in plan.runs if is_pending(run.config, refuse_other_config)]
    missing: set[Path] = {run.path for run in pending}
    for run in plan.runs:
        if RunDirectory(run.path).is_run() and (gone := missing.intersection(run.needs)):
            raise UserError(
                f"{run.path}: this run started from the checkpoint of {gone.pop()}, which is to be trained now: it would not be the"
                " same one. Remove the run, or name another folder with output_dir=ANOTHER."
            )
    return pending


def write_pages(plan: StudyPlan) -> str:
    """Write results.json, study.md and report.html into the folder of the study, and return the tables as text."""
    from paddle_ft.experiments import study_page, study_results  # here, because Matplotlib is imported with it

    plan.folder.mkdir(parents=True, exist_ok=True)
    return study_page.write_pages(plan, study_results.summarize_study(plan))
