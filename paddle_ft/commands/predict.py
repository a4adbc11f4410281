"""Applies a run's best model to new texts."""

from __future__ import annotations

import argparse

OUTPUT = ".txt, .jsonl, .csv or .tsv, in the input's order; - (default): standard output"
HELP = "applies a run's best model to new texts"
INPUT = "one text a line, or .jsonl, .csv, .tsv, .json, .parquet with the run's columns, each also .gz; - for standard input"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's directory, e.g. runs/bart_lcsts")
    parser.add_argument("--input", required=True, metavar="FILE", help=INPUT)
    parser.add_argument("--output", default="-", metavar="FILE", help=OUTPUT)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="e.g. generation.num_beams=8")


def run(options: argparse.Namespace) -> int:
    from paddle_ft.runs import inference

    inference.predict(options.run, options.input, options.output, options.overrides)
    return 0
