"""Define the error for problems that the user can solve, and recognise Ctrl-C in others."""

import re

from convert.terminal import message as shown

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # not tab and newline


def visible(text: str) -> str:
    """Return text with control characters as escapes. Names in a file could otherwise change what a terminal shows."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


class ConvertError(Exception):
    """A problem with the input, the request or the machine that the user can solve.

    The message says what is wrong, in which file or tensor, and what to do. The command line prints it and exits with code 2.

    Attributes:
        flags: Flags of to-paddle that solve the problem, such as "--model-type bert"; "" if none do. The message names them too.
        problem: The message without what it says about the flags, if that is known; else the whole message.
    """

    exit_code = 2

    def __init__(self, message: str, flags: str = "", problem: str = ""):
        super().__init__(visible(message))
        self.flags, self.problem = flags, visible(problem or message)

    def _render_traceback_(self) -> list[str]:
        """Return what IPython and notebooks show: the message alone, as on the command line."""
        return [f"error: {shown(str(self))}"]


def is_interrupt(error: BaseException | None) -> bool:
    """Return whether an error is Ctrl-C, or a library that was being imported made it of Ctrl-C, as NumPy and Paddle do."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None
