"""The command `python -m paddle_ft generate RUN`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from paddle_ft.system.errors import UserError

if TYPE_CHECKING:
    from paddle_ft.tasks.base import Flag

HELP = "generate texts with a run's best model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="directory of a run, e.g. runs/gpt2_booksum")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="e.g. eval.eval_batch_size=4")
    parser.add_argument("--num-return", type=int, default=1, metavar="N", help="number of texts for each prompt (default: 1)")
    parser.add_argument("--beams", type=int, metavar="N", help="beam search with N beams (default: greedy search)")
    parser.add_argument("--top-k", type=int, metavar="K", help="sample from the K likeliest tokens; 0: from all tokens")
    parser.add_argument("--top-p", type=float, metavar="P", help="sample from the likeliest tokens whose probabilities sum to P")
    parser.add_argument("--temperature", type=float, metavar="T", help="sample with logits divided by T")
    parser.add_argument("--repetition-penalty", type=float, metavar="R", help="above 1: make tokens that were used less likely")
    parser.add_argument("--no-repeat-ngram", type=int, metavar="N", help="do not repeat any sequence of N tokens in a text")
    parser.add_argument("--seed", type=int, metavar="S", help="seed of the sampling (default: the run's)")
    parser.add_argument("--stream", action="store_true", help="print the text while it is generated")
    parser.add_argument("--output", default="-", metavar="FILE", help=".jsonl: one JSON object per line; else text")
    parser.add_argument("--jsonl", action="store_true", help="write one JSON object per line, whatever --output is")
    _add_task_flags(parser)


def _add_task_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that only some tasks have. Each flag is in a group that names its tasks."""
    from paddle_ft.tasks import generation_flags

    by_name: dict[str, dict[str, Flag]] = {}
    for task, task_flags in generation_flags().items():
        for flag in task_flags:
            by_name.setdefault(flag.name, {})[task] = flag
    groups: dict[str, argparse._ArgumentGroup] = {}
    for name, flags in by_name.items():
        tasks = " and ".join(flags)
        if tasks not in groups:
            groups[tasks] = parser.add_argument_group(f"for runs of {tasks}")
        option = f"--{name.replace('_', '-')}"
        try:
            groups[tasks].add_argument(option, dest=name, **_merge_flags(option, flags))
        except argparse.ArgumentError:
            raise UserError(f"task {tasks}: {option} is a flag of generate already; give the task's flag another name.") from None


def _merge_flags(option: str, flags: dict[str, Flag]) -> dict[str, Any]:
    """Return type, metavar and help of an option. If several tasks have it, the help names each task with its meaning.

    Args:
        option: the option, such as --genre.
        flags: task -> its flag.

    Raises:
        UserError: the types of the flags differ, so that one option cannot be both.
    """
    types = {task: flag.type.__name__ for task, flag in flags.items()}
    if len(set(types.values())) > 1:
        kinds = ", ".join(f"{kind} in {task}" for task, kind in types.items())
        raise UserError(f"{option} has different types ({kinds}): give the flag of one task another name.")
    first, metavars = next(iter(flags.values())), dict.fromkeys(flag.metavar for flag in flags.values())
    text = first.help if len(flags) == 1 else "; ".join(f"{task}: {flag.help}" for task, flag in flags.items())
    return {"type": first.type, "metavar": "|".join(metavars), "help": text}


def run(options: argparse.Namespace) -> int:
    from paddle_ft.runs.write_texts import write_texts

    write_texts(options.run, options.overrides, vars(options), options.output, options.jsonl, options.stream)
    return 0
