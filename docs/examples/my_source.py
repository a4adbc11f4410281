"""A data source of your own: pages, one file a page, with the title in the first line.

data.source=my_pages         downloads the archive, once
data.source=my_pages:PATH    reads the archive at PATH, or the folder that it was unpacked to

python -m paddle_ft train --import my_source --config my_pages.yaml --sample
"""

import zipfile
from pathlib import Path

from paddle_ft.data.rows import make_row_from_columns
from paddle_ft.data.sources.base import Collection
from paddle_ft.data.splits import choose_split
from paddle_ft.system.errors import UserError


class MyPages(Collection):
    """Pages with the columns title and text, in the folders train/ and test/."""

    name = "my_pages"
    url = "https://example.org/pages.zip"  # where the archive is published
    file_name = "pages.zip"  # what it is called among the downloads, in datasets/ of PADDLE_FT_HOME
    md5 = None  # its checksum, if you know it
    description = "my pages"  # what messages call it

    def read(self, data, split, fields):
        """Return [(name for messages, records)] of a split, or None if there is no such split and none was asked for."""
        name = choose_split(data, split, ["train", "test"])  # what data.train, data.validation or data.test asks for
        if name is None:
            return None
        path = Path(self.find(data))  # PATH, or the downloaded file
        if not path.exists():
            raise UserError(f"data.source: {data.source}: there is no {path}.")
        folder = (path if path.is_dir() else zipfile.Path(path)) / name
        return [(str(folder), read_pages(folder, fields))]


def read_pages(folder, fields):
    """Yield (number, row) for each page."""
    columns = fields.column_names(str(folder))  # the task's field -> "title" or "text"
    pages = [page for page in folder.iterdir() if page.name.endswith(".page")]
    for number, page in enumerate(sorted(pages, key=lambda page: page.name), start=1):
        title, _, text = page.read_text(encoding="utf-8").partition("\n")
        yield number, make_row_from_columns({"title": title, "text": text.strip()}, columns, fields)


SOURCE = MyPages()
