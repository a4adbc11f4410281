"""Read .pairs files: two texts a line with => between them, as in "a long text => a short one"."""

from paddle_ft.data.readers.base import Reader
from paddle_ft.data.rows import make_row_from_columns


def read(file, fields):
    """Yield (line, row), or (line, reason) for a line that is not a pair."""
    columns = fields.column_names(file.path)
    for line, (text, problem) in enumerate(file.lines(), start=1):
        left, arrow, right = text.partition(" => ")
        if problem or not arrow:
            yield line, problem or "there is no => in this line"
        else:
            yield line, make_row_from_columns({"left": left, "right": right}, columns, fields)


READER = Reader((".pairs",), read)
