"""Define the error for problems that the user can solve."""


class ConvertError(Exception):
    """A problem with the input, the request or the machine that the user can solve.

    The message says what is wrong, in which file or tensor, and what to do. The command line prints it and exits with code 2.

    Attributes:
        flags: Flags of to-paddle that solve the problem, such as "--model-type bert"; "" if none do. The message names them too.
    """

    exit_code = 2

    def __init__(self, message: str, flags: str = ""):
        super().__init__(message)
        self.flags = flags

    def _render_traceback_(self) -> list[str]:
        """Return what IPython and notebooks show: the message alone, as on the command line."""
        return [f"error: {self}"]
