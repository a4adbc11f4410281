"""The command line: find the command, parse its flags, and turn errors into messages and exit codes.

The exit code is 0 for success, 1 for a bug in paddle_ft (with a traceback), 2 for a user's mistake or an unsuitable machine (with
one message), and 130 or 143 if Ctrl-C or SIGTERM stopped a training after it was saved. paddle is imported only when a command
needs it.
"""

from __future__ import annotations

import argparse
import sys

from convert.terminal import finish_stdout, message, prepare_outputs
from paddle_ft.commands import command_names, find_command
from paddle_ft.system import interrupts
from paddle_ft.system.errors import FTError, UserError
from paddle_ft.system.files import FILE_ERRORS, describe_file_error
from paddle_ft.system.formatting import did_you_mean
from paddle_ft.system.installation import SOURCE_TREE, install_hint
from paddle_ft.system.plugins import import_user_modules
from paddle_ft.system.runtime import announce_loading, prepare_cpu
from paddle_ft.system.version import __version__

# What Ctrl-C says after "stopped", for the commands of which somebody may fear that it has cost something.
LOSSLESS = {
    **dict.fromkeys(("train", "repeat", "study", "sweep"), "; no training was running, so nothing is lost"),
    "export": "; no export was written, and one that was there stays as it was",
}


class Parser(argparse.ArgumentParser):
    """An argument parser without abbreviated flags. Wrong usage raises a UserError instead of printing the usage and exiting."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def parse(self, arguments: list[str]) -> argparse.Namespace:
        """Return the parsed arguments. Raise UserError for wrong usage; a misspelt flag is answered with the most similar one."""
        options, unknown = self.parse_known_intermixed_args(arguments)
        if unknown:
            hint = did_you_mean(unknown[0].partition("=")[0], list(self._option_string_actions))
            raise UserError(f"unrecognized arguments: {' '.join(unknown)}.{hint} See {self.prog} --help.")
        return options

    def error(self, message: str):
        raise UserError(f"{message}. See {self.prog} --help.")


def main(argv: list[str], program: str = "python -m paddle_ft") -> int:
    """Run a command.

    Args:
        argv: the name of the command and its flags.
        program: the name of the program in usage messages.

    Returns:
        The exit code.
    """
    prepare_cpu()
    prepare_outputs()
    try:
        with interrupts.remembered():
            code = _run(argv, program)
            sys.stdout.flush()  # here, and not when Python ends, an error can be explained
        return code
    except FTError as error:
        _print_error(str(error))
        return error.exit_code
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("paddle_ft", "convert"):
            raise
        _print_error(f"the package {error.name} is not installed in {sys.executable}. What to do: {install_hint(error.name or '')}")
        return 2
    except MemoryError:
        _print_error(
            "out of memory. Close other programs, lower eval.eval_batch_size and the task's max lengths, or use a smaller model."
        )
        return 2
    except KeyboardInterrupt:
        print("\nstopped" + LOSSLESS.get(argv[0] if argv else "", ""), file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has closed it, as `| head` does
        finish_stdout()
        return 0
    except OSError as error:
        if error.errno not in FILE_ERRORS:
            raise
        finish_stdout()  # it may be what could not be written
        _print_error(describe_file_error(error))
        return 2


def _print_error(text: str) -> None:
    print(f"error: {message(text)}", file=sys.stderr)


def _run(argv: list[str], program: str) -> int:
    name, arguments = (argv[0], argv[1:]) if argv else ("--help", [])
    if name in ("-h", "--help"):
        print(_overview(program))
        return 0
    if name == "--version":
        print(f"paddle_ft {__version__}")
        return 0
    names = command_names()
    if name not in names:
        raise UserError(f"{name}: there is no such command.{did_you_mean(name, names)} Commands: {', '.join(names)}.")
    command = find_command(name)
    program = program if program.endswith(".py") else f"{program} {name}"
    import_user_modules(_parse_imports(arguments, program))  # before the flags are parsed, because plugins may add flags
    parser = Parser(prog=program, description=command.HELP)
    command.add_arguments(parser)
    _add_import_flag(parser)
    options = parser.parse(arguments)
    announce_loading(not getattr(options, "json", False))
    return command.run(options)


def _parse_imports(arguments: list[str], program: str) -> list[str]:
    """Return the modules that are named with --import."""
    parser = Parser(prog=program, add_help=False)
    _add_import_flag(parser)
    return parser.parse_known_args(arguments)[0].imports


def _add_import_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag --import, which every command has."""
    parser.add_argument(
        "--import", dest="imports", action="append", default=[], metavar="MODULE",
        help="a module with a task, source, format, metrics or architecture of your own (docs/extend.md); may be repeated",
    )  # fmt: skip


def _overview(program: str) -> str:
    """Return the help that lists the commands. `program` is the name of the program."""
    train = "python train.py" if SOURCE_TREE else f"{program} train"
    convert = "paddle-ft-convert" if program == "paddle-ft" else "python -m convert"
    commands = "\n".join(f"  {name:<10} {find_command(name).HELP}" for name in command_names())
    return (
        f"usage: {program} COMMAND ...\n\ncommands:\n{commands}\n\n"
        f"For the flags of a command: {program} COMMAND --help. For training: {train} --config NAME.\n"
        f"To convert checkpoints from and to Hugging Face: {convert} --help."
    )
