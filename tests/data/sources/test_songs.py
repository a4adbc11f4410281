"""Test data.source=songs: folders, globs and tables of songs."""

import gzip
import json

import datasets
import pytest

from paddle_ft.config.load import load_config
from paddle_ft.data.load import check_local_files, list_remote_files, load_split
from paddle_ft.system.errors import UserError
from tests.support.data_sections import section
from tests.support.read_only import unreadable


def load(train, split="train", **values):
    data = section(source="songs", train=train, **values)
    assert list_remote_files(data) == []
    return load_split(data, split, ("lyrics",), ("genre", "artist", "title"))


def error(*args, **values) -> str:
    with pytest.raises(UserError) as caught:
        load(*args, **values)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "songs"
    (root / "rap" / "somebody").mkdir(parents=True)
    (root / "punk").mkdir()
    (root / "rap" / "somebody" / "One.txt").write_text("[Verse]\nred fish\nblue fish\n", encoding="utf-8")
    (root / "punk" / "Two Fish.txt").write_text("old fish\r\nnew fish", encoding="utf-8-sig")
    (root / "punk" / "Zip.txt.gz").write_bytes(gzip.compress("短歌\n".encode()))
    (root / "README.md").write_text("no song")
    return root


@pytest.mark.parametrize("closed", ["songs", "songs/rap"])
def test_songs_in_a_folder_that_may_not_be_read_are_not_left_out_in_silence(folder, closed, monkeypatch):
    monkeypatch.chdir(folder.parent)
    folder.parent.chmod(0o755)
    with unreadable(folder.parent / closed):
        assert error("songs") == f"{closed}: this folder cannot be read: Permission denied"


def test_a_folder_with_a_song_a_file_and_its_levels(folder):
    assert load(str(folder)).rows == [
        {"lyrics": "old fish\nnew fish", "genre": "punk", "title": "Two Fish"},
        {"lyrics": "短歌\n", "genre": "punk", "title": "Zip"},
        {"lyrics": "[Verse]\nred fish\nblue fish\n", "genre": "rap", "artist": "somebody", "title": "One"},
    ]


def test_folder_levels_can_be_mapped(folder):
    rows = load(str(folder), columns={"artist": "folder1", "genre": "folder1"}).rows
    assert [row["artist"] for row in rows] == ["punk", "punk", "rap"]
    message = error(str(folder), columns={"artist": "folder2"})
    problem = "there is no column 'folder2' for artist (data.columns); the columns are lyrics, title, folder1"
    assert message.startswith(f"{folder}/punk/Two Fish.txt:1: {problem}")


def test_globs_count_folders_from_their_part_without_wildcards(folder):
    assert [row["genre"] for row in load(f"{folder}/*/*.txt").rows] == ["punk"]
    rows = load(f"{folder}/**/*.txt").rows
    assert sorted(row["genre"] for row in rows) == ["punk", "rap"]


def test_a_table_with_a_song_a_row(tmp_path):
    (tmp_path / "songs.csv").write_text('Artist,Song,Lyric\nsomebody,One,"red fish\nblue fish"\n', encoding="utf-8")
    rows = load(str(tmp_path / "songs.csv"), columns={"lyrics": "Lyric", "artist": "Artist", "title": "Song"}).rows
    assert rows == [{"lyrics": "red fish\nblue fish", "artist": "somebody", "title": "One"}]
    (tmp_path / "songs.jsonl").write_text(json.dumps({"lyrics": "red fish\nblue fish", "genre": "punk"}) + "\n")
    assert load(str(tmp_path / "songs.jsonl")).rows == [{"lyrics": "red fish\nblue fish", "genre": "punk"}]


def test_several_folders_and_splits(folder, tmp_path):
    (tmp_path / "more.jsonl").write_text('{"lyrics": "a\\nb"}\n')
    rows = load([str(folder / "rap"), str(tmp_path / "more.jsonl")], test=str(folder / "punk")).rows
    assert [row["lyrics"] for row in rows] == ["[Verse]\nred fish\nblue fish\n", "a\nb"]
    assert load("unused", "validation") is None
    assert len(load("unused", "test", test=str(folder / "punk"))) == 2


def test_wrong_songs_and_folders_are_named(folder, tmp_path):
    missing = "data.train: name your songs: a folder of .txt files, or a csv or jsonl file with one song per row."
    assert error(None) == missing
    with pytest.raises(UserError) as caught:  # before anything is downloaded
        check_local_files(load_config("bart_lyrics").data)
    assert str(caught.value) == missing
    empty = tmp_path / "empty"
    empty.mkdir()
    problem = "there are no .txt, .lrc or .json files in this folder or below it, and no tables"
    assert error(str(empty)) == f"{empty}: {problem}"
    (folder / "punk" / "Bad.txt").write_bytes(b"fish " + "歌词".encode("gbk"))
    reason = "invalid UTF-8 at byte 5 of the file; it looks like GBK"
    assert error(str(folder)).startswith(f"{folder}/punk/Bad.txt:1: {reason}")
    assert len(load(str(folder), on_bad_row="skip")) == 3
    assert "songs must be a folder, a file, a glob or a list" in error({"source": "a.txt"})


def test_empty_files_are_left_out_and_said_unless_all_are_empty(folder, tmp_path):
    (folder / "punk" / "Empty.txt").write_text(" \n")
    rows = load(str(folder))
    assert (len(rows), rows.bad) == (3, [])
    assert rows.decisions == [f"{folder}: a file is empty and left out: {folder}/punk/Empty.txt"]
    (folder / "punk" / "No.txt").touch()
    files = f"{folder}/punk/Empty.txt, {folder}/punk/No.txt"
    assert load(f"{folder}/punk/*.txt").decisions == [f"{folder}/punk: 2 of 3 files are empty and left out: {files}"]
    assert error(f"{folder}/punk/No.txt") == f"{folder}/punk/No.txt: the file is empty"
    (folder / "punk" / "Two Fish.txt").write_text("")
    assert error(f"{folder}/punk/*.txt") == f"{folder}/punk/Empty.txt: the file is empty, and so are the other 2"


# ---------------------------------------------------------------------------------------------------- what people have
def test_lrc_files_are_texts_too(tmp_path):
    (tmp_path / "one.lrc").write_text("[00:10.00]red fish", encoding="utf-8")
    (tmp_path / "two.LRC.gz").write_bytes(gzip.compress(b"[00:10.00]blue fish"))
    (tmp_path / "three.txt").write_text("old fish")
    rows = load(str(tmp_path)).rows
    assert [row["lyrics"] for row in rows] == ["[00:10.00]red fish", "old fish", "[00:10.00]blue fish"]
    assert [row["title"] for row in rows] == ["one", "three", "two"]
    assert len(load(f"{tmp_path}/*.lrc")) == 1


def save(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=4), encoding="utf-8")
    return str(path)


def test_a_folder_of_json_files_with_a_song_each(tmp_path):
    for title in ("One", "Two"):
        save(tmp_path / "rap" / f"Lyrics_{title}.json", {"id": 1, "title": title, "artist": "Nobody", "lyrics": f"{title} fish\nb"})
    assert load(str(tmp_path)).rows == [
        {"lyrics": "One fish\nb", "genre": "rap", "artist": "Nobody", "title": "One"},
        {"lyrics": "Two fish\nb", "genre": "rap", "artist": "Nobody", "title": "Two"},
    ]
    rows = load(str(tmp_path), columns={"genre": "artist", "title": "folder1"}).rows
    assert (rows[0]["genre"], rows[0]["title"]) == ("Nobody", "rap")
    assert "there is no column 'mood' for genre (data.columns)" in error(str(tmp_path), columns={"genre": "mood"})


def test_a_json_file_with_an_artist_names_the_songs_without_lyrics(tmp_path):
    songs = [{"title": "One", "lyrics": "a\nb"}, {"title": "Two", "lyrics": ""}]
    path = save(tmp_path / "Lyrics_Nobody.json", {"name": "Nobody", "songs": songs})
    rows = load(path)
    assert rows.rows == [{"lyrics": "a\nb", "artist": "Nobody", "title": "One"}]
    assert rows.decisions == [f"{path}: 1 of its 2 songs have no lyrics and are left out"]
    assert "lyrics is missing" in error(save(tmp_path / "empty.json", {"title": "One", "lyrics": None}))


def test_other_json_files_are_tables(tmp_path):
    (tmp_path / "array.json").write_text('[{"lyrics": "a"}, {"lyrics": "b"}]')
    (tmp_path / "lines.json").write_text('{"lyrics": "a"}\n{"lyrics": "b"}\n')
    assert load(str(tmp_path / "array.json")).rows == load(str(tmp_path / "lines.json")).rows == [{"lyrics": "a"}, {"lyrics": "b"}]


def test_a_folder_with_several_kinds_of_files_says_which_are_read(tmp_path):
    (tmp_path / "songs.csv").write_text("lyrics\na\n")
    assert [row["lyrics"] for row in load(str(tmp_path)).rows] == ["a"]
    save(tmp_path / "one.json", {"title": "One", "lyrics": "b"})
    rows = load(str(tmp_path))
    assert [row["lyrics"] for row in rows.rows] == ["b"]
    assert rows.decisions == [f"{tmp_path}: its .json files are read, and its .csv files are not"]
    (tmp_path / "one.txt").write_text("c")
    (tmp_path / "README.md").write_text("no song")
    rows = load(str(tmp_path))
    assert [row["lyrics"] for row in rows.rows] == ["c"]
    assert rows.decisions == [f"{tmp_path}: its .txt files are read, and its .csv, .json files are not"]


def test_the_settings_for_reading_files_hold_for_songs(tmp_path):
    (tmp_path / "one.txt").write_bytes("走过了长路".encode("gb18030"))
    assert load(str(tmp_path), encoding="gb18030").rows == [{"lyrics": "走过了长路", "title": "one"}]
    songs = [{"title": "One", "lyrics": "a"}]
    path = save(tmp_path / "artist.json", {"songs": songs, "old": [{"title": "Two", "lyrics": "b"}]})
    assert [row["lyrics"] for row in load(path).rows] == ["a"]
    assert [row["lyrics"] for row in load(path, field="old").rows] == ["b"]


def test_a_saved_data_set_is_a_table_and_no_folder_of_files(tmp_path):
    saved = datasets.Dataset.from_list([{"lyrics": "a\nb", "title": "One"}])
    saved.save_to_disk(str(tmp_path / "saved"))
    assert load(str(tmp_path / "saved")).rows == [{"lyrics": "a\nb", "title": "One"}]
    datasets.DatasetDict({"train": saved}).save_to_disk(str(tmp_path / "splits"))
    assert "this folder has several splits" in error(str(tmp_path / "splits"))
