"""Test the Stanford Sentiment Treebank with trees in its format, which the test writes."""

import zipfile

import pytest

from paddle_ft.config.schema import DataSection
from paddle_ft.data.load import list_remote_files, load_split
from paddle_ft.data.sources.treebank import parse
from paddle_ft.system.errors import UserError

FIELDS = {"required": ("text", "label")}
TRAIN = (
    "(3 (2 It) (4 (2 's) (4 (3 lovely) (2 .))))\n(2 (2 Seen) (2 -LRB-twice-RRB-))\n"
    "(0 (2 A) (1 (1 dull) (2 film)))\n(2 (2 -LRB-) (2 1\\/2))\n"
)
TEST = "(0 (1 Awful) (2 .))\n(3 (3 Fine) (2 .))\n(2 (2 So) (2 .))\n"
DEV = "(1 (2 No) (2 .))\n(4 (3 Great) (2 !))\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees" / "train.txt").write_text(TRAIN)
    (tmp_path / "trees" / "dev.txt").write_text(DEV)
    (tmp_path / "trees" / "test.txt").write_text(TEST)
    return tmp_path


def read(path, split="train", **settings):
    return load_split(DataSection(source=f"treebank:{path}", **settings), split, **FIELDS)


def test_sentences_with_the_label_of_the_root(folder):
    assert [(row["text"], row["label"]) for row in read(folder).rows] == [
        ("It 's lovely .", "3"), ("Seen -LRB-twice-RRB-", "2"), ("A dull film", "0"), ("( 1/2", "2"),
    ]  # fmt: skip
    assert [row["label"] for row in read(folder, "validation").rows] == ["1", "4"]
    assert [row["label"] for row in read(folder, "test").rows] == ["0", "3", "2"]
    assert [row["text"] for row in read(folder / "trees", "test").rows] == ["Awful .", "Fine .", "So ."]


def test_labels_as_scores_and_as_two_classes(folder):
    assert [row["label"] for row in read(folder, name="score").rows] == ["0.75", "0.5", "0", "0.5"]
    rows = read(folder, name="binary").rows
    assert [(row["text"], row["label"]) for row in rows] == [("It 's lovely .", "positive"), ("A dull film", "negative")]
    with pytest.raises(UserError, match="has no form 'ternary'"):
        read(folder, name="ternary")


def test_archive_and_folder_give_the_same_rows(folder, tmp_path):
    path = tmp_path / "trainDevTestTrees_PTB.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("train", "dev", "test"):
            archive.write(folder / "trees" / f"{name}.txt", f"trees/{name}.txt")
    assert read(path).rows == read(folder).rows
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match="not an archive, or a damaged one"):
        read(path)


@pytest.mark.parametrize(
    "tree", ["", "It is lovely", "(3 (2 It) (4 lovely)", "(7 (2 It) (2 is))", "(3 (2 It) (2 is)))", "(3 (2 It) is)", "(3)"]
)
def test_broken_trees_are_refused(tree):
    assert parse(tree).startswith("not a tree as in")


def test_a_broken_line_is_named(folder):
    (folder / "trees" / "train.txt").write_text(TRAIN + "(3 (2 It)\n")
    with pytest.raises(UserError, match=r"train.txt:5: not a tree as in \(3 \(2 The\) \(3 end\)\): '\(3 \(2 It\)'"):
        read(folder)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UserError, match="treebank:PATH must be the folder with train.txt, dev.txt and test.txt, or the .zip"):
        read(tmp_path / "absent")
    assert [file.url for file in list_remote_files(DataSection(source="treebank"))] == [
        "https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip"
    ]
