"""Test that the pairs of many songs are those of a plain computation in memory, and how they are kept for the next run."""

import errno
import random
import socket
from collections import Counter
from pathlib import Path

import pytest

from paddle_ft.config.load import load_config
from paddle_ft.data import arrays, row_cache, row_table
from paddle_ft.data.row_table import RowTable
from paddle_ft.data.songs.text import clean, key
from paddle_ft.tasks import find_task
from paddle_ft.tasks.lyrics import chosen, prepare, store
from paddle_ft.tasks.lyrics.pairs import join_source, line_pairs
from paddle_ft.tasks.lyrics.store import StoredLines, join_sections, split_sections
from paddle_ft.tasks.shared.rows import load_rows

WORDS = ["fish", "sea", "light", "night", "river", "money", "Heart", "go"]


@pytest.fixture
def songs(tmp_path, monkeypatch):
    """Return a folder with songs, some repeated, of which all data counts as large. The cache is in `home` beside them."""
    draw, folder = random.Random(3), tmp_path / "songs"
    folder.mkdir()
    for number in range(40):
        lines = [" ".join(draw.choices(WORDS, k=draw.randint(2, 4))) + draw.choice(["", "!", ","]) for _ in range(9)]
        text = "\n".join([*lines[:5], "", *lines[5:], "", "[Chorus]", *lines[:2]])
        text = text if number % 9 else (folder / "00.txt").read_text() if number else "a b c d\nA B, c d\ne f g h\na b c, d"
        (folder / f"{number:02}.txt").write_text(text)
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "home"))
    for module, name, value in ((row_table, "ROWS_IN_MEMORY", 4), (row_table, "ROWS_AT_ONCE", 3), (arrays, "IN_MEMORY", 0),
                                (arrays, "PART", 50), (row_cache, "LARGE", 0), (chosen, "AT_ONCE", 70),
                                (store, "LINES_AT_ONCE", 11)):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr("paddle_ft.data.hashes.SORTED", 97)
    return folder


def load(songs, *settings):
    task = find_task("lyrics")(load_config("bart_lyrics", [f"data.train={songs}", "device=cpu", *settings]))
    return task, load_rows(task.config, task)


def test_pairs_and_lines_are_those_of_a_plain_computation(songs):
    task, rows = load(songs, f"data.validation={songs}", "task.context_lines=2")
    seen_songs, seen_pairs, lines, expected = set(), set(), {}, []
    for path in sorted(songs.iterdir()):
        sections = clean(path.read_text())[0]
        words = tuple(tuple(map(key, section)) for section in sections)
        if words in seen_songs:
            continue
        seen_songs.add(words)
        lines |= {key(line): line for section in sections for line in section}
        for context, line in line_pairs(sections, 2):
            pair = (*map(key, context), key(line))
            if pair not in seen_pairs:
                seen_pairs.add(pair)
                expected.append({"source": join_source(context), "target": line})
    assert all(isinstance(loaded.rows, RowTable) for loaded in rows.values())
    assert list(rows["train"].rows) == list(rows["validation"].rows) == expected
    assert list(task.training_lines) == list(lines.values())
    assert [task.training_lines[i] for i in (0, -1, 20)] == [list(lines.values())[i] for i in (0, -1, 20)]
    assert rows["train"].info["repeated_songs"] == 4 and len(seen_songs) == 36


def test_the_next_run_reads_the_pairs_and_says_the_same(songs, tmp_path, monkeypatch, capsys):
    task, rows = load(songs)
    said = capsys.readouterr().err
    assert "train: 40 songs, told apart by file or row\ntrain: " in said and "decision: train: 4 of 40 songs are repeated" in said
    assert sorted(path.name for path in next(path for path in (tmp_path / "home/songs").iterdir() if path.is_dir()).iterdir()) == [
        "lines", "pairs.json", "songs.arrow", "test.arrow", "train.arrow", "validation.arrow",
    ]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(store, "clean", lambda text: pytest.fail("songs are cleaned again"))
        other, again = load(songs)
    assert capsys.readouterr().err == said
    assert {split: (list(own.rows), own.info, own.digest(), own.bad, own.files) for split, own in again.items()} == {
        split: (list(own.rows), own.info, own.digest(), own.bad, own.files) for split, own in rows.items()
    }
    assert list(other.training_lines) == list(task.training_lines)
    assert (other.styles, other.songs_by) == (task.styles, task.songs_by)
    assert all(loaded.rows.cache == tmp_path / "home/rows" for loaded in again.values())  # so that nothing else is made again


def test_songs_that_are_cleaned_in_no_time_are_not_kept(songs, tmp_path, monkeypatch):
    monkeypatch.setattr(row_table, "ROWS_IN_MEMORY", 1000)
    assert isinstance(load(songs)[1]["train"].rows, list) and not (tmp_path / "home/songs").exists()
    monkeypatch.setattr(prepare, "LARGE", 1000)
    assert isinstance(load(songs)[1]["train"].rows, RowTable) and (tmp_path / "home/songs").exists()


@pytest.mark.parametrize("setting", ["task.context_lines=2", "task.validation_share=0.3", "data.limit_train=30"])
def test_pairs_are_made_anew_with_other_settings_or_songs(songs, setting):
    sizes = {split: len(loaded) for split, loaded in load(songs)[1].items()}
    assert {split: len(loaded) for split, loaded in load(songs, setting)[1].items()} != sizes or "context" in setting
    (songs / "99.txt").write_text("zebras at the zoo\nare looking at you")
    task, _ = load(songs, setting, "task.test_share=0", "task.validation_share=0", "data.limit_train=null")
    assert task.training_lines[-1] == "are looking at you"


def test_pairs_depend_on_the_limits_of_songs_in_one_file_and_on_the_code(songs, tmp_path, monkeypatch):
    text = "\n=====\n".join(path.read_text() for path in sorted(songs.glob("0[1-8].txt")))
    (songs / "all.txt").write_text(text)
    songs = songs / "all.txt"  # one row, which the limits of rows do not change
    monkeypatch.setattr(prepare, "LARGE", 0)
    shares = ("task.test_share=0", "task.validation_share=0")
    assert load(songs, *shares, "data.limit_train=7")[1]["train"].info["songs"] == 7
    assert load(songs, *shares, "data.limit_train=5")[1]["train"].info["songs"] == 5
    entries = lambda: {path for path in (tmp_path / "home/songs").iterdir() if path.is_dir()}  # noqa: E731
    before = entries()
    monkeypatch.setattr(prepare, "code_digest", lambda *_: "other code")
    load(songs, *shares, "data.limit_train=5")
    assert len(entries() - before) == 1


def test_a_damaged_entry_and_the_remains_of_a_killed_process_do_no_harm(songs, tmp_path, capsys):
    expected = list(load(songs)[1]["train"].rows)
    (entry,) = (path for path in (tmp_path / "home/songs").iterdir() if path.is_dir())
    table = entry / "songs.arrow"
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(content)
    remains = entry.with_suffix(f".{socket.gethostname()}.part")
    (remains / "scratch").mkdir(parents=True)
    for name in ("found-train.arrow", "songs.arrow", "train.arrow", *(f"scratch/{array}.bin" for array in store.TYPES)):
        (remains / name).write_bytes(b"half of it")
    assert list(load(songs)[1]["train"].rows) == expected
    assert "The table of the pairs in " in capsys.readouterr().err and not remains.exists()
    assert list(load(songs)[1]["train"].rows) == expected
    assert "damaged" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["songs.arrow", "found-train.arrow", "train.arrow", "telling.bin", "places.bin", "*"])
def test_a_full_disk_costs_memory_only(songs, tmp_path, monkeypatch, capsys, name):
    expected = list(load(songs, "data.cache=false")[1]["train"].rows)
    append = arrays.AppendedFile.append

    def fill(file, data):
        path = Path(str(file.file.name))
        if path.match(name) and "songs" in path.parts[-4:-1] and file.size:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(file, data)

    monkeypatch.setattr(arrays.AppendedFile, "append", fill)
    monkeypatch.setattr(store, "SONGS_AT_ONCE", 3)
    task, rows = load(songs)
    assert list(rows["train"].rows) == expected and len(list(task.training_lines)) == len(task.training_lines)
    said = capsys.readouterr().err
    assert said.count("The table of the pairs is not kept for the next run") == 1 and "No space left on device" in said
    is_kept = any(path.suffix != ".lock" for path in (tmp_path / "home/songs").iterdir())
    assert is_kept == (name in ("found-train.arrow", "telling.bin"))  # these are needed no more


def test_a_song_is_stored_and_read_by_its_sections():
    for sections in ([], [["a"]], [["a", "b"], ["c"]]):
        assert split_sections(join_sections(sections)) == sections
    lines = StoredLines([{"sections": "a\nb\n\nc"}, {"sections": ""}, {"sections": "d"}], [3, 0, 1], [3, 0, 2, 0])
    assert list(lines) == ["d", "a", "c", "a"] and lines[1:3] == ["a", "c"] and lines[-2] == "c"
    assert Counter(lines)["a"] == 2
