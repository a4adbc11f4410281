"""The demo page as an application of AI Studio: copy this file to the folder that holds your runs, and name your run."""

from paddle_ft.cli import main

raise SystemExit(main(["demo", "runs/bart_lcsts_sample"]))
