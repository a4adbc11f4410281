"""Test how the songs of a split are found, and that every choice is named."""

import pytest

from paddle_ft.data.row_table import RowWriter
from paddle_ft.data.rows import Rows
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.lyrics import songs
from paddle_ft.tasks.lyrics.songs import describe_ways, find_songs

SONG = "I count the coins upon the table\nI told my mother I was able\ngold and silver\ndown the river"
OTHER = "late at night I write the pages\nno one pays me decent wages\nslowly we walk\nquietly we talk"


def find(*texts, **fields):
    rows = Rows([{"lyrics": text, **fields} for text in texts])
    found, by = find_songs(rows, "train", RowWriter())
    assert [row["lyrics"] for row in rows.rows] == list(texts) and rows.decisions == []  # the rows as read stay as they are
    found.info["by"] = by
    return found


def test_songs_of_files_and_rows_need_no_decision():
    found = find(SONG, OTHER)
    assert [row["lyrics"] for row in found.rows] == [SONG, OTHER]
    assert (found.decisions, found.info["by"]) == ([], "file or row")


def test_songs_of_one_file_keep_its_genre():
    found = find(f"{SONG}44EmbedNext Title Lyrics[Verse]\n{OTHER}Embed", genre="rap", title="all")
    assert len(found) == 2 and {(row["genre"], row["title"]) for row in found.rows} == {("rap", "all")}
    how = "remains of Genius pages such as 44Embed or Title Lyrics["
    assert found.info["by"] == how
    assert found.decisions == [f"train: 2 songs were found in 1 file or row, told apart by {how}"]


def test_several_ways_are_all_named():
    assert find(f"{SONG}\n=====\n{OTHER}", f"[ti:A]\n{SONG}\n[ti:B]\n{OTHER}").decisions == [
        "train: 4 songs were found in 2 files or rows, told apart by lines such as ===== or <|endoftext|> and tags such as"
        " [ti:Title]"
    ]


def test_a_line_that_no_song_has_is_refused_before_it_is_looked_at(monkeypatch):
    monkeypatch.setattr(songs, "MAX_LINE", 60)
    monkeypatch.setattr(songs, "find_line_ends", lambda *_: pytest.fail("the line is looked at"))
    with pytest.raises(UserError) as error:
        find(SONG, f"{SONG}\n{'la ' * 20}X", title="all")
    assert str(error.value).startswith(
        "data.train: text 2 (all) has a line of 61 characters, which is no line of a song; the most is 60."
    )
    monkeypatch.undo()
    monkeypatch.setattr(songs, "MAX_LINE", 60)
    assert len(SONG) > 60 and find(SONG, "la" * 30).rows[1]["lyrics"] == "la" * 30  # long texts and the longest line pass


@pytest.mark.parametrize(("end", "name"), [("\\n", r"a literal \n"), ("<br>", "<br>"), (" / ", "a slash")])
def test_songs_that_are_one_cell_have_their_lines(end, name):
    found = find(SONG.replace("\n", end), OTHER.replace("\n", end), OTHER)
    assert [row["lyrics"] for row in found.rows] == [SONG, OTHER, OTHER]
    assert found.decisions == [f"train: in 2 of 3 songs, {name} ends a line"]


def test_rows_that_are_lines_become_songs():
    rows = [{"lyrics": line, "title": title} for title, text in (("A", SONG), ("B", OTHER)) for line in text.split("\n")]
    found, _ = find_songs(Rows(rows), "test", RowWriter())
    assert [row["lyrics"] for row in found.rows] == [SONG, OTHER]
    assert found.decisions == ["test: 8 rows are single lines; those with the same title that follow each other are a song"]


def test_timed_lyrics_become_lines_and_translations_are_named():
    times = ["[00:10.00]", "[00:20.00]", "[00:30.00]"]
    song = "\n".join(f"{time}{line}\n{time}{other}" for time, line, other in zip(times, "abc", "一二三", strict=True))
    found = find(song, SONG)
    assert [row["lyrics"] for row in found.rows] == ["a\nb\nc", SONG]
    assert found.decisions == [
        "train: 1 of 2 songs has times [00:00.00], whose order their lines get",
        "train: 3 lines are left out as translations, because they have the time of the line above",
    ]


def test_a_very_long_text_is_named_with_what_to_do():
    text = "\n".join(f"line {i} of all the songs" for i in range(4876))
    advice = "because nothing there tells songs apart; put a line ===== between songs"
    assert find(text, SONG, title="jay").decisions == [f"train: a text of 4,876 lines (jay) counts as one song, {advice}"]
    several = "2 texts of more than 500 lines, up to 4,876, count as one song each"
    assert find(text[:50_000], text).decisions == [f"train: {several}, {advice}"]


def test_what_told_songs_apart_is_said_once_if_it_is_the_same_for_all_splits():
    assert describe_ways({"train": "file or row", "test": "file or row"}) == "file or row"
    assert describe_ways({"train": "lines =====", "test": "file or row"}) == "train: lines =====; test: file or row"
