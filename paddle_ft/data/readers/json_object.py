"""Read a JSON file that is one object: the rows are in a list inside it (data.field), or its fields are the columns."""

from __future__ import annotations

import json
from collections.abc import Iterator

from paddle_ft.data.readers.json_text import Document, Value, decode, skip_space
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, list_names
from paddle_ft.system.errors import UserError

MAX_DEPTH = 3  # of the objects in which lists of rows are looked for, to suggest a data.field
MAX_SUGGESTIONS = 5
AS_RECORDS = 'write it with df.to_json(FILE, orient="records", lines=True)'


def read_object(file: DataFile, fields: Fields) -> Iterator[Value]:
    """Yield (line or number, value, reason) for each row of a file that is one object.

    Raises:
        UserError: the file is not valid JSON, data.field leads to no rows, or it is needed and not set.
    """
    document = Document(file)
    position, path = skip_space(document.text, 0), file.reading.field
    try:
        if path is not None:
            position = _find(document, position, path)
            if document.text[position] == "[":
                yield from document.array(position)
                return
        value, end = decode(document.text, position)
        if path is None and skip_space(document.text, end) < len(document.text):
            raise json.JSONDecodeError("more text follows the object", document.text, end)
    except json.JSONDecodeError as error:
        raise document.error(error) from None
    if reason := document.describe_bad_bytes(position, end):
        raise UserError(f"{file.path}: {reason}")
    if not isinstance(value, dict):
        raise UserError(f"{file.path}: data.field={path} is {type(value).__name__}, not a list of rows")
    yield from _rows(file, value, fields)


def has_rows_inside(value: dict, fields: Fields) -> bool:
    """Return whether an object is not a row itself: its fields are columns, or there is a list of rows somewhere in it."""
    is_row = fields.fit(value)
    return _as_columns(value, fields) is not None or (not is_row and bool(_pandas_orient(value, fields) or _suggest(value, fields)))


def _pandas_orient(value: dict, fields: Fields) -> str | None:
    """Return the form in which pandas has written a table as an object: split or index. None for other objects."""
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        return "split" if all(isinstance(cells, list) for cells in value["data"][:1]) else None
    rows = list(value.values())
    return "index" if rows and all(isinstance(row, dict) for row in rows) and fields.fit(rows[0]) else None


def _find(document: Document, position: int, path: str) -> int:
    """Return the position of the value that data.field leads to, "a.b" meaning b inside the object a."""
    text, place = document.text, "the file"
    while path:
        if text[position : position + 1] != "{":
            raise UserError(f"{document.path}: data.field={path}: {place} is no object")
        names = []
        for name, start in _members(text, position):
            names.append(name)
            if name == path or path.startswith(f"{name}."):
                position, path, place = start, path[len(name) + 1 :], repr(name)
                break
        else:
            raise UserError(f"{document.path}: data.field: there is no {path!r}; {place} has {list_names(names) or 'nothing'}")
    return position


def _members(text: str, position: int) -> Iterator[tuple[str, int]]:
    """Yield each name of the object at a position, and the position of its value. Raise json.JSONDecodeError."""
    position = skip_space(text, position + 1)
    while text[position : position + 1] == '"':
        name, end = decode(text, position)
        colon = skip_space(text, end)
        if text[colon : colon + 1] != ":":
            raise json.JSONDecodeError("Expecting ':' delimiter", text, colon)
        start = skip_space(text, colon + 1)
        yield str(name), start
        end = skip_space(text, decode(text, start)[1])
        if text[end : end + 1] != ",":
            position = end
            break
        position = skip_space(text, end + 1)
    if text[position : position + 1] != "}":
        raise json.JSONDecodeError("Expecting a name in double quotes or '}'", text, position)


def _rows(file: DataFile, value: dict, fields: Fields) -> Iterator[Value]:
    columns = _as_columns(value, fields)
    if columns is None and fields.fit(value):
        yield 1, value, None
        return
    if columns is None:
        raise UserError(f"{file.path}: {_no_rows_message(value, fields)}")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name!r} has {length:,}" for name, length in lengths.items())
        raise UserError(f"{file.path}: the columns of the object need the same number of values: {counts}")
    file.decide("it is one object, whose lists are read as columns")
    for number, cells in enumerate(zip(*columns.values(), strict=True), start=1):
        yield number, dict(zip(columns, cells, strict=True)), None


def _as_columns(value: dict, fields: Fields) -> dict[str, list] | None:
    """Return column name -> values for an object of columns, or None if it is none.

    A column is a list, or an object of row name -> value, as pandas writes it.
    """
    if not fields.fit(value):
        return None
    names = [name for name in fields.column_names("").values() if name in value]
    if not all(isinstance(value[name], list) for name in names) and not all(isinstance(value[name], dict) for name in names):
        return None
    columns = {name: _as_list(value[name], value[names[0]]) for name in dict.fromkeys(names)}
    if fields.complete:
        length = len(columns[names[0]])
        others = {name: _as_list(cells, value[names[0]]) for name, cells in value.items() if name not in columns}
        columns |= {name: cells for name, cells in others.items() if len(cells) == length}
    return columns


def _as_list(column: object, first: list | dict) -> list:
    """Return the values of a column, in the order of the first column's rows if rows have names."""
    if isinstance(column, dict) and isinstance(first, dict):
        return [column[name] for name in first] if column.keys() == first.keys() else list(column.values())
    return column if isinstance(column, list) else []


def _no_rows_message(value: dict, fields: Fields) -> str:
    if orient := _pandas_orient(value, fields):
        return f"the file is a table as pandas writes it with orient={orient!r}; {AS_RECORDS}"
    suggestions = _suggest(value, fields)
    if not suggestions:
        return f"the file is one object with {list_names(value) or 'nothing'}, and there is no list of rows in it"
    lists = "; ".join(f"data.field={path} ({description})" for path, description in suggestions[:MAX_SUGGESTIONS])
    return f"the file is one object, with its rows in a list inside it; name the list: {lists}"


def _suggest(value: dict, fields: Fields) -> list[tuple[str, str]]:
    """Return (data.field, description) for the lists of rows in an object: those that have the fields, or all if none has."""
    found = list(_find_lists(value, fields))
    fitting = [(path, description) for path, description, fits in found if fits]
    return fitting or [(path, description) for path, description, _ in found]


def _find_lists(value: dict, fields: Fields, prefix: str = "", depth: int = 1) -> Iterator[tuple[str, str, bool]]:
    """Yield data.field, a description, and whether its rows have the fields, for each list of objects in an object."""
    for name, item in value.items():
        path = f"{prefix}{name}"
        if isinstance(item, list) and item and isinstance(item[0], dict):
            yield path, f"{len(item):,} objects with {list_names(item[0])}", fields.fit(item[0])
        elif isinstance(item, dict) and _as_columns(item, fields) is not None:
            yield path, f"columns {list_names(item)}", True
        elif isinstance(item, dict) and depth < MAX_DEPTH:
            yield from _find_lists(item, fields, f"{path}.", depth + 1)
