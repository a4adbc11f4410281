"""Test loading the data section: which source reads it, a user's own files, and splits that are left out."""

import pytest

from paddle_ft.data.load import check_local_files, list_remote_files, load_split
from paddle_ft.data.sources import find_source
from tests.support.data_sections import error, section


def test_each_value_of_data_source_finds_its_source():
    kinds = {
        None: None,
        "sample:briefs": "sample",
        "songs": "songs",
        "quora": "quora",
        "quora:my.tsv": "quora",
        "lcsts_new": "builtin",
        "glue": "builtin",
        "hugcyp/LCSTS": "huggingface",
        "./folder": "huggingface",
    }
    assert {value: find_source(value).name for value in kinds} == kinds


def test_local_files_are_read_with_columns_and_limits(tmp_path):
    (tmp_path / "train.tsv").write_text("题\t正文\n题二\t正文二\n")
    data = section(train=str(tmp_path / "*.tsv"), columns={"source": 1, "target": 0}, limit_train=1)
    assert load_split(data, "train").rows == [{"source": "正文", "target": "题"}]
    assert load_split(data, "validation") is None
    assert list_remote_files(data) == []


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"train": "{}/a.tsv", "validation": "{}/nope.tsv"}, "data.validation"),
        ({"source": "glue", "test": "{}/nope.tsv"}, "data.test"),  # a file that stands in for the source's split
        ({"train": ["{}/a.tsv", "{}/nope*.tsv"]}, "data.train"),
        ({"train": {"source": "{}/nope.txt", "target": "{}/a.tsv"}}, "data.train"),
        ({"source": "songs", "train": "{}/nope"}, "data.train"),
        ({"source": "lcsts_new", "data_files": {"train": "{}/nope.json"}}, "data.data_files.train"),
    ],
)
def test_missing_own_files_are_named_with_their_key(tmp_path, values, key):
    def in_folder(value):
        if isinstance(value, dict):
            return {name: in_folder(item) for name, item in value.items()}
        return [in_folder(item) for item in value] if isinstance(value, list) else value.format(tmp_path)

    (tmp_path / "a.tsv").write_text("a\tb\n")
    settings = {name: value if name == "source" else in_folder(value) for name, value in values.items()}
    message = error(check_local_files, section(**settings))
    assert message.startswith(f"{key}: {tmp_path}/nope") and "no such file" in message and "a.tsv" in message


def test_split_names_and_folders_of_songs_are_not_reported_as_missing_files(tmp_path):
    check_local_files(section(source="glue", train="train", validation="dev", test="none"))
    check_local_files(section(source="org/name", train="train[:10]"))
    (tmp_path / "song.txt").write_text("la\n")
    check_local_files(section(source="songs", train=str(tmp_path)))


@pytest.mark.parametrize(("values", "message"), [
    ({"source": "songs", "train": "{}/empty"},
     "data.train: {}/empty: there are no .txt, .lrc or .json files in this folder or below it, and no tables"),
    ({"source": "songs", "train": "{}/full", "test": "{}/empty"}, "data.test: {}/empty: there are no .txt, .lrc or .json files"),
    ({"source": None, "train": "{}/empty"}, "data.train: {}/empty: there are no .txt, .lrc or .json files"),
    ({"source": "sample:lyrics", "validation": ["{}/empty"]}, "data.validation: {}/empty: there are no .txt, .lrc or .json"),
    ({"source": "aclimdb:{}/empty"}, "data.source: aclimdb:{}/empty: there is no file in this folder or below it"),
    ({"source": "aclimdb:{}/nope"}, "data.source: aclimdb:{}/nope: there is no such file or folder (working directory: "),
    ({"source": "songs", "train": []}, "data.train: its value is empty; name your files, or write null for none"),
])  # fmt: skip
def test_folders_without_anything_to_read_are_refused_at_once(tmp_path, values, message):
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "song.txt").write_text("la\n")

    def filled(value):
        return [filled(item) for item in value] if isinstance(value, list) else value and value.format(tmp_path)

    data = section(**{name: filled(value) for name, value in values.items()})
    assert error(lambda settings: check_local_files(settings, "songs"), data).startswith(message.format(tmp_path))


def test_what_is_no_split_of_a_sample_is_refused_with_advice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "songs").mkdir()
    check_local_files(section(source="sample:lyrics", train="train", validation="none"))
    message = error(check_local_files, section(source="sample:lyrics", train="songs"))
    assert message == "data.train: songs is a folder, but sample:lyrics generates its texts; data.source=null reads yours"
    message = error(check_local_files, section(source="sample:lyrics", test="other"))
    assert message == "data.test: sample:lyrics has no split 'other'; leave it out, or name a file that exists"


def test_decisions_are_told_although_the_data_cannot_be_read(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("source;target\nx\n")
    own = section(train=str(tmp_path / "a.csv"))
    assert "1 field where the header has 2" in error(load_split, own, "train")
    assert capsys.readouterr().err == f"decision: {tmp_path}/a.csv: its fields are separated by semicolons (data.separator=;)\n"


def test_none_leaves_a_split_out_with_own_files_too(tmp_path):
    """Recipes set data.test=none if their source has no test labels. A user then overrides data.train alone."""
    (tmp_path / "a.tsv").write_text("a\tb\n")
    own = section(train=str(tmp_path / "a.tsv"), test="none")
    check_local_files(own)
    assert load_split(own, "test") is None


def test_a_task_can_have_a_source_for_the_users_own_files(tmp_path):
    """Without data.source, and instead of a split of another source. Its folders are no mistake."""
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    for source, train in ((None, tmp_path), (None, f"{tmp_path}/*.txt"), ("sample:lyrics", tmp_path / "a.txt")):
        own = section(source=source, train=str(train))
        check_local_files(own, "songs")
        assert load_split(own, "train", ("lyrics",), ("title",), "songs").rows == [{"lyrics": "one\n\ntwo\n", "title": "a"}]
    assert "this is a folder; name its files" in error(check_local_files, section(train=str(tmp_path)))
    assert len(load_split(section(source="sample:lyrics"), "validation", ("lyrics",), (), "songs")) == 40
