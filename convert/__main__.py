"""The command line: python -m convert to-paddle | to-hf | verify | inspect."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

from convert.errors import ConvertError

TASKS = (
    "auto", "masked_lm", "sequence_classification", "token_classification", "question_answering", "seq2seq", "causal_lm",
    "base", "pretraining", "multiple_choice",
)  # fmt: skip
DTYPES = ("keep", "float32", "float16", "bfloat16")


def parser() -> argparse.ArgumentParser:
    """All verbs with their arguments."""
    main = argparse.ArgumentParser(
        prog="python -m convert", description="Hugging Face checkpoints to PaddleNLP and back, proved equal."
    )
    verbs = main.add_subparsers(dest="verb", required=True, metavar="VERB")

    forward = verbs.add_parser("to-paddle", help="Hugging Face -> Paddle; plain from_pretrained loads the result")
    forward.add_argument("src", metavar="SRC", help="a directory, or an id such as facebook/bart-base")
    _destination(forward)
    forward.add_argument("--task", choices=TASKS, default="auto", help="which model class; auto: what the checkpoint is. A "
                         "head named here that the checkpoint lacks starts anew")  # fmt: skip
    forward.add_argument("--format", choices=("safetensors", "pdparams", "both"), default="safetensors",
                         help="files to write; plain PaddleNLP reads either")  # fmt: skip
    forward.add_argument("--revision", help="branch, tag or commit of the hub's repository")
    forward.add_argument("--keep-field", action="append", default=[], metavar="NAME", help="a field of config.json, unknown "
                         "to the architecture, that does not change what the model computes; may be repeated")  # fmt: skip

    back = verbs.add_parser("to-hf", help="Paddle -> Hugging Face; plain transformers loads the result")
    back.add_argument("src", metavar="SRC", help="a Paddle checkpoint's directory")
    _destination(back)
    back.add_argument("--task", choices=TASKS, default="auto", help="which model class; auto: what the checkpoint is")

    verify = verbs.add_parser("verify", help="compare outputs and every layer; exit code 1 where they differ")
    verify.add_argument("first", metavar="A", help="a checkpoint's directory, of either library")
    verify.add_argument("second", metavar="B", help="another one")

    inspect = verbs.add_parser("inspect", help="what a checkpoint is and what would become of it; loads no weights")
    inspect.add_argument("src", metavar="SRC", help="a directory, or an id such as facebook/bart-base")
    inspect.add_argument("--task", choices=TASKS, default="auto", help="as for to-paddle")
    inspect.add_argument("--revision", help="branch, tag or commit of the hub's repository")
    return main


def _destination(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("dst", metavar="DST", help="a directory that does not exist yet")
    verb.add_argument("--dtype", choices=DTYPES, default="keep", help="element type of floating-point tensors")
    verb.add_argument("--overwrite", action="store_true", help="replace DST if it exists")


def run(options: argparse.Namespace) -> int:
    """Does what the command line says and prints it; returns the exit code."""
    import convert

    if options.verb == "to-paddle":
        report = convert.to_paddle(
            options.src, options.dst, task=options.task, dtype=options.dtype, format=options.format,
            revision=options.revision, overwrite=options.overwrite, keep_fields=options.keep_field,
        )  # fmt: skip
        print(report.summary())
    elif options.verb == "to-hf":
        report = convert.to_hf(options.src, options.dst, task=options.task, dtype=options.dtype, overwrite=options.overwrite)
        print(report.summary())
    elif options.verb == "inspect":
        print(convert.inspect(options.src, task=options.task, revision=options.revision).text())
    else:
        warnings.simplefilter("ignore")  # the frameworks' import-time remarks
        comparison = convert.verify(Path(options.first), Path(options.second))
        print(comparison.text())
        return 0 if comparison.equal else 1
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 done; 1 verify found a difference; 2 a ConvertError, or a command line that is not understood."""
    options = parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a name's characters gets their escapes
        stream.reconfigure(errors="backslashreplace")
    try:
        return run(options)
    except ConvertError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
