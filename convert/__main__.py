"""Run the command line: python -m convert to-paddle | to-hf | verify | inspect."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # Python has loaded it already; the module signal would load others

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until `main`, Ctrl-C ends the program instead of printing a traceback

import argparse
import difflib
import sys
import warnings
from pathlib import Path

import convert
from convert.errors import ConvertError, is_interrupt
from convert.terminal import finish_stdout, message, prepare_outputs

TASKS = (
    "masked_lm, sequence_classification, token_classification, question_answering, seq2seq, causal_lm, base, pretraining, "
    "multiple_choice"
)  # the tasks of all our families, written out because the families need NumPy, for which the help should not wait
DTYPES = ("keep", "float32", "float16", "bfloat16")
SRC_HELP = "a directory, or an id such as facebook/bart-base"
REVISION_HELP = "branch, tag or commit of the hub's repository (default: its main branch)"


class VerbParser(argparse.ArgumentParser):
    """The parser of a verb. It answers a misspelt flag with the most similar one."""

    def parse_known_args(self, args=None, namespace=None):
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            similar = difflib.get_close_matches(unknown[0].partition("=")[0], self._option_string_actions, n=1)
            self.error(f"unrecognized arguments: {' '.join(unknown)}" + (f". Did you mean {similar[0]}?" if similar else ""))
        return options, unknown


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all verbs and their arguments."""
    parser = argparse.ArgumentParser(
        prog="paddle-ft-convert" if Path(sys.argv[0]).name.startswith("paddle-ft-convert") else "python -m convert",
        description="Convert checkpoints between Hugging Face and PaddleNLP, and compare their outputs.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=VerbParser)

    to_paddle = _add_verb(
        verbs, "to-paddle", "Hugging Face -> Paddle; plain from_pretrained loads the result",
        "Convert a checkpoint from Hugging Face to Paddle. PaddleNLP's from_pretrained loads the result. What became of each "
        "tensor is written to conversion.md beside the weights.",
    )  # fmt: skip
    to_paddle.add_argument("src", metavar="SRC", help=SRC_HELP)
    _add_destination(to_paddle)
    to_paddle.add_argument("--task", default="auto", help=f"task to convert to: auto (the checkpoint's own, the "
                           f"default), {TASKS}. A head that the checkpoint lacks is newly initialised")  # fmt: skip
    to_paddle.add_argument("--format", choices=("safetensors", "pdparams", "both"), default="safetensors",
                           help="files to write; plain PaddleNLP reads either (default: %(default)s)")  # fmt: skip
    _add_request(to_paddle)

    to_hf = _add_verb(
        verbs, "to-hf", "Paddle -> Hugging Face; plain transformers loads the result",
        "Convert a checkpoint from Paddle to Hugging Face, also after training. transformers' from_pretrained loads the result. "
        "What became of each tensor is written to conversion.md beside the weights.",
    )  # fmt: skip
    to_hf.add_argument("src", metavar="SRC", help="directory of a Paddle checkpoint")
    _add_destination(to_hf)
    to_hf.add_argument("--task", default="auto", help=f"auto (the checkpoint's own, the default), {TASKS}")

    verify = _add_verb(
        verbs, "verify", "compare the outputs and every layer; exit code 1 if they differ",
        "Run two checkpoints on the same inputs, compare the outputs of every layer, and name the first that differs. The exit "
        "code is 0 if they are the same model, and 1 if they differ.",
    )  # fmt: skip
    verify.add_argument("first", metavar="A", help="directory of a checkpoint of either library")
    verify.add_argument("second", metavar="B", help="directory of another one")

    inspect = _add_verb(
        verbs, "inspect", "describe a checkpoint and what its tensors would become; loads no weights",
        "Describe a checkpoint, and list what a conversion would make of each tensor. Nothing is written; weights are not loaded.",
    )  # fmt: skip
    inspect.add_argument("src", metavar="SRC", help=SRC_HELP)
    inspect.add_argument("--task", default="auto", help=f"auto (the checkpoint's own, the default), {TASKS}")
    _add_request(inspect)
    return parser


def _add_request(verb: argparse.ArgumentParser) -> None:
    """Add the flags that say about a Hugging Face checkpoint what its files leave open."""
    verb.add_argument("--revision", help=REVISION_HELP)
    verb.add_argument("--model-type", metavar="NAME", help="the architecture, such as bert, if config.json does not say it")
    verb.add_argument("--keep-field", action="append", default=[], metavar="NAME", help="a field of config.json that "
                      "is unknown and does not change what the model computes; may be repeated")  # fmt: skip
    verb.add_argument("--drop", action="append", default=[], metavar="PATTERN", help="leave out the tensors with such names, "
                      "for which the class has no place, such as 'cls.species.*'; may be repeated")  # fmt: skip
    verb.add_argument("--base", metavar="BASE", help="if SRC is a LoRA adapter: the directory or id of the model that it was "
                      "trained on (default: the directory that the adapter names)")  # fmt: skip


def _add_verb(verbs, name: str, summary: str, description: str) -> argparse.ArgumentParser:
    """Add a verb, with the flags that all verbs have. `summary` is its line in the list of verbs."""
    verb = verbs.add_parser(name, help=summary, description=description)
    verb.add_argument("--import", dest="imports", action="append", default=[], metavar="MODULE", help="a Python module, in the "
                      "current directory or on PYTHONPATH, that defines families of your own; may be repeated")  # fmt: skip
    return verb


def _add_destination(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("dst", metavar="DST", help="a directory that does not exist yet")
    verb.add_argument("--dtype", choices=DTYPES, default="keep", help="element type of floating-point tensors (default: keep)")
    verb.add_argument("--overwrite", action="store_true", help="replace DST if it exists")


def run(options: argparse.Namespace) -> int:
    """Run a parsed command line, print its result, and return the exit code."""
    if options.verb in ("to-paddle", "inspect"):
        request = {
            "task": options.task, "revision": options.revision, "model_type": options.model_type, "drop": options.drop,
            "keep_fields": options.keep_field, "base": options.base, "imports": options.imports,
        }  # fmt: skip
    if options.verb == "to-paddle":
        report = convert.to_paddle(
            options.src, options.dst, dtype=options.dtype, format=options.format, overwrite=options.overwrite, **request
        )
        print(report.summary())
    elif options.verb == "to-hf":
        report = convert.to_hf(
            options.src, options.dst, task=options.task, dtype=options.dtype, overwrite=options.overwrite,
            imports=options.imports,
        )  # fmt: skip
        print(report.summary())
    elif options.verb == "inspect":
        print(convert.inspect(options.src, **request).text())
    else:
        warnings.simplefilter("ignore")  # the frameworks give warnings when they are imported
        print("loading Paddle ...", file=sys.stderr, flush=True)
        comparison = convert.verify(options.first, options.second, imports=options.imports)
        print(comparison.text())
        return 0 if comparison.equal else 1
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code: 0 for success, 1 if verify found a difference, 2 for a ConvertError or an invalid command line, 130 after
        Ctrl-C.
    """
    prepare_outputs()
    options = build_parser().parse_args(arguments)
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = run(options)
        sys.stdout.flush()
        return code
    except ConvertError as error:
        print(f"error: {message(str(error))}", file=sys.stderr)
        return error.exit_code
    except MemoryError:
        needed = "the largest tensor must fit, and a .pdparams file as a whole"
        print(f"error: there is not enough memory for this; {needed}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has closed the pipe
        finish_stdout()
        return 0
    except (KeyboardInterrupt, ImportError) as error:
        if not is_interrupt(error):
            raise
        print("interrupted; nothing was written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
