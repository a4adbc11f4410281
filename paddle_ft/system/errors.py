"""Two kinds of failure: what the user or the machine can mend, and what only we can mend.

A UserError carries one message made for people: what is wrong, where (file:line, configuration key, tensor name) and what to
do about it. The command line prints it and exits with 2. Anything else that escapes is a defect of ours: exit code 1.
"""


class FTError(Exception):
    """Base of the errors that paddle_ft raises on purpose."""

    exit_code = 1


class UserError(FTError):
    """Wrong input, or an environment that does not allow what was asked: the message says how to mend it."""

    exit_code = 2
