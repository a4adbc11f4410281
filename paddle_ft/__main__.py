"""Start the command line: `python -m paddle_ft COMMAND`, the program `paddle-ft`, and train.py."""

# These alone, which Python has loaded already (the module signal would load others), because Ctrl-C prints a traceback until
# `start` is called.
import _signal as signal  # type: ignore[import-not-found]
import os
import sys

# `python -m` searches the working directory first. A file there that is named like a library, in a folder that somebody else has
# made, must not be imported in its place. --import adds the directory again.
if sys.path[0] in ("", os.getcwd()) and os.getcwd() != os.path.dirname(os.path.dirname(os.path.realpath(__file__))):
    del sys.path[0]


def start(argv: list[str], program: str = "python -m paddle_ft") -> int:
    """Run a command. Ctrl-C ends the program without a traceback from here on, also while the first modules are imported.

    Args:
        argv: the name of the command and its flags.
        program: the name of the program in usage messages.

    Returns:
        The exit code.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # in the background it is ignored, and stays so
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from paddle_ft.cli import main

    return main(argv, program)


def console() -> int:
    """Run the program `paddle-ft`, which `pip install` makes, and return the exit code."""
    return start(sys.argv[1:], program="paddle-ft")


if __name__ == "__main__":
    sys.exit(start(sys.argv[1:]))
