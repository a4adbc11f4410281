"""The command line: find the command, parse its flags, and turn errors into messages and exit codes.

Exit codes: 0 success; 1 a defect of ours, with a traceback; 2 a user's mistake, or an environment that does not allow what was
asked, with one message; 130 and 143 stopped by Ctrl-C or SIGTERM after saving. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import sys

from paddle_ft import __version__
from paddle_ft.commands import command_names, find_command
from paddle_ft.system.errors import FTError, UserError
from paddle_ft.system.plugins import import_user_modules
from paddle_ft.system.runtime import prepare_cpu

# OSErrors of disks and file systems, which are the user's to mend wherever they happen
FILE_ERRORS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.ENOENT, errno.EISDIR}


class Parser(argparse.ArgumentParser):
    """argparse without abbreviated flags, and with one line for a wrong use."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str):
        raise UserError(f"{message}. See {self.prog} --help.")


def main(argv: list[str], program: str = "python -m paddle_ft") -> int:
    """Run a command.

    Args:
        argv: its name and its flags.
        program: what usage messages call the program.

    Returns:
        The exit code.
    """
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
    except BrokenPipeError:  # whoever reads our output has closed it, as `| head` does
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno not in FILE_ERRORS or error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}.", file=sys.stderr)
        return 2


def _run(argv: list[str], program: str) -> int:
    name, rest = (argv[0], argv[1:]) if argv else ("--help", [])
    if name in ("-h", "--help"):
        print(_overview())
        return 0
    if name == "--version":
        print(f"paddle_ft {__version__}")
        return 0
    known = command_names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(f"{name}: there is no such command.{hint} Commands: {', '.join(known)}.")
    command = find_command(name)
    program = program if program.endswith(".py") else f"{program} {name}"
    import_user_modules(_imports(rest, program))  # first of all: a command may offer what they define
    parser = Parser(prog=program, description=command.HELP)
    command.add_arguments(parser)
    _add_import_flag(parser)
    return command.run(parser.parse_intermixed_args(rest))


def _imports(arguments: list[str], program: str) -> list[str]:
    """Return the modules named with --import."""
    parser = Parser(prog=program, add_help=False)
    _add_import_flag(parser)
    return parser.parse_known_args(arguments)[0].imports


def _add_import_flag(parser: argparse.ArgumentParser) -> None:
    """Add --import, which every command has."""
    parser.add_argument(
        "--import", dest="imports", action="append", default=[], metavar="MODULE",
        help="a module with a task, source, format, metrics or architecture of your own (docs/extend.md); may be repeated",
    )  # fmt: skip


def _overview() -> str:
    """Return the help of `python -m paddle_ft`."""
    commands = "\n".join(f"  {name:<10} {find_command(name).HELP}" for name in command_names())
    return (
        f"usage: python -m paddle_ft COMMAND ...\n\ncommands:\n{commands}\n\n"
        "python -m paddle_ft COMMAND --help tells more. Training: python train.py --config NAME.\n"
        "Checkpoints to and from Hugging Face: python -m convert --help."
    )
