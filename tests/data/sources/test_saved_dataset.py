"""Test folders that the datasets package has written with save_to_disk."""

import json
from pathlib import Path

import datasets
import pytest

from paddle_ft.data.load import check_local_files, load_split
from tests.support.data_sections import error, section

ROWS = {"text": ["good", "bad", "?", None], "label": [1, 0, -1, 1]}
FEATURES = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
TOLD = "the numbers of the classes in 'label' are read as their names ('neg', 'pos')"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    datasets.disable_progress_bars()
    one = datasets.Dataset.from_dict(ROWS, features=FEATURES)
    one.save_to_disk("one", num_shards=2)
    datasets.DatasetDict({"train": one, "dev": one.select([1]), "test": one.select([0, 3])}).save_to_disk("dict")
    return tmp_path


def load(split="train", **values):
    data = section(**{"on_bad_row": "skip", **values})
    check_local_files(data)
    rows = load_split(data, split, ("text", "label"))
    return rows and ([tuple(row.values()) for row in rows.rows], [(bad.line, bad.reason) for bad in rows.bad], rows.decisions)


SECRET = "label is missing (-1 stands for labels that are kept secret, as in some test splits; name another split, or none)"
CHOSEN_ROWS = (
    b'{"_data_files": [{"filename": "data-00000-of-00002.arrow"}], "_indices_data_files": [{"filename": "indices.arrow"}]}'
)
BAD = [(3, SECRET), (4, "text is missing")]


@pytest.mark.parametrize("prefix", ["", "saved_dataset:"])
def test_the_splits_of_a_dict_are_used_by_name(folder, prefix):
    for source in (f"{prefix}dict", f"{prefix}{folder}/dict"):
        train = f"{source.removeprefix(prefix)}/train"
        assert load(source=source) == ([("good", "pos"), ("bad", "neg")], BAD, [f"{train}: {TOLD}"])
        assert load("validation", source=source)[0] == [("bad", "neg")]
        assert load("test", source=source, test="none") is None
        assert load(source=source, train="test+dev")[0] == [("good", "pos"), ("bad", "neg")]
    message = error(lambda: load("validation", source="dict", validation="val"))
    assert message == "data.validation: dict has no split 'val'; it has train, dev, test"
    message = error(lambda: load(source="dict", train="train[:2]"))
    assert message == "data.train: train[:2]: parts of a split cannot be named here; use data.limit_train"


def test_a_single_data_set_is_the_training_split_or_a_file(folder):
    rows = [("good", "pos"), ("bad", "neg")]
    assert load(source="one") == (rows, BAD, [f"one: {TOLD}"])
    assert load("validation", source="one") is None
    for source in (None, "saved_dataset", "one"):
        assert load("validation", source=source, train="one", validation="dict/train")[0] == rows
        assert load(source=source, train="one" if source != "one" else None)[0] == rows
    assert load(train=["one", "dict/t*"])[0] == [*rows, ("good", "pos"), *rows]
    assert error(lambda: load(train="dict")) == (
        "data.train: dict: this folder has several splits: set data.source=dict, or name the folder of a split"
    )
    assert error(lambda: load(source="saved_dataset")) == "data.source: name the folder, as data.source=saved_dataset:FOLDER"


def test_numbers_of_classes_that_have_no_name_are_bad_rows(folder):
    path = Path("one/dataset_info.json")
    info = json.loads(path.read_text())
    info["features"]["label"]["names"] = ["neg"]
    path.write_text(json.dumps(info))
    missing = "label is missing (1 is not the number of one of the 1 classes)"
    assert load(train="one")[:2] == ([("bad", "neg")], [(1, missing), *BAD])


def test_columns_and_other_types(folder):
    table = datasets.Dataset.from_dict({"review": ["a", "b"], "stars": [1.0, None], "tags": [["x"], []]})
    table.set_format("numpy")
    table.save_to_disk("stars")
    values = {"train": "stars", "columns": {"text": "review", "label": "stars"}}
    assert load(**values)[:2] == ([("a", "1")], [(2, "label is missing")])
    values["columns"]["label"] = "tags"
    values["on_bad_row"] = "error"
    assert error(lambda: load(**values)).startswith("stars:1: label is a list, not text\n2 of 2 rows are bad")
    values["columns"]["label"] = "rating"
    assert error(lambda: load(**values)).startswith("stars: no column 'rating'; it has 'review', 'stars', 'tags'; map them")


def test_the_order_of_a_shuffled_data_set_is_kept(folder):
    numbers = datasets.Dataset.from_dict({"text": list("abcdef"), "label": list("uvwxyz")}).select([5, 2, 0])
    numbers.save_to_disk("chosen")
    assert load(train="chosen")[0] == [("f", "z"), ("c", "w"), ("a", "u")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("state.json", b"{", "one/state.json: a file of save_to_disk that cannot be read: Expecting property name"),
        ("state.json", b"[]", "one/state.json: a file of save_to_disk that is list, not an object"),
        ("state.json", b'{"_data_files": [{"filename": "../x"}]}', "one/state.json: it does not list the files of the folder"),
        # of old versions, in which another file chooses the rows
        ("state.json", CHOSEN_ROWS, "one/state.json: it does not list the files of the folder"),
        ("state.json", b'{"_data_files": [{"filename": "x"}]}', "one: the data set cannot be read: "),
        ("dataset_info.json", None, "one/dataset_info.json: a file of save_to_disk that cannot be read: "),
        ("data-00001-of-00002.arrow", b"", "one: the data set cannot be read: "),
        ("data-00000-of-00002.arrow", b"ARROW", "one: the data set cannot be read: "),
    ],
)
def test_damaged_folders_are_named(folder, name, content, message):
    path = folder / "one" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert error(lambda: load(train="one")).startswith(message)


def test_a_folder_of_a_split_that_is_not_there(folder):
    (folder / "dict" / "dev" / "state.json").unlink()
    assert error(lambda: load("validation", source="dict")) == (
        "data.source: dict: dataset_dict.json lists the split 'dev', but dict/dev has no state.json"
    )
    assert error(lambda: load(source="saved_dataset:other")) == (
        "data.source: other: no folder of save_to_disk, which has a file dataset_dict.json or state.json"
    )
