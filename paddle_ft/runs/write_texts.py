"""Generate texts with a run's best model. This is the work of the command `generate`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from paddle_ft.runs.inference import Overrides, open_run
from paddle_ft.runs.prediction_file import open_output
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import to_json
from paddle_ft.tasks import generation_flags
from paddle_ft.tasks.base import Task

SAMPLING_FLAGS = ("top_k", "top_p", "temperature")


def write_texts(
    path: str, overrides: Overrides, flags: dict[str, Any], output: str = "-", as_json: bool = False, stream: bool = False
) -> None:
    """Generate texts and write them to a file or to standard output.

    Args:
        path: the run's directory.
        overrides: changes to the run's configuration.
        flags: name -> value of the flags of `generate`. None means that a flag is not set.
        output: a file, or "-" for standard output.
        as_json: write one JSON object per line. For a file with the extension .jsonl this is always done.
        stream: write the text to standard output piece by piece, as it is generated.

    Raises:
        UserError: flags exclude each other, or belong to runs of another task.
    """
    as_json = as_json or output.endswith(".jsonl")
    if stream and (output != "-" or as_json):
        raise UserError("--stream writes text to the terminal: leave out --output and --jsonl.")
    rows = generate_rows(open_run(path, overrides), path, flags, print_piece if stream else None)
    file = open_output(output)
    try:
        for number, row in enumerate(rows):
            if stream:
                file.write("\n")
            else:
                file.write(to_json(row) + "\n" if as_json else ("\n" if number else "") + row["text"] + "\n")
            file.flush()
    finally:
        if file is not sys.stdout:
            file.close()


def generate_rows(
    task: Task, path: str, flags: dict[str, Any], show: Callable[[str], None] | None = None
) -> Iterator[dict[str, Any]]:
    """Check the flags, and return an iterator that generates the texts with the model of a loaded run.

    Args:
        task: the run's task, with its model.
        path: the run's directory, for messages.
        flags: name -> value of the flags of `generate`. None means that a flag is not set.
        show: called with each piece of the text as it is generated, or None.

    Raises:
        UserError: flags exclude each other, or belong to runs of another task.
    """
    refuse_flags_of_other_tasks(flags, task.name, path)
    enough = flags["num_return"] if show else 1  # a task that can show one text alone says so itself
    search = search_options(flags, task.config.seed, task.generates_by_chance, enough)
    task_flags = {flag.name: flags.get(flag.name) for flag in task.generation_flags}
    return task.generate_texts({**task_flags, "run": path, "seed": flags.get("seed")}, search, show)


def search_options(flags: dict[str, Any], seed: int, by_chance: bool = False, beams: int = 1) -> dict[str, Any]:
    """Turn the flags for the search into keyword arguments of GenerationOptions.

    Args:
        flags: num_return, beams, top_k, top_p, temperature, repetition_penalty, no_repeat_ngram and seed. None means not set.
        seed: seed of the sampling if --seed is not set.
        by_chance: whether the task makes other random draws, so that --seed has an effect even without sampling.
        beams: number of beams without --beams.

    Raises:
        UserError: both beam search and sampling are set, --seed is set but nothing is random, or there are not enough beams for
            different texts.
    """
    search: dict[str, Any] = {"num_return_sequences": flags["num_return"]}
    sampling = {name: flags[name] for name in SAMPLING_FLAGS if flags[name] is not None}
    if sampling and flags["beams"] is not None:
        raise UserError(f"--beams and {_option(next(iter(sampling)))}: choose beam search or sampling.")
    if sampling:
        search |= {"do_sample": True, "seed": seed if flags["seed"] is None else flags["seed"], **sampling}
    elif flags["seed"] is not None and not by_chance:
        raise UserError("--seed: it has an effect only with sampling; add --top-k, --top-p or --temperature.")
    beams, count = flags["beams"] or beams, flags["num_return"]
    if not sampling and not by_chance and count > beams:
        raise UserError(
            f"--num-return {count}: without sampling there are as many different texts as beams, here {beams}. Set --beams to"
            f" {count} or more, or add --top-k, --top-p or --temperature."
        )
    if flags["beams"] is not None:
        search |= {"num_beams": flags["beams"], "early_stopping": True}
    if flags["repetition_penalty"] is not None:
        search["repetition_penalty"] = flags["repetition_penalty"]
    if flags["no_repeat_ngram"] is not None:
        search["no_repeat_ngram_size"] = flags["no_repeat_ngram"]
    return search


def refuse_flags_of_other_tasks(flags: dict[str, Any], task_name: str, path: str) -> None:
    """Raise UserError if a flag is set that belongs to another task.

    Args:
        flags: name -> value of the flags. None means that a flag is not set.
        task_name: the task of the run.
        path: the run's directory, for the message.
    """
    by_task = generation_flags()
    allowed = {flag.name for flag in by_task.get(task_name, ())}
    for other_task, task_flags in by_task.items():
        for flag in task_flags:
            if flag.name not in allowed and flags.get(flag.name) is not None:
                raise UserError(f"{_option(flag.name)} is for runs of {other_task}, but {path} is a run of {task_name}.")


def _option(name: str) -> str:
    """Return a flag as it is typed on the command line: "--top-k" for top_k."""
    return f"--{name.replace('_', '-')}"


def print_piece(piece: str) -> None:
    """Print a piece of a text that is being generated, without a newline."""
    sys.stdout.write(piece)
    sys.stdout.flush()
