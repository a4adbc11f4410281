"""Write small data files for tests, and read them."""

import gzip

import pytest

from paddle_ft.data.files import open_files
from paddle_ft.data.reading import Reading
from paddle_ft.data.rows import Fields, Rows, collect_rows
from paddle_ft.system.errors import UserError

PAIR = ("source", "target")


def read_files(pattern, columns=None, *, required, optional=(), on_bad_row="error", limit=None, **settings) -> Rows:
    """Return the rows of the files that match a pattern, with their decisions. `settings` are those of Reading."""
    fields = Fields(columns or {}, required, optional, Reading(**settings))
    rows = collect_rows(open_files(pattern, fields), on_bad_row, limit)
    rows.decide(*fields.decisions)
    return rows


def write(name, content):
    """Write a text or bytes to a file, compressed if the name ends with .gz. Return the name."""
    data = content if isinstance(content, bytes) else content.encode()
    with (gzip.open if name.endswith(".gz") else open)(name, "wb") as file:
        file.write(data)
    return name


def error(*args, **kwargs) -> str:
    """Return the message of the UserError that read_files must raise."""
    with pytest.raises(UserError) as caught:
        read_files(*args, **({"required": PAIR} | kwargs))
    return str(caught.value)


def reasons(*args, **kwargs):
    """Return the number of good rows, and line and reason of each row that read_files skips."""
    result = read_files(*args, **({"required": PAIR, "on_bad_row": "skip"} | kwargs))
    return len(result.rows), [(bad.line, bad.reason) for bad in result.bad]
