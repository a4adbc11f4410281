"""The trials of a sweep: which settings each has, and when one is stopped. optuna decides if there are ranges or --prune.

Its journal is a file in the sweep's folder, to which several processes write, and from which a later call goes on.
"""

from __future__ import annotations

import importlib.util
import math
import os
import sys
from pathlib import Path
from typing import Any, Protocol

from paddle_ft.experiments.sweep_plan import Plan
from paddle_ft.experiments.sweep_space import Choices, Parameter
from paddle_ft.metrics.registry import find_metric
from paddle_ft.system.errors import UserError
from paddle_ft.system.installation import ai_studio_packages, install_beside
from paddle_ft.training.stop_rule import StopRule

OPTUNA = "optuna>=5.0,<6"  # as in pyproject.toml
JOURNAL = "optuna.log"
RANDOM_TRIALS = 5  # of a search, before TPE proposes values
PARTS = 20  # of a training, at which trials are compared
# The median pruner (Golovin et al., 2017, Google Vizier, section 3.2.2) stops nothing before so many trials have ended, ...
PRUNE_AFTER_TRIALS = 3
# ... and no trial in its first quarter. Successive halving (Li et al., 2020, A System for Massively Parallel Hyperparameter Tuning)
# compares after a quarter and after a half of the training; the better half of the trials that got so far goes on.
PRUNE_FROM = PARTS // 4


class Trials(Protocol):
    """Where the settings of trials come from. Trials count from 1."""

    def known(self) -> int:
        """Return how many trials have settings already."""

    def add(self) -> None:
        """Give the next trial its settings."""

    def settings(self, number: int) -> dict[str, str]:
        """Return key -> value, in YAML, of a known trial."""

    def stop_rule(self, number: int) -> StopRule | None:
        """Return what decides after each evaluation whether a trial goes on."""

    def end(self, number: int, value: float) -> None:
        """Note the value of a trial that has ended."""

    def pruned_at(self, number: int) -> int | None:
        """Return the step at which a trial was stopped because it fell behind, or None."""

    def importance(self) -> dict[str, float]:
        """Return key -> how much of the differences between trials it explains, or {} if that is not known here."""


class Grid:
    """All combinations, each trained to its end. This needs no optuna."""

    def __init__(self, plan: Plan):
        self._combinations = plan.space.combinations()

    def known(self) -> int:
        return len(self._combinations)

    def add(self) -> None:
        raise AssertionError("a grid knows all of its trials")

    def settings(self, number: int) -> dict[str, str]:
        return self._combinations[number - 1]

    def stop_rule(self, number: int) -> StopRule | None:
        return None

    def end(self, number: int, value: float) -> None:
        pass

    def pruned_at(self, number: int) -> int | None:
        return None

    def importance(self) -> dict[str, float]:
        return {}


class Study:
    """Trials in an optuna study: a search, or a grid with pruning.

    Args:
        plan: the sweep.
        owner: whether this process starts the others. It may repair what a killed process has left.
    """

    def __init__(self, plan: Plan, owner: bool = True):
        require_optuna()
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        plan.folder.mkdir(parents=True, exist_ok=True)
        file = (plan.folder / JOURNAL).resolve()
        if owner:
            _repair(file)
        try:
            self._storage = JournalStorage(JournalFileBackend(str(file), JournalFileOpenLock(str(file))))
            self._study = optuna.create_study(
                storage=self._storage, study_name="sweep", load_if_exists=True, pruner=_pruner(plan),
                direction="minimize" if find_metric(plan.metric).lower_is_better else "maximize",
            )  # fmt: skip
        except (ValueError, KeyError) as error:
            raise UserError(f"{file}: this file is damaged ({error}). Start the sweep again with output_dir=ANOTHER.") from None
        self._plan, self._optuna = plan, optuna

    def known(self) -> int:
        return len(self._study.get_trials(deepcopy=False))

    def add(self) -> None:
        number = self.known() + 1
        if not self._plan.space.is_grid:
            self._suggest(self._study.ask())
            return
        settings = self._plan.space.combinations()[number - 1]
        distributions: dict[str, Any] = {
            parameter.key: self._optuna.distributions.CategoricalDistribution(parameter.values)
            for parameter in self._plan.space.parameters if isinstance(parameter, Choices)
        }  # fmt: skip
        running = self._optuna.trial.TrialState.RUNNING
        self._study.add_trial(self._optuna.trial.create_trial(state=running, params=settings, distributions=distributions))

    def settings(self, number: int) -> dict[str, str]:
        trial = self._frozen(number)
        if set(trial.params) >= {parameter.key for parameter in self._plan.space.parameters}:
            values = trial.params
        else:  # the process was killed while it chose them
            values = self._suggest(self._open(number))
        return {parameter.key: _to_yaml(parameter, values[parameter.key]) for parameter in self._plan.space.parameters}

    def stop_rule(self, number: int) -> StopRule | None:
        return PruneRule(self._open(number)) if self._plan.prune else None

    def end(self, number: int, value: float) -> None:
        if self._frozen(number).state.is_finished():
            return
        if self.pruned_at(number) is None:
            self._study.tell(number - 1, value)
        else:
            self._study.tell(number - 1, state=self._optuna.trial.TrialState.PRUNED)

    def pruned_at(self, number: int) -> int | None:
        return self._frozen(number).user_attrs.get(PruneRule.ATTRIBUTE)

    def importance(self) -> dict[str, float]:
        """Return the importances of fANOVA (Hutter et al., 2014), from the trials that have ended."""
        ended = self._study.get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.COMPLETE,))
        if len({trial.value for trial in ended}) < 2:
            return {}
        evaluator = self._optuna.importance.FanovaImportanceEvaluator(seed=self._plan.base.seed)
        return dict(self._optuna.importance.get_param_importances(self._study, evaluator=evaluator))

    def _frozen(self, number: int) -> Any:
        return self._study.get_trials(deepcopy=False)[number - 1]

    def _open(self, number: int) -> Any:
        study = self._storage.get_study_id_from_name(self._study.study_name)
        return self._optuna.trial.Trial(self._study, self._storage.get_trial_id_from_study_id_trial_number(study, number - 1))

    def _suggest(self, trial: Any) -> dict[str, Any]:
        """Choose the values of a trial that it does not have yet, and return all of them.

        The seed follows from the trial's number, so a search that was stopped does not draw the same values again.
        """
        self._study.sampler = self._optuna.samplers.TPESampler(
            seed=(self._plan.base.seed + trial.number) % 2**32, n_startup_trials=RANDOM_TRIALS, constant_liar=True
        )
        values: dict[str, Any] = {}
        for parameter in self._plan.space.parameters:
            if isinstance(parameter, Choices):
                values[parameter.key] = trial.suggest_categorical(parameter.key, parameter.values)
            elif parameter.kind == "int":
                values[parameter.key] = trial.suggest_int(parameter.key, int(parameter.low), int(parameter.high))
            else:
                is_log = parameter.kind == "log"
                values[parameter.key] = trial.suggest_float(parameter.key, float(parameter.low), float(parameter.high), log=is_log)
        return values


class PruneRule:
    """Report the evaluations of a trial to optuna's pruner, and stop the trial if that says so.

    The pruner compares trials at the same part of their training, because with another batch size a step is another amount of
    training. An evaluation counts until the next one.

    Args:
        trial: optuna's trial.
    """

    ATTRIBUTE = "pruned at step"

    def __init__(self, trial: Any):
        self._trial = trial
        self._reported = dict(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def __call__(self, step: int, share: float, value: float) -> str:
        """Report an evaluation, and return why the trial ends here, or ""."""
        part = max(1, math.floor(PARTS * share + 1e-9))
        before = max((known for known in self._reported if known < part), default=part)
        for between in range(before + 1, part):
            self._report(between, self._reported[before])
        self._report(part, value)
        stopped_at = self._trial.user_attrs.get(self.ATTRIBUTE)
        if share >= 1 or not (stopped_at == step or self._trial.should_prune()):
            return ""
        self._trial.set_user_attr(self.ATTRIBUTE, step)
        return f"pruned: {share:.0%} into the training it is behind other trials"

    def _report(self, part: int, value: float) -> None:
        if part not in self._reported:  # else a trial that was resumed evaluates a step again
            self._trial.report(value, part)
            self._reported[part] = value


def open_trials(plan: Plan, owner: bool = True) -> Trials:
    """Return the trials of a sweep. `owner`: see Study."""
    return Study(plan, owner) if plan.needs_study else Grid(plan)


def require_optuna() -> None:
    """Raise UserError if optuna is not installed."""
    if importlib.util.find_spec("optuna") is None:
        folder = ai_studio_packages()
        how = install_beside(folder) if folder else f"pip install '{OPTUNA}'"
        raise UserError(
            f"sweep: ranges and --prune need optuna, which is missing in {sys.executable}. Install it, or give lists of values"
            f" without --prune:\n  {how}"
        )


def _pruner(plan: Plan) -> Any:
    import optuna

    if plan.space.is_grid:
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=PRUNE_FROM, reduction_factor=2)
    return optuna.pruners.MedianPruner(n_startup_trials=PRUNE_AFTER_TRIALS, n_warmup_steps=PRUNE_FROM)


def _to_yaml(parameter: Parameter, value: Any) -> str:
    return str(value) if isinstance(parameter, Choices) else repr(value)


def _repair(file: Path) -> None:
    """Remove what a killed process may have left: its lock, and a line of the journal that it has not finished."""
    Path(f"{file}.lock").unlink(missing_ok=True)
    if not file.exists():
        return
    content = file.read_bytes()
    complete = content.rfind(b"\n") + 1
    if complete < len(content):
        os.truncate(file, complete)
