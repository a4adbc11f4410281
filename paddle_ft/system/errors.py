"""Exceptions that paddle_ft raises on purpose.

A UserError is something that the user can fix: wrong input, or a machine that does not fit. The command line prints its message
and exits with 2. Any other exception is a bug in paddle_ft. It is shown with its traceback, and the exit code is 1.
"""

from convert.terminal import message


class FTError(Exception):
    """Base class of the errors that paddle_ft raises on purpose."""

    exit_code = 1


class UserError(FTError):
    """Wrong input, or a machine or installation that cannot do what was asked.

    The message says what is wrong, where (file:line, configuration key, tensor name) and how to fix it.
    """

    exit_code = 2

    def _render_traceback_(self) -> list[str]:
        """Return what IPython and notebooks show: the message alone, as on the command line."""
        return [f"error: {message(str(self))}"]
