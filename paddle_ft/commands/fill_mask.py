"""The command `python -m paddle_ft fill-mask RUN TEXT ...`."""

from __future__ import annotations

import argparse

from paddle_ft.system.errors import UserError
from paddle_ft.system.files import to_json

HELP = "predict masked words with the model before and after training"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="directory of a masked_lm run, e.g. runs/distilbert_imdb_mlm")
    parser.add_argument("texts", nargs="+", metavar="TEXT", help='e.g. "This is a great [MASK]."; a text may have several masks')
    parser.add_argument("--top", type=int, default=5, metavar="N", help="number of guesses for each mask (default: 5)")
    parser.add_argument("--json", action="store_true", help="print the guesses as JSON")


def run(options: argparse.Namespace) -> int:
    if options.top < 1:
        raise UserError(f"--top {options.top}: it must be at least 1.")
    from paddle_ft.reporting.tables import guess_table
    from paddle_ft.runs.fill_mask import fill_masks

    mask_token, guesses = fill_masks(options.run, options.texts, options.top)
    if options.json:
        print(to_json([text_guesses.as_json() for text_guesses in guesses], indent=2))
    else:
        print("\n\n".join(guess_table(text_guesses, mask_token) for text_guesses in guesses))
    return 0
