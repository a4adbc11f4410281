"""The command `python -m paddle_ft repeat --config NAME`."""

from __future__ import annotations

import argparse
import functools

from paddle_ft.system.errors import UserError

HELP = "train recipes with several seeds, and show mean and deviation"
EPILOG = """\
The run of each seed is written to runs/NAME_seeds/seed-N (or to seed-N in the output_dir that you set), and report.html,
repeat.md and results.json of all of them next to them. If the command is stopped or killed, run it again: it continues, and
finished seeds are kept.

examples:
  {program} --config distilbert_sst2
  {program} --config distilbert_sst2 --beside bert_sst2 --devices 0,1
  {program} --config distilbert_imdb_cls --against model.pretrained=runs/distilbert_imdb_mlm/best"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG.format(program=parser.prog)
    parser.add_argument("--config", metavar="NAME", required=True, help="name of a recipe, or the path of a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="set any key, in all runs")
    parser.add_argument("--seeds", type=int, default=8, metavar="N", help="number of seeds, the recipe's own first (default: 8)")
    parser.add_argument("--sample", action="store_true", help="use the recipe's sample: generated text, small model, a few minutes")
    parser.add_argument(
        "--beside", action="append", default=[], metavar="NAME",
        help="another recipe for the same table, trained with the same seeds and settings; can be used several times",
    )  # fmt: skip
    parser.add_argument(
        "--against", action="append", default=[], metavar="section.key=value",
        help="compare with a variant that has this setting, trained on the same data and seeds; can be used several times",
    )  # fmt: skip
    parser.add_argument("--devices", metavar="LIST", help="train a seed on each of these at a time: GPU numbers (0,1), or cpu:2")


def run(options: argparse.Namespace) -> int:
    if options.seeds < 1:
        raise UserError(f"--seeds {options.seeds}: it must be at least 1.")
    from paddle_ft.config.load import load_config
    from paddle_ft.config.recipes import find_recipe
    from paddle_ft.config.sample import describe_replaced
    from paddle_ft.experiments import repeat
    from paddle_ft.experiments.command_line import train_many
    from paddle_ft.system.progress import print_info

    for name in options.beside:
        find_recipe(name, shown_key="--beside")
    plans = repeat.make_plans(
        lambda recipe, overrides: load_config(recipe, overrides, options.sample),
        [options.config, *options.beside], options.overrides, options.seeds, options.against,
    )  # fmt: skip
    if options.sample and (replaced := describe_replaced(options.config, options.overrides)):
        print_info(replaced)
    exit_code = train_many(
        options, functools.partial(repeat.run_plans, plans), functools.partial(repeat.run_plans_in_parallel, plans)
    )
    if not exit_code:
        print(f"\nreport   {plans[0].folder / 'report.html'}")
    return exit_code
