"""Test that numbers of classes become names, wherever the datasets package has written the names, and that this is said."""

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paddle_ft.config.schema import DataSection
from paddle_ft.data import row_cache, row_table
from paddle_ft.data.inputs import Columns, read_inputs
from paddle_ft.data.load import load_split
from tests.support.data_files import read_files
from tests.support.data_sections import section

NAMES = ["world", "sports", "business"]
FEATURES = datasets.Features({"text": datasets.Value("string"), "topic": datasets.ClassLabel(names=NAMES)})
COLUMNS = {"label": "topic"}
TOLD = "the numbers of the classes in 'topic' are read as their names ('world', 'sports', 'business')"
LABELS = ["business", "world", "sports", "world"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A folder with files as the hub has them."""
    folder = tmp_path_factory.mktemp("hub")
    datasets.disable_progress_bars()
    table = datasets.Dataset.from_dict({"text": list("abcd"), "topic": [2, 0, 1, 0]}, features=FEATURES)
    table.to_parquet(folder / "train.parquet")
    table.select([0, 1]).to_parquet(folder / "test.parquet")
    return folder


def read(path, columns=COLUMNS):
    return read_files(str(path), columns, required=("text", "label"), on_bad_row="skip")


def labels(rows):
    return [row["label"] for row in rows.rows]


def write(path, table, features):
    """Write a Parquet file whose metadata says that its columns have these features."""
    pq.write_table(table.replace_schema_metadata({"huggingface": features}), path)
    return path


def test_parquet(hub):
    rows = read(hub / "train.parquet")
    assert labels(rows) == LABELS and rows.decisions == [f"{hub}/train.parquet: {TOLD}"]


def test_a_folder_or_repository_that_datasets_loads(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    data = section(source=str(hub), columns=COLUMNS)
    rows = load_split(data, "train", ("text", "label"))
    assert labels(rows) == LABELS and rows.decisions == [f"{hub}[train]: {TOLD}"] and rows.classes == {"label": NAMES}
    assert labels(load_split(data, "test", ("text", "label"))) == LABELS[:2]


def test_the_names_stay_with_rows_in_the_cache(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path))
    monkeypatch.setattr(row_cache, "LARGE", 0)
    monkeypatch.setattr(row_table, "ROWS_IN_MEMORY", 1)
    data = DataSection(train=str(hub / "train.parquet"), columns=COLUMNS)
    for _ in range(2):
        rows = load_split(data, "train", ("text", "label"))
        assert rows.classes == {"label": NAMES} and rows.decisions == [f"{hub}/train.parquet: {TOLD}"]
    assert list(tmp_path.rglob("rows.arrow"))


def test_files_that_differ_in_the_order_of_their_classes_have_no_order(hub, tmp_path):
    other = datasets.Features(FEATURES | {"topic": datasets.ClassLabel(names=NAMES[::-1])})
    datasets.Dataset.from_dict({"text": ["e"], "topic": [0]}, features=other).to_parquet(tmp_path / "other.parquet")
    for paths, known in (([hub / "train.parquet"], NAMES), ([hub / "train.parquet", tmp_path / "other.parquet"], [])):
        data = section(train=list(map(str, paths)), columns=COLUMNS)
        rows = load_split(data, "train", ("text", "label"))
        assert labels(rows) == [*LABELS, "business"][: 3 + len(paths)] and rows.classes == {"label": known}


def test_a_number_without_a_name_is_a_bad_row(tmp_path):
    features = '{"info": {"features": {"topic": {"_type": "ClassLabel", "names": ["a", "b"]}}}}'
    rows = read(write(tmp_path / "a.parquet", pa.table({"text": list("stuvw"), "topic": [1, -1, 2, None, 0]}), features))
    assert labels(rows) == ["b", "a"]
    assert [(bad.line, bad.reason) for bad in rows.bad] == [
        (2, "label is missing (-1 stands for labels that are kept secret, as in some test splits; name another split, or none)"),
        (3, "label is missing (2 is not the number of one of the 2 classes)"),
        (4, "label is missing"),
    ]


@pytest.mark.parametrize(
    "features",
    [
        "", "{", "[]", "7", "null", '{"info": null}', '{"info": {"features": 3}}', '{"info": {"features": {"topic": []}}}',
        '{"info": {"features": {"topic": {"_type": "ClassLabel", "names": ["a", ""]}}}}',
        '{"info": {"features": {"topic": {"_type": "ClassLabel", "names": ["a", 1]}}}}',
        '{"info": {"features": {"topic": {"_type": "ClassLabel", "names": ["a", "\\ud800"]}}}}',
        '{"info": {"features": {"topic": {"_type": "ClassLabel"}}}}', '{"info": {"features": {"topic": {"_type": "Value"}}}}',
        "[" * 100_000,
    ],
)  # fmt: skip
def test_metadata_without_names_leaves_numbers(tmp_path, features):
    rows = read(write(tmp_path / "a.parquet", pa.table({"text": ["a", "b"], "topic": [1, 0]}), features))
    assert labels(rows) == ["1", "0"] and rows.decisions == []


@pytest.mark.parametrize(
    ("values", "expected"), [(["x", "y"], ["x", "y"]), ([1.0, 0.0], ["1", "0"]), ([True, False], ["True", "False"])]
)
def test_values_that_are_no_numbers_of_classes_stay(tmp_path, values, expected):
    features = '{"info": {"features": {"topic": {"_type": "ClassLabel", "names": ["a", "b"]}}}}'
    rows = read(write(tmp_path / "a.parquet", pa.table({"text": ["a", "b"], "topic": values}), features))
    assert labels(rows) == expected and rows.decisions == []


def test_predict_copies_such_a_column_as_it_is(hub):
    columns = Columns.from_config("text", section())
    assert [record.others for record in read_inputs(str(hub / "test.parquet"), columns)] == [{"topic": 2}, {"topic": 0}]
