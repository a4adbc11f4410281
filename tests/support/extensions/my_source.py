"""data.source my_pages:FOLDER reads FOLDER/train/*.page and FOLDER/test/*.page, one text a file with its title above it."""

from pathlib import Path

from paddle_ft.data.rows import make_row_from_columns
from paddle_ft.data.sources.base import Source
from paddle_ft.data.splits import choose_split


class MyPages(Source):
    """A folder of pages with the columns title and text."""

    name = "my_pages"

    def claims(self, value):
        return value is not None and value.startswith("my_pages:")

    def read(self, data, split, fields):
        name = choose_split(data, split, ["train", "test"])
        if name is None:
            return None
        folder = Path(data.source.removeprefix("my_pages:")) / name
        return [(str(folder), read_pages(folder, fields))]


def read_pages(folder, fields):
    columns = fields.column_names(str(folder))
    for number, path in enumerate(sorted(folder.glob("*.page")), start=1):
        title, _, text = path.read_text(encoding="utf-8").partition("\n")
        yield number, make_row_from_columns({"title": title, "text": text}, columns, fields)


SOURCE = MyPages()
