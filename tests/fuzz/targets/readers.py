"""Fuzz the readers of data files: every format, as the rows of a training and as the input of predict."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from paddle_ft.config.schema import DataSection
from paddle_ft.data.inputs import Columns, read_inputs
from paddle_ft.data.load import load_split
from paddle_ft.system.files import to_json
from tests.fuzz.mutation import ODD_BYTES, mutated
from tests.fuzz.target import Files, Target, read_files
from tests.support.table_formats import WRITERS

TABLE = pd.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "text": ['He said "so; what", then left', "一行中文，有标点", "two\nlines", None],
        "text_pair": ["a|b", "c\td", "nan", "x"],
        "label": [True, False, True, None],
        "score": [1.0, 0.5, None, 1e300],
        "artist": ["x", None, "", "😀"],
    }
)
ENCODINGS = ("auto", "auto", "auto", "utf-8", "gb18030", "utf-16", "utf-16-be", "utf-32", "big5", "shift_jis", "cp1252", "utf-7")
WORDS = (
    b"sep=;\n", b"sep=,\r\n", b'"', b'""', b'"\n', b";", b"|", b"\t", b",,,,", b"text", b"label", b"text;label\n", b"text\tlabel\n",
    b'{"text": "a", "label": 1}\n', b'{"text": ["a"], "label": [1]}', b'{"data": [{"text": "a"}]}', b'"data": ', b": NaN",
    b": Infinity",    b'"\\ud800"', b"\\u0000", "一行中文".encode("gbk"),
    "text,label\n一,二\n".encode("utf-16"), "一行\n".encode("utf-16-be"),
    b"\x81\x30\x81\x30", b"\x8e", b"\xa1\xa1", b"nan", b"1.0", b"TRUE", b"\r" * 3, b"\n" * 20,
)  # fmt: skip


def read(folder: Path) -> None:
    """Read data.EXTENSION as rows with the settings of the case, and as the input of predict. All rows must be texts."""
    settings = json.loads((folder / "settings").read_text()) if (folder / "settings").exists() else {}
    path = next(str(path) for path in sorted(Path().iterdir()) if path.name.startswith("data")) + settings.pop("sheet", "")
    required, optional = settings.pop("fields", (["text", "label"], ["text_pair", "artist"]))
    data = DataSection(train=path, **settings)
    problem = None
    try:
        rows = load_split(data, "train", tuple(required), tuple(optional))
        assert rows.rows
        for row in rows.rows:
            assert set(required) <= row.keys() <= {*required, *optional}
            for text in row.values():
                assert type(text) is str and text.strip() and "\r" not in text
                text.encode()
        assert all(decision.encode() for decision in rows.decisions)
    except Target.errors as error:
        problem = error
    for record in read_inputs(path, Columns.from_config(required[0], data)):
        assert record.text or ".txt" in path or record.text is None
        to_json(record.others).encode()
    if problem is not None:
        raise problem


# ---------------------------------------------------------------------------------------------------- inputs
def _written(*names: str) -> list[bytes]:
    """Return the table as it is in the files of these formats."""
    contents = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in names:
            path = Path(temporary, name)
            WRITERS[name](TABLE if "tsv" not in name else TABLE.replace({"\n": " ", "\t": " "}, regex=True), path)
            contents.append(path.read_bytes())
    return contents


def _settings(*fields: str) -> SearchStrategy[bytes]:
    """Return settings of the data section, as JSON: the encoding, the separator and so on."""
    columns = [{}, {}, {}, {"text": "artist"}, {"label": "score"}, {"text": "id", "label": "text_pair"}, *(
        [{"text": 1, "label": 0}, {"text": 0, "label": 3}, {"text": 2, "label": 100}] if "numbers" in fields else [])]  # fmt: skip
    optional = {
        "encoding": st.sampled_from(ENCODINGS),
        "separator": st.sampled_from(["auto", ",", ";", "tab", "|"]),
        "field": st.sampled_from(["data", "data.rows", "text", "a.b", "", "."]).filter(bool),
        "limit_train": st.just(2),
        "sheet": st.sampled_from([":Sheet1", ":x", ":"]),
        "fields": st.sampled_from([(["text"], []), (["text", "label"], ["text_pair"]), (["id", "score"], ["text"])]),
    }
    chosen = {name: optional[name] for name in ("limit_train", *(name for name in fields if name in optional))}
    return st.fixed_dictionaries(
        {"on_bad_row": st.sampled_from(["skip", "skip", "error"]), "columns": st.sampled_from(columns)}, optional=chosen
    ).map(lambda values: json.dumps(_without_unknown_columns(values)).encode())


def _without_unknown_columns(values: dict) -> dict:
    known = {"text", "label", "text_pair", "artist"} if "fields" not in values else {*values["fields"][0], *values["fields"][1]}
    return {**values, "columns": {name: column for name, column in values["columns"].items() if name in known}}


def _packed(content: bytes) -> SearchStrategy[bytes]:
    """Return gzipped content, whole or broken."""
    return mutated([gzip.compress(content, mtime=0)], most=2)


def _files(names: list[str], contents: SearchStrategy[bytes], settings: SearchStrategy[bytes]) -> SearchStrategy[Files]:
    """Return a data file and the settings. Some are gzipped, and some of those are damaged."""
    plain = st.builds(lambda name, content, values: {name: content, "settings": values}, st.sampled_from(names), contents, settings)
    packed = contents.flatmap(_packed)
    gzipped = st.builds(
        lambda name, content, values: {f"{name}.gz": content, "settings": values}, st.sampled_from(names), packed, settings
    )
    return st.one_of(plain, plain, plain, plain, gzipped)


def _texts(*names: str) -> SearchStrategy[bytes]:
    """Return broken text files of these formats: changed bytes, other line ends and encodings, parts in other encodings, noise."""
    seeds = _written(*names)
    texts = [seed.decode("utf-8-sig") for seed in seeds]
    others = [text.encode(encoding, "ignore") for text in texts for encoding in ("gb18030", "utf-16", "utf-16-be")]
    ends = [seed.replace(b"\r\n", b"\n").replace(b"\n", end) for seed in seeds for end in (b"\r\n", b"\r", b"\n\n", b"\r\r\n")]
    lines = st.lists(st.one_of(st.sampled_from([*WORDS, *ODD_BYTES]), st.sampled_from(b"\n".join(seeds).split(b"\n"))), max_size=12)
    return st.one_of(
        mutated([*seeds, *others, *ends], WORDS), mutated(seeds, WORDS), mutated(seeds, WORDS, most=30), st.binary(max_size=200),
        st.builds(lambda parts, end: end.join(parts), lines, st.sampled_from([b"\n", b"", b"\r", b",", b";", b"\t"])),
        st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    )  # fmt: skip


def _one_file(name: str, make: Callable[[], bytes], **settings) -> Callable[[], Files]:
    return lambda: {name: make(), "settings": json.dumps({"on_bad_row": "skip", **settings}).encode()}


_LONG = 100_000_000
_MANY = 1_000_000
_LARGE_TABLES = {
    "line-of-100-mb.csv": _one_file("data.csv", lambda: b"text,label\n" + b"x" * _LONG + b",1\na,1\nb,0\n"),
    "quote-that-never-ends.csv": _one_file("data.csv", lambda: b'text,label\n"' + b"x,1\n" * 200_000),
    "many-lone-quotes.csv": _one_file("data.csv", lambda: b"text,label\n" + b'a,1\n"b,0\n' * 20_000),
    "million-columns.csv": _one_file("data.csv", lambda: b",".join(b"c%d" % i for i in range(_MANY)) + b"\n" + b"1," * _MANY),
    "million-fields.csv": _one_file("data.csv", lambda: b"text,label\n" + b",".join([b"x"] * _MANY) + b"\na,1\n"),
    "many-blank-lines.tsv": _one_file("data.tsv", lambda: b"text\tlabel\n" + b"\n" * 100_000 + b"a\t1\n"),
    "zeros.csv": _one_file("data.csv", lambda: bytes(_LONG)),
    "gzip-of-100-mb.csv": _one_file("data.csv.gz", lambda: gzip.compress(b"x" * _LONG, 1)),
}
_ROW = b'{"text": "a", "label": 1}'
_LARGE_JSON = {
    "line-of-100-mb.jsonl": _one_file("data.jsonl", lambda: b'{"text": "' + b"x" * _LONG + b'", "label": 1}\n' + _ROW),
    "list-on-one-line.json": _one_file("data.json", lambda: b"[" + b",".join([_ROW] * 50_000) + b"]"),
    "many-names.jsonl": _one_file("data.jsonl", lambda: b"{" + b",".join(b'"%d": 1' % i for i in range(200_000)) + b"}\n" + _ROW),
    "deep.json": _one_file("data.json", lambda: b"[" * _MANY),
    "deep-object.json": _one_file("data.json", lambda: b'{"data": ' * _MANY, field="data.data"),
    "digits.json": _one_file("data.json", lambda: b'[{"text": ' + b"9" * _MANY + b"}]"),
    "only-spaces.json": _one_file("data.json", lambda: b" " * _LONG),
}


# ---------------------------------------------------------------------------------------------------- workbooks and folders
def _zip_parts(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return {name: file.read(name) for name in file.namelist()}


def _zip(parts: dict[str, bytes], level: int | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return buffer.getvalue()


_XML_WORDS = (
    b'<c r="ZZZ1048577" t="s"><v>0</v></c>', b't="s"', b't="b"', b't="d"', b't="e"', b't="n"', b't="str"', b"<v>1e999</v>",
    b"<v></v>", b'r="A99999999"', b'r="XFE1"', b"</row><row>", b"<f>A1</f>", b'<mergeCell ref="A1:B2"/>', b'ref="A1:XFD1048576"',
    b"&#0;", b"&a;", b"<!DOCTYPE x [<!ENTITY a 'x'>]>", b'state="hidden"', b'name=""', b"<si/>", b"<is><t>x</t></is>", b's="999"',
    b'encoding="utf-7"', b"_x0000_", b"_x000D_", b"<!--", b"]]>", b'xmlns="x"', b'r="2.5"', b"-1", b"1904", b'date1904="1"',
)  # fmt: skip


def _workbooks() -> SearchStrategy[bytes]:
    """Return workbooks with broken parts, and archives with broken bytes."""
    (archive,) = _written("table.xlsx")
    parts = _zip_parts(archive)
    names = [name for name in parts if name.endswith((".xml", ".rels"))]
    often = [name for name in names if "sheet" in name.lower() or "strings" in name.lower()] * 3

    def broken(name: str, content: bytes, other: str | None) -> bytes:
        return _zip({key: part for key, part in {**parts, name: content}.items() if key != other})

    without = st.sampled_from([None, None, None, *names])
    one_part = st.sampled_from([*names, *often]).flatmap(
        lambda name: st.builds(broken, st.just(name), mutated([parts[name]], _XML_WORDS), without)
    )
    return st.one_of(one_part, one_part, one_part, mutated([archive]))


def _bomb() -> bytes:
    parts = _zip_parts(_written("table.xlsx")[0])
    parts["xl/sharedStrings.xml"] = b"<sst><si><t>" + b" " * (1100 * 2**20)
    return _zip(parts, level=1)  # the fastest


def _rows_far_away() -> bytes:
    parts = _zip_parts(_written("table.xlsx")[0])
    name = "xl/worksheets/sheet1.xml"
    parts[name] = parts[name].replace(b'<row r="2"', b'<row r="1048576"').replace(b'r="A2"', b'r="XFD1048576"')
    return _zip(parts)


def _saved() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as temporary:
        WRITERS["saved"](TABLE.astype({"label": "boolean"}), Path(temporary, "data"))
        return dict(read_files(Path(temporary)))


def _folders() -> SearchStrategy[Files]:
    """Return folders of save_to_disk with one broken file."""
    files = _saved()
    words = (b'"_type": "ClassLabel", "names": ["a"]', b'"names": []', b'"filename": "../x"', b'"_data_files": []', b"null")

    def broken(name: str, content: bytes, settings: bytes) -> Files:
        return {**files, name: content, "settings": settings}

    return st.sampled_from(sorted(files)).flatmap(
        lambda name: st.builds(broken, st.just(name), mutated([files[name]], words), _settings("fields"))
    )


_TABLES = _texts("table.csv", "excel.csv", "quoted.csv", "table.tsv")
_JSON = _texts("lines.jsonl", "nan.jsonl", "list.json", "columns.json")
TARGETS = (
    Target(
        "reader_csv", read, _files(["data.csv", "data.tsv"], _TABLES, _settings("encoding", "separator", "fields", "numbers")),
        _LARGE_TABLES, megabytes=1024,
    ),
    Target(
        "reader_json", read, _files(["data.json", "data.jsonl"], _JSON, _settings("encoding", "field", "fields")), _LARGE_JSON,
        megabytes=1024,
    ),
    Target("reader_txt", read, _files(["data.txt"], _texts("table.csv", "lines.jsonl"), _settings("encoding", "fields"))),
    Target(
        "reader_parquet", read,
        _files(["data.parquet"], st.deferred(lambda: mutated(_written("table.parquet"))), _settings("fields")), megabytes=1024,
    ),
    Target(
        "reader_xlsx", read, _files(["data.xlsx"], st.deferred(_workbooks), _settings("sheet", "fields", "numbers")),
        {"bomb": _one_file("data.xlsx", _bomb), "rows-far-away": _one_file("data.xlsx", _rows_far_away)}, megabytes=1024,
    ),
    Target("reader_saved", read, st.deferred(_folders)),
)  # fmt: skip
