"""The command `python -m paddle_ft compare RUN RUN ...`."""

from __future__ import annotations

import argparse
from pathlib import Path

from paddle_ft.system.errors import UserError

HELP = "compare runs: which difference is real, and where it comes from"
EPILOG = """\
The runs must have been scored on the same rows; the first one is the reference. docs/compare.md explains the test.

examples:
  {program} runs/bart_lcsts runs/bart_lcsts_lr1e-4
  {program} runs/distilbert_sst2 runs/bert_sst2 --split validation --html comparison.html"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG.format(program=parser.prog)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="directories of two or more finished runs")
    parser.add_argument(
        "--split", choices=["validation", "test"], help="which split (default: test if all have it, else validation)"
    )
    parser.add_argument("--rows", type=int, default=5, metavar="N", help="rows to show on which they disagree most (default: 5)")
    parser.add_argument("--samples", type=int, metavar="N", help="swaps and resamples of the test (default: 10,000)")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--html", metavar="FILE", help="also write a page with the curves, like the report")


def run(options: argparse.Namespace) -> int:
    if options.rows < 0:
        raise UserError(f"--rows {options.rows}: it must be 0 or more.")
    if options.samples is not None and not 100 <= options.samples <= 1_000_000:
        raise UserError(f"--samples {options.samples}: it must be from 100 to 1,000,000.")
    if options.html and not Path(options.html).expanduser().parent.is_dir():
        raise UserError(f"--html {options.html}: there is no folder {Path(options.html).parent}.")
    from paddle_ft.experiments.compare import compare
    from paddle_ft.metrics.paired import SAMPLES

    comparison = compare(options.runs, options.split, options.samples or SAMPLES)  # refuses before Matplotlib is imported
    from paddle_ft.experiments.comparison_page import comparison_document
    from paddle_ft.reporting.document import to_html, to_markdown, to_text
    from paddle_ft.system.files import write_atomically
    from paddle_ft.system.progress import print_info

    document = comparison_document(comparison, options.rows)
    if options.html:  # first: who reads what is printed may end this program, as head does
        file = Path(options.html).expanduser()
        write_atomically(file, to_html(document))
        print_info(f"written to {file}")
    print(to_markdown(document) if options.markdown else to_text(document))
    return 0
