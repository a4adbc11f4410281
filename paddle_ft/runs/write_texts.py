"""Write texts with a run's best model: what `generate` does once its flags are read."""

from __future__ import annotations

import sys
from typing import Any

from paddle_ft.runs.inference import open_output, open_run
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import to_json
from paddle_ft.tasks import find_task, task_names
from paddle_ft.tasks.base import Flag

SAMPLING_FLAGS = ("top_k", "top_p", "temperature")


def write_texts(
    path: str, overrides: list[str], flags: dict[str, Any], output: str = "-", as_json: bool = False, stream: bool = False
) -> None:
    """Write texts to a file or standard output.

    Args:
        path: directory of a run.
        overrides: settings of its configuration to change.
        flags: the flags of `generate` by name; None for one that is not set.
        output: a file, or "-" for standard output.
        as_json: write a JSON object a line; a file named .jsonl gets them anyway.
        stream: write the text to standard output piece by piece as it is generated.

    Raises:
        UserError: flags exclude each other, or belong to runs of another task.
    """
    as_json = as_json or output.endswith(".jsonl")
    if stream and (output != "-" or as_json):
        raise UserError("--stream writes text to the terminal: leave out --output and --jsonl.")
    task = open_run(path, overrides)
    refuse_flags_of_other_tasks(flags, task.name, path)
    search = search_options(flags, task.config.seed, task.generates_by_chance)
    own_flags = {flag.name: flags.get(flag.name) for flag in task.generation_flags}
    file = open_output(output)
    try:
        rows = task.generate_texts({**own_flags, "run": path, "seed": flags.get("seed")}, search, _show if stream else None)
        for number, row in enumerate(rows):
            if stream:
                file.write("\n")
            else:
                file.write(to_json(row) + "\n" if as_json else ("\n" if number else "") + row["text"] + "\n")
            file.flush()
    finally:
        if file is not sys.stdout:
            file.close()


def search_options(flags: dict[str, Any], seed: int, by_chance: bool = False) -> dict[str, Any]:
    """Return the flags that choose tokens as keywords of GenerationOptions.

    Args:
        flags: num_return, beams, top_k, top_p, temperature, repetition_penalty, no_repeat_ngram and seed, None where not set.
        seed: of sampling where --seed is not set.
        by_chance: whether the task draws something even where tokens are not sampled, so that --seed has a meaning.

    Raises:
        UserError: beam search is asked for together with sampling, or --seed where nothing is drawn.
    """
    search: dict[str, Any] = {"num_return_sequences": flags["num_return"]}
    sampling = {name: flags[name] for name in SAMPLING_FLAGS if flags[name] is not None}
    if sampling and flags["beams"] is not None:
        raise UserError(f"--beams and {_as_typed(next(iter(sampling)))}: choose beam search or sampling.")
    if sampling:
        search |= {"do_sample": True, "seed": seed if flags["seed"] is None else flags["seed"], **sampling}
    elif flags["seed"] is not None and not by_chance:
        raise UserError("--seed: only sampling draws anything; add --top-k, --top-p or --temperature.")
    if flags["beams"] is not None:
        search |= {"num_beams": flags["beams"], "early_stopping": True}
    if flags["repetition_penalty"] is not None:
        search["repetition_penalty"] = flags["repetition_penalty"]
    if flags["no_repeat_ngram"] is not None:
        search["no_repeat_ngram_size"] = flags["no_repeat_ngram"]
    return search


def generation_flags() -> dict[str, tuple[Flag, ...]]:
    """Return the flags of `generate` by task, for the tasks that have some."""
    flags = {name: find_task(name).generation_flags for name in task_names()}
    return {name: task_flags for name, task_flags in flags.items() if task_flags}


def refuse_flags_of_other_tasks(flags: dict[str, Any], task_name: str, path: str) -> None:
    """Raise UserError if a flag is set that runs of this task do not have."""
    by_task = generation_flags()
    own = {flag.name for flag in by_task.get(task_name, ())}
    for other, task_flags in by_task.items():
        for flag in task_flags:
            if flag.name not in own and flags.get(flag.name) is not None:
                raise UserError(f"{_as_typed(flag.name)} is for runs of {other}; {path} is one of {task_name}.")


def _as_typed(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _show(piece: str) -> None:
    sys.stdout.write(piece)
    sys.stdout.flush()
