"""Test the CMU Book Summary Corpus in its own layout: seven columns, genres as JSON, a file or an archive."""

import tarfile

import pytest

from paddle_ft.config.schema import DataSection
from paddle_ft.data.load import load_split
from paddle_ft.system.errors import UserError

LINES = [
    '620\t/m/0hhy\tAnimal Farm\tGeorge Orwell\t1945-08-17\t{"/m/01": "Roman \\u00e0 clef", "/m/06": "Satire"}\t Old Major calls.',
    "1756\t/m/0sww\tAn Enquiry\tDavid Hume\t\t\t The argument.",
]


def load(source, split="train", **settings):
    data = DataSection(source=f"booksummaries:{source}", **settings)
    return load_split(data, split, required=("text",), optional=("genres", "title", "author"))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "booksummaries.txt"
    path.write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    return path


def test_the_columns_are_those_of_the_corpus(file):
    assert load(file).rows == [
        {"text": "Old Major calls.", "genres": "Roman à clef, Satire", "title": "Animal Farm", "author": "George Orwell"},
        {"text": "The argument.", "title": "An Enquiry", "author": "David Hume"},
    ]


@pytest.mark.parametrize("large", [2**30, 1])
def test_there_are_only_training_rows(file, large, tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("paddle_ft.data.row_cache.LARGE", large)  # bytes of a file whose rows are kept in the cache
    assert load(file, "validation") is None
    assert load(file, "test") is None
    assert len(load(file).rows) == 2


def test_a_split_is_not_ignored_silently(file):
    with pytest.raises(UserError, match="data.test: booksummaries:.* is not divided into splits"):
        load(file, "test", test="dev")


@pytest.mark.parametrize("name", ["booksummaries.tar.gz", "booksummaries.tgz"])
def test_archive_and_file_give_the_same_rows(name, file, tmp_path):
    with tarfile.open(tmp_path / name, "w:gz") as archive:
        (tmp_path / "README").write_text("about")
        archive.add(tmp_path / "README", "booksummaries/README")
        archive.add(file, "booksummaries/booksummaries.txt")
    assert load(tmp_path / name).rows == load(file).rows


def test_an_archive_without_the_file_is_an_error(tmp_path):
    (tmp_path / "README").write_text("about")
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "README", "README")
    with pytest.raises(UserError, match="there is no booksummaries.txt in this archive"):
        load(tmp_path / "other.tar.gz")


@pytest.mark.parametrize(("line", "reason"), [
    ("1\t2\t3", "3 fields separated by tabs, but there should be 7"),
    ("1\t2\tT\tA\tD\tnot json\tS", "the genres (field 6) are not a JSON object of names: not json"),
    ('1\t2\tT\tA\tD\t["a"]\tS', 'the genres (field 6) are not a JSON object of names: ["a"]'),
    ("1\t2\tT\tA\tD\t\t ", "text is empty"),
])  # fmt: skip
def test_bad_lines_are_named_and_can_be_skipped(file, line, reason):
    with open(file, "a", encoding="utf-8") as corpus:
        corpus.write(line + "\n")
    with pytest.raises(UserError) as caught:
        load(file)
    assert f"{file}:3: {reason}" in str(caught.value)
    rows = load(file, on_bad_row="skip")
    assert len(rows) == 2
    assert [str(bad) for bad in rows.bad] == [f"{file}:3: {reason}"]


def test_without_a_path_the_corpus_is_downloaded(monkeypatch, tmp_path):
    from paddle_ft.data.load import list_remote_files

    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path))
    (file,) = list_remote_files(DataSection(source="booksummaries"))
    assert file.url == "https://www.cs.cmu.edu/~dbamman/data/booksummaries.tar.gz"
    assert file.path.startswith(str(tmp_path))
