"""python -m paddle_ft generate RUN"""

from __future__ import annotations

import argparse

HELP = "write texts with a run's best model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from paddle_ft.runs.write_texts import generation_flags

    parser.add_argument("run", metavar="RUN", help="directory of a run, e.g. runs/gpt2_booksum")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="e.g. eval.eval_batch_size=4")
    parser.add_argument("--num-return", type=int, default=1, metavar="N", help="number of texts for each prompt (default: 1)")
    parser.add_argument("--beams", type=int, metavar="N", help="number of beams; without this and sampling: greedy search")
    parser.add_argument("--top-k", type=int, metavar="K", help="sample among the K likeliest tokens; 0: among all")
    parser.add_argument("--top-p", type=float, metavar="P", help="sample among the likeliest tokens that together reach P")
    parser.add_argument("--temperature", type=float, metavar="T", help="sample with logits divided by T")
    parser.add_argument("--repetition-penalty", type=float, metavar="R", help="above 1: make tokens already there less likely")
    parser.add_argument("--no-repeat-ngram", type=int, metavar="N", help="write no N tokens twice in the same order")
    parser.add_argument("--seed", type=int, metavar="S", help="seed of sampling (default: the run's)")
    parser.add_argument("--stream", action="store_true", help="show the text as it is written")
    parser.add_argument("--output", default="-", metavar="FILE", help=".jsonl: an object a line; else text")
    parser.add_argument("--jsonl", action="store_true", help="write an object a line to standard output too")
    parser.conflict_handler = "resolve"  # two tasks may have a flag of the same name
    for task, flags in generation_flags().items():
        group = parser.add_argument_group(f"for runs of {task}")
        for flag in flags:
            name = f"--{flag.name.replace('_', '-')}"
            group.add_argument(name, dest=flag.name, type=flag.type, metavar=flag.metavar, help=flag.help)


def run(options: argparse.Namespace) -> int:
    from paddle_ft.runs.write_texts import write_texts

    write_texts(options.run, options.overrides, vars(options), options.output, options.jsonl, options.stream)
    return 0
