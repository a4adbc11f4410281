"""The command `python -m paddle_ft evaluate RUN`."""

from __future__ import annotations

import argparse

from paddle_ft.system.files import to_json

HELP = "evaluate a run's best model on a split or on new data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="directory of a run, e.g. runs/bart_lcsts")
    parser.add_argument("--split", choices=["train", "validation", "test"], help="which split (default: test, else validation)")
    parser.add_argument("--output", metavar="FILE", help="file for the predictions, one JSON object per line")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="e.g. data.test=new.tsv generation.num_beams=8")


def run(options: argparse.Namespace) -> int:
    from paddle_ft.reporting.tables import split_table
    from paddle_ft.runs import inference

    split, scores, baseline = inference.evaluate(options.run, options.split, options.overrides, options.output)
    if options.json:
        print(to_json({"split": split, "metrics": scores, "baseline": baseline}, indent=2))
    else:
        print("\n".join(split_table(split, scores, {"baseline": baseline})))
    return 0
