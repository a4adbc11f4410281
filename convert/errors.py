"""The one kind of error that this package raises on purpose."""


class ConvertError(Exception):
    """Something about the input, the request or the machine that the user can mend.

    The message says what is wrong, in which file or tensor, and what to do. The command line prints it and exits with 2.
    """

    exit_code = 2
