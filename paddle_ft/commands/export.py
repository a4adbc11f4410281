"""The command `python -m paddle_ft export RUN --to FORMAT`."""

from __future__ import annotations

import argparse

HELP = "export a run's best model for Paddle Inference, ONNX Runtime or transformers"
TO = "Paddle Inference or ONNX Runtime, each with a program that runs it, or a Hugging Face checkpoint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="directory of a run, e.g. runs/bart_lcsts")
    parser.add_argument("--to", required=True, choices=["inference", "onnx", "hf"], help=TO)
    parser.add_argument("--output", metavar="DIR", help="folder of the export (default: beside the run, RUN-onnx and so on)")
    parser.add_argument("--int8", action="store_true", help="ONNX: 8-bit weights; what they cost is measured on validation data")
    parser.add_argument("--limit", type=int, metavar="N", help="measure --int8 on the first N rows (default: all)")
    parser.add_argument("--overwrite", action="store_true", help="replace the export that is in the folder")


def run(options: argparse.Namespace) -> int:
    from paddle_ft.export.export import export_run

    exported = export_run(
        options.run, options.to, options.output, int8=options.int8, limit=options.limit, overwrite=options.overwrite
    )
    print("\n".join([f"{options.run} is exported to {exported.path}", *(f"  {line}" for line in exported.lines)]))
    if options.to != "hf":
        print(f'  to run it: python {exported.path}/run.py "a text"')
    return 0
