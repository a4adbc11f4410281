"""A file format of your own: .pairs, two texts a line with => between them, as in "a long text => a short one".

python -m paddle_ft train --import my_format --config my_pairs.yaml --sample
"""

from paddle_ft.data.readers.base import Reader
from paddle_ft.data.rows import make_row_from_columns


def read(file, fields):
    """Yield (line, row) for a row that can be used, (line, reason) for one that cannot.

    Args:
        file: the file (a DataFile). file.lines() gives each line with what is wrong with its encoding, or None; it also unpacks
            .gz and shows the progress.
        fields: the fields that the task wants, and data.columns of the configuration, which says where they are.
    """
    columns = fields.column_names(file.path)  # field -> "left" or "right"
    for line, (text, problem) in enumerate(file.lines(), start=1):
        left, arrow, right = text.partition(" => ")
        if problem or not arrow:
            yield line, problem or "there is no => in this line"
        else:
            yield line, make_row_from_columns({"left": left, "right": right}, columns, fields)


READER = Reader((".pairs",), read)
