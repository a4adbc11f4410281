"""Writes texts with a run's best model: from prompts or line by line, as its task does it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from paddle_ft.system.errors import UserError

HELP = "writes texts with a run's best model"
_SAMPLING = ("top_k", "top_p", "temperature")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's directory, e.g. runs/gpt2_booksum")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="e.g. eval.eval_batch_size=4")
    parser.add_argument("--num-return", type=int, default=1, metavar="N", help="texts for each prompt (default: 1)")
    parser.add_argument("--beams", type=int, metavar="N", help="beam search; without this and sampling: greedy")
    parser.add_argument("--top-k", type=int, metavar="K", help="sample among the K likeliest tokens; 0: among all")
    parser.add_argument("--top-p", type=float, metavar="P", help="sample among the likeliest that together reach P")
    parser.add_argument("--temperature", type=float, metavar="T", help="sample with logits divided by T")
    parser.add_argument("--repetition-penalty", type=float, metavar="R", help="above 1: tokens already there become less likely")
    parser.add_argument("--no-repeat-ngram", type=int, metavar="N", help="no N tokens twice in the same order")
    parser.add_argument("--seed", type=int, metavar="S", help="of sampling (default: the run's)")
    parser.add_argument("--stream", action="store_true", help="show the text as it comes into being")
    parser.add_argument("--output", default="-", metavar="FILE", help=".jsonl: an object a line; else text")
    parser.add_argument("--jsonl", action="store_true", help="an object a line on standard output too")
    parser.conflict_handler = "resolve"  # two tasks may have a flag of the same name
    for name, task in _writing_tasks().items():
        task.generate_arguments(parser.add_argument_group(f"for runs of {name}"))


def run(options: argparse.Namespace) -> int:
    from paddle_ft.runs import inference
    from paddle_ft.runs.inference import open_output
    from paddle_ft.system.files import to_json

    as_json = options.jsonl or options.output.endswith(".jsonl")
    if options.stream and (options.output != "-" or as_json):
        raise UserError("--stream writes text to the terminal: leave out --output and --jsonl.")
    task = inference.open_run(options.run, options.overrides)
    _refuse_other_flags(options, task.name)
    search = search_options(options, task.config.seed, task.generates_by_chance)
    show = _show if options.stream else None
    out = open_output(options.output)
    try:
        for number, row in enumerate(task.generate_texts(options, search, show)):
            if options.stream:
                out.write("\n")
            else:
                out.write(to_json(row) + "\n" if as_json else ("\n" if number else "") + row["text"] + "\n")
            out.flush()
    finally:
        if out is not sys.stdout:
            out.close()
    return 0


def search_options(options: argparse.Namespace, seed: int, by_chance: bool = False) -> dict[str, Any]:
    """The flags that choose tokens, as keywords of GenerationOptions. by_chance: --seed means something without sampling too.

    Raises UserError for beams together with sampling, and a seed that nothing is drawn by.
    """
    search: dict[str, Any] = {"num_return_sequences": options.num_return}
    sampling = {name: getattr(options, name) for name in _SAMPLING if getattr(options, name) is not None}
    if sampling and options.beams is not None:
        raise UserError(f"--beams and --{next(iter(sampling)).replace('_', '-')}: choose beam search or sampling.")
    if sampling:
        search |= {"do_sample": True, "seed": seed if options.seed is None else options.seed, **sampling}
    elif options.seed is not None and not by_chance:
        raise UserError("--seed: only sampling draws anything; add --top-k, --top-p or --temperature.")
    if options.beams is not None:
        search |= {"num_beams": options.beams, "early_stopping": True}
    if options.repetition_penalty is not None:
        search["repetition_penalty"] = options.repetition_penalty
    if options.no_repeat_ngram is not None:
        search["no_repeat_ngram_size"] = options.no_repeat_ngram
    return search


def _writing_tasks() -> dict[str, type]:
    """The tasks that have flags of their own here, by name."""
    from paddle_ft.tasks import find_task, task_names

    return {name: find_task(name) for name in task_names() if _flags(find_task(name))}


def _flags(task: type) -> list[str]:
    """Names of the flags that a task adds."""
    own = argparse.ArgumentParser(add_help=False)
    task.generate_arguments(own)
    return list(vars(own.parse_args([])))


def _refuse_other_flags(options: argparse.Namespace, name: str) -> None:
    tasks = {other: _flags(task) for other, task in _writing_tasks().items()}
    for other, flags in tasks.items():
        for flag in flags:
            if flag not in tasks.get(name, []) and getattr(options, flag) is not None:
                raise UserError(f"--{flag.replace('_', '-')} is for runs of {other}; {options.run} is one of {name}.")


def _show(piece: str) -> None:
    sys.stdout.write(piece)
    sys.stdout.flush()
