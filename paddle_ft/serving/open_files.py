"""See that the process may open as many files as its connections need: each takes a file descriptor."""

from __future__ import annotations

import contextlib

from paddle_ft.system.errors import UserError

OTHERS = 160  # file descriptors for all else: refused connections that are still told why, the model's files while it is loaded
EACH = 2  # the socket of a connection, and a file of the page /docs that it may be reading


def allow_open_files(connections: int) -> None:
    """Raise this process's limit of open files (ulimit -n), if so many connections need it.

    Raises:
        UserError: the system does not allow that.
    """
    with contextlib.suppress(ImportError):  # Windows has no such limit
        import resource

        needed = OTHERS + EACH * connections
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY or soft >= needed:
            return
        if hard == resource.RLIM_INFINITY or hard >= needed:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
            return
        fits = (hard - OTHERS) // EACH
        lower = f"Lower it to at most {fits}, or raise" if fits > 0 else "Raise"
        raise UserError(
            f"--max-connections {connections}: this takes up to {needed} open files, and the system allows this process {hard}"
            f" (ulimit -n). {lower} that limit."
        )
