"""The command line: verbs, flags, and what the user sees when something goes wrong.

Exit codes: 0 done, 2 the user's mistake or an environment that does not allow it (one message, no traceback), 1 a defect of
ours (a traceback), 130/143 stopped by Ctrl-C/SIGTERM after saving. Nothing heavy is imported before a verb needs it.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from pathlib import Path

from paddle_ft.errors import FTError, UserError


class Parser(argparse.ArgumentParser):
    """argparse with one clear line for an error of use."""

    def error(self, message: str):
        raise UserError(f"{message}. See {self.prog} --help.")


def main(argv: list[str], program: str = "python -m paddle_ft") -> int:
    from paddle_ft.runtime import prepare_cpu

    prepare_cpu()
    try:
        return _run(argv, program)
    except FTError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("paddle_ft", "convert"):
            raise
        print(
            f"error: the package {error.name} is not installed in {sys.executable}. Run `make setup` and use"
            " .venv/bin/python, or: pip install -r requirements.txt",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("\nstopped; nothing was under way that could be lost", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone
        sys.stderr.close()
        return 0


def _run(argv: list[str], program: str) -> int:
    verb, rest = (argv[0], argv[1:]) if argv else ("--help", [])
    if verb in ("-h", "--help"):
        print(_overview())
        return 0
    if verb == "--version":
        from paddle_ft import __version__

        print(f"paddle_ft {__version__}")
        return 0
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(f"{verb}: there is no such command.{hint} Commands: {', '.join(VERBS)}.")
    build, action, _ = VERBS[verb]
    parser = Parser(prog=program if program.endswith(".py") else f"{program} {verb}", description=VERBS[verb][2])
    build(parser)
    return action(parser, rest)


def _overview() -> str:
    verbs = "\n".join(f"  {name:<10} {text}" for name, (_, _, text) in VERBS.items())
    return (
        f"usage: python -m paddle_ft COMMAND ...\n\ncommands:\n{verbs}\n\n"
        "python -m paddle_ft COMMAND --help tells more. Training: python train.py --config NAME.\n"
        "Checkpoints to and from Hugging Face: python -m convert --help."
    )


# ---------------------------------------------------------------------------------------------------- train
def _train_arguments(parser: Parser) -> None:
    parser.add_argument("--config", metavar="NAME", help="a recipe in configs/, or the path of a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="sets any key, e.g. train.learning_rate=3e-5")
    parser.add_argument("--sample", action="store_true", help="the recipe's sample: generated text, small model, minutes")
    parser.add_argument("--check", action="store_true", help="load all, evaluate two batches, train a step, estimate, exit")
    parser.add_argument("--resume", action="store_true", help="go on with the run in output_dir")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in output_dir")
    parser.add_argument("--print-config", action="store_true", help="print the resolved configuration, explained, and exit")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def _train(parser: Parser, argv: list[str]) -> int:
    from paddle_ft.config import describe, load_config, recipe_names

    parser.epilog = (
        f"recipes: {', '.join(recipe_names())}\n"
        "every key with its meaning: --config NAME --print-config\n\n"
        "examples:\n  python train.py --config bart_lcsts --sample\n"
        "  python train.py --config bart_lcsts data.train=my.tsv data.source=null --check"
    )
    options = parser.parse_intermixed_args(argv)
    if options.config is None:
        raise UserError(f"--config is missing: name a recipe ({', '.join(recipe_names())}) or a YAML file.")
    if options.resume and options.overwrite:
        raise UserError("--resume and --overwrite exclude each other: go on with the run, or replace it.")
    config = load_config(options.config, options.overrides, options.sample)
    if options.print_config:
        print(describe(config), end="")
        return 0
    from paddle_ft.runtime import quiet_frameworks

    quiet_frameworks()
    from paddle_ft.training import session
    from paddle_ft.training.signals import Interrupted

    if options.check:
        session.check(config)
        return 0
    try:
        run = session.train(config, options.resume, options.overwrite)
    except Interrupted as stop:
        print(
            f"\nstopped by {stop}; go on with:\n  python train.py --config {config.output_dir}/config.yaml --resume",
            file=sys.stderr,
        )
        return stop.exit_code
    print(summary(run.path))
    return 0


def summary(run: Path, samples: int = 3) -> str:
    """Final figures, sample predictions and where the report lies, for the terminal."""
    from paddle_ft.rundir import RunDir

    results = RunDir(run).results()
    lines = [""]
    if results.get("sample"):
        lines += ["sample run: text generated for trying, small model from scratch; the figures say that all works, no more", ""]
    for split, metrics in results.get("metrics", {}).items():
        lines += _table(split, metrics, results)
        path = run / f"predictions-{split}.jsonl"
        last = path
    if results.get("metrics"):
        with open(last, encoding="utf-8") as file:
            rows = [json.loads(line) for _, line in zip(range(samples), file, strict=False)]
        lines += ["predictions:"]
        for row in rows:
            lines += [""] + [f"  {name:<10} {value}" for name, value in row.items()]
    lines += ["", f"model    {run / 'best'}", f"report   {run / 'report.html'}"]
    return "\n".join(lines)


def _table(split: str, metrics: dict, results: dict) -> list[str]:
    """One split's figures: trained, before training, baseline side by side."""
    names = [n for n, v in metrics.items() if isinstance(v, (int, float)) and not isinstance(v, bool)]
    before = results.get("before_training", {}).get(split, {})
    baseline = results.get("baseline", {})
    columns = {"trained": metrics, "before": before, baseline.get("name", "baseline"): baseline.get(split, {})}
    lines = [f"{split:<24}" + "".join(f"{title:>12}" for title in columns)]
    for name in names:
        cells = []
        for values in columns.values():
            value = values.get(name)
            cells.append(f"{value:>12.2f}" if isinstance(value, (int, float)) else f"{'-':>12}")
        interval = metrics.get(f"{name}_ci")
        note = f"   95 % [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else ""
        lines.append(f"  {name:<22}" + "".join(cells) + note)
    return [*lines, ""]


# ---------------------------------------------------------------------------------------------------- evaluate, predict, report
def _run_argument(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's directory, e.g. runs/bart_lcsts")


def _evaluate_arguments(parser: Parser) -> None:
    _run_argument(parser)
    parser.add_argument("--split", choices=["train", "validation", "test"], help="default: test, or validation without a test")
    parser.add_argument("--output", metavar="FILE", help="write the predictions there, one JSON object a line")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="e.g. data.test=new.tsv generation.num_beams=8")


def _evaluate(parser: Parser, argv: list[str]) -> int:
    options = parser.parse_intermixed_args(argv)
    from paddle_ft import inference

    split, scores, baseline = inference.evaluate(options.run, options.split, options.overrides, options.output)
    if options.json:
        print(json.dumps({"split": split, "metrics": scores, "baseline": baseline}, ensure_ascii=False, indent=2))
    else:
        print("\n".join(_table(split, scores, {"baseline": baseline})))
    return 0


def _predict_arguments(parser: Parser) -> None:
    _run_argument(parser)
    parser.add_argument("--input", required=True, metavar="FILE", help="one text a line, or .jsonl objects; - for standard input")
    parser.add_argument("--output", default="-", metavar="FILE", help="where to write, same order; - (default): standard output")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="e.g. generation.num_beams=8")


def _predict(parser: Parser, argv: list[str]) -> int:
    options = parser.parse_intermixed_args(argv)
    from paddle_ft import inference

    inference.predict(options.run, options.input, options.output, options.overrides)
    return 0


def _report(parser: Parser, argv: list[str]) -> int:
    from paddle_ft.plots import plot_run
    from paddle_ft.report import write_report

    run = Path(parser.parse_args(argv).run)
    if not (run / "config.yaml").is_file():
        raise UserError(f"{run}: this is not a run's directory (no config.yaml in it).")
    plot_run(run)
    print(write_report(run))
    return 0


def _doctor_arguments(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def _doctor(parser: Parser, argv: list[str]) -> int:
    from paddle_ft import doctor

    return doctor.run(as_json=parser.parse_args(argv).json)


VERBS = {
    "train": (_train_arguments, _train, "trains a recipe, measures it, writes a report"),
    "evaluate": (_evaluate_arguments, _evaluate, "scores a run's best model on a split or on new data"),
    "predict": (_predict_arguments, _predict, "applies a run's best model to new texts"),
    "report": (_run_argument, _report, "writes a run's plots and report anew"),
    "doctor": (_doctor_arguments, _doctor, "checks this machine and installation"),
}
