"""The command `python -m paddle_ft publish RUN --to HUB --repo USER/NAME`."""

from __future__ import annotations

import argparse

HELP = "upload a run's best model to AI Studio or Hugging Face"
EPILOG = """\
What the training has written into best/ is uploaded: weights, configuration and tokenizer, with the model card. Other files there
are named and left out. The token comes from AISTUDIO_ACCESS_TOKEN, or for Hugging Face from HF_TOKEN or its login. After an
interruption, run the same command again.

examples:
  {program} runs/bart_lcsts --to aistudio --repo USER/NAME --dry-run
  {program} runs/bart_lcsts --to huggingface --repo USER/NAME"""
TEXTS = "also upload predictions-*.jsonl and report.html, which quote texts of the data and name files of this machine"
ADD = "also upload this file of best/, which the training has not written, such as LICENSE; may be repeated"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG.format(program=parser.prog)
    parser.add_argument("run", metavar="RUN", help="directory of a run, e.g. runs/bart_lcsts")
    parser.add_argument("--to", required=True, choices=["aistudio", "huggingface"], help="the hub")
    parser.add_argument("--repo", required=True, metavar="USER/NAME", help="the repository, which is created if it does not exist")
    parser.add_argument("--public", action="store_true", help="let everybody see the repository (default: it is created private)")
    parser.add_argument("--dry-run", action="store_true", help="list what would be uploaded, and contact nobody")
    parser.add_argument("--with-texts", action="store_true", help=TEXTS)
    parser.add_argument("--add", action="append", default=[], metavar="NAME", help=ADD)
    parser.add_argument("--message", metavar="TEXT", help="message of the commits (default: one that names the run)")


def run(options: argparse.Namespace) -> int:
    from paddle_ft.publishing.publish import publish

    print(publish(
        options.run, options.to, options.repo, options.public, options.dry_run, options.with_texts, options.message, options.add
    ))  # fmt: skip
    return 0
