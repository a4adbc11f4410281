"""The command line: verbs, flags, and what the user sees when something goes wrong.

Exit codes: 0 done, 2 the user's mistake or an environment that does not allow it (one message, no traceback), 1 a defect of
ours (a traceback), 130/143 stopped by Ctrl-C/SIGTERM after saving. Nothing heavy is imported before a verb needs it.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import sys

from paddle_ft import __version__
from paddle_ft.commands import command_names, find_command
from paddle_ft.system.errors import FTError, UserError
from paddle_ft.system.runtime import prepare_cpu

# what a disk or a file system refuses: the user's to mend, wherever it happens
REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.ENOENT, errno.EISDIR}


class Parser(argparse.ArgumentParser):
    """argparse with one clear line for an error of use, and no shortened flags."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str):
        raise UserError(f"{message}. See {self.prog} --help.")


def main(argv: list[str], program: str = "python -m paddle_ft") -> int:
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
    except OSError as error:
        if error.errno not in REFUSALS or error.filename is None:
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
    parser = Parser(prog=program if program.endswith(".py") else f"{program} {name}", description=command.HELP)
    command.arguments(parser)
    return command.run(parser.parse_intermixed_args(rest))


def _overview() -> str:
    commands = "\n".join(f"  {name:<10} {find_command(name).HELP}" for name in command_names())
    return (
        f"usage: python -m paddle_ft COMMAND ...\n\ncommands:\n{commands}\n\n"
        "python -m paddle_ft COMMAND --help tells more. Training: python train.py --config NAME.\n"
        "Checkpoints to and from Hugging Face: python -m convert --help."
    )
