"""Errors by whose fault they are: UserError is for what the user or the machine can mend, all else is a defect of ours.

The command line prints the message of a UserError and exits with 2. Anything else that escapes is shown with its traceback, and
the exit code is 1.
"""


class FTError(Exception):
    """Base class of the errors that paddle_ft raises on purpose."""

    exit_code = 1


class UserError(FTError):
    """Wrong input, or an environment that does not allow what was asked.

    The message says what is wrong, where (file:line, configuration key, tensor name) and how to mend it.
    """

    exit_code = 2
