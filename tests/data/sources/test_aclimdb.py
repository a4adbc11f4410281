"""Test the Large Movie Review Dataset in its authors' layout, as a folder and as an archive."""

import os
import tarfile

import pytest

from paddle_ft.config.schema import DataSection
from paddle_ft.data.load import list_remote_files, load_split
from paddle_ft.system.errors import UserError

REVIEWS = {
    **{f"train/pos/{i}_9.txt": f"liked it {i}<br />" for i in range(6)},
    **{f"train/neg/{i}_2.txt": f"hated it {i}" for i in range(6)},
    **{f"train/unsup/{i}_0.txt": f"saw it {i}" for i in range(3)},
    "test/pos/0_10.txt": "test liked",
    "test/neg/0_1.txt": "test hated\n",
    "train/urls_pos.txt": "http://no.review",
    "train/pos/notes.html": "no review",
    "README": "no review",
}
FIELDS = {"required": ("text", "label")}


@pytest.fixture
def folder(tmp_path):
    for name, text in REVIEWS.items():
        path = tmp_path / "aclImdb" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "aclImdb"


@pytest.fixture
def archive(folder, tmp_path):
    with tarfile.open(tmp_path / "aclImdb_v1.tar.gz", "w:gz") as file:
        file.add(folder, "aclImdb")
    return tmp_path / "aclImdb_v1.tar.gz"


def section(path, **settings) -> DataSection:
    return DataSection(source=f"aclimdb:{path}", **settings)


def test_every_review_once_with_the_label_of_its_folder(folder):
    rows = load_split(section(folder), "train", **FIELDS).rows
    expected = [(text, name.split("/")[1]) for name, text in REVIEWS.items() if name.endswith(("_9.txt", "_2.txt"))]
    assert sorted((row["text"], row["label"]) for row in rows) == sorted(expected)
    test = load_split(section(folder), "test", **FIELDS).rows
    assert sorted((row["text"], row["label"]) for row in test) == [("test hated", "neg"), ("test liked", "pos")]
    assert load_split(section(folder), "validation", **FIELDS) is None
    assert len(load_split(section(folder, validation="test"), "validation", **FIELDS)) == 2


def test_the_order_is_shuffled_and_the_same_for_folder_and_archive(folder, archive):
    from_folder = load_split(section(folder), "train", **FIELDS).rows
    assert from_folder == load_split(section(archive), "train", **FIELDS).rows
    assert from_folder == load_split(section(folder.parent), "train", **FIELDS).rows
    labels = [row["label"] for row in from_folder]
    assert labels not in (sorted(labels), sorted(labels, reverse=True))
    assert load_split(section(archive, limit_train=4), "train", **FIELDS).rows == from_folder[:4]


def test_unsupervised_reviews_have_no_label(archive):
    unlabelled = load_split(section(archive, train="unsupervised"), "train", ("text",), ("label",))
    assert sorted(row["text"] for row in unlabelled.rows) == ["saw it 0", "saw it 1", "saw it 2"]
    assert all(set(row) == {"text"} for row in unlabelled.rows)
    assert len(load_split(section(archive, train="train+unsupervised"), "train", ("text",))) == 15
    with pytest.raises(UserError, match="the unsupervised reviews of .* have no label; use train or test"):
        load_split(section(archive, train="unsupervised"), "train", **FIELDS)
    with pytest.raises(UserError, match="has no split 'dev'; it has train, test, unsupervised"):
        load_split(section(archive, train="train+dev"), "train", **FIELDS)


def test_bad_reviews_are_named(folder):
    (folder / "train/pos/7_7.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match=r"train/pos/7_7.txt: invalid UTF-8 at byte 3"):
        load_split(section(folder), "train", **FIELDS)
    (folder / "train/pos/7_7.txt").write_text(" ")
    rows = load_split(section(folder, on_bad_row="skip"), "train", **FIELDS)
    assert len(rows) == 12 and rows.bad[0].reason == "train/pos/7_7.txt: text is empty"


def test_missing_and_damaged_collections_are_named(folder, archive, tmp_path):
    with pytest.raises(UserError, match="absent is neither the folder aclImdb"):
        load_split(section(tmp_path / "absent"), "train", **FIELDS)
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(UserError, match="the gzip data is damaged .*; download the file again"):
        load_split(section(archive), "train", **FIELDS)


def test_without_a_path_the_archive_is_downloaded(monkeypatch, tmp_path):
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path))
    (file,) = list_remote_files(DataSection(source="aclimdb"))
    assert file.url == "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
    assert file.path == os.path.join(tmp_path, "datasets", "aclImdb_v1.tar.gz")
    assert list_remote_files(section(tmp_path)) == []
