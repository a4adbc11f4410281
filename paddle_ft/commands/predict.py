"""The command `python -m paddle_ft predict RUN --input FILE`."""

from __future__ import annotations

import argparse

HELP = "apply a run's best model to new texts"
INPUT = "one text per line, or .jsonl, .json, .csv, .tsv, .parquet, .xlsx with the run's columns, each also .gz; -: standard input"
OUTPUT = (
    ".txt, .jsonl, .csv or .tsv, in the order of the input; - (default): standard output. That, like a name without an ending, gets"
    " lines of text for a text file as input, else JSON objects"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="directory of a run, e.g. runs/bart_lcsts")
    parser.add_argument("--input", required=True, metavar="FILE", help=INPUT)
    parser.add_argument("--output", default="-", metavar="FILE", help=OUTPUT)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="e.g. generation.num_beams=8")


def run(options: argparse.Namespace) -> int:
    from paddle_ft.runs import inference

    inference.predict(options.run, options.input, options.output, options.overrides)
    return 0
