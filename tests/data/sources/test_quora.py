"""Test Quora's own file (tab-separated, quoted, fields over several lines), and GLUE's layouts of QQP and SST-2."""

import csv

import pytest

from paddle_ft.config.schema import DataSection
from paddle_ft.data.load import list_remote_files, load_split
from paddle_ft.system.errors import UserError

PAIR = ("text", "label"), ("text_pair",)
HEADER = ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"]


@pytest.fixture
def quora(tmp_path):
    rows = [[i, 2 * i, 2 * i + 1, f"question {i}?", f"other {i}?", i % 2] for i in range(40)]
    rows[7][3] = 'what is\n"quoted",\tand tabbed?'
    with open(tmp_path / "quora_duplicate_questions.tsv", "w", newline="") as file:
        csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL).writerows([HEADER, *rows])
    return tmp_path / "quora_duplicate_questions.tsv", rows


def test_every_pair_is_in_one_split(quora):
    path, rows = quora
    data = DataSection(source=f"quora:{path}")
    splits = {split: load_split(data, split, *PAIR).rows for split in ("train", "validation", "test")}
    assert {split: len(split_rows) for split, split_rows in splits.items()} == {"train": 32, "validation": 4, "test": 4}
    loaded = [(row["text"], row["text_pair"], row["label"]) for split_rows in splits.values() for row in split_rows]
    assert sorted(loaded) == sorted((row[3], row[4], str(row[5])) for row in rows)
    assert splits["train"] == load_split(data, "train", *PAIR).rows
    assert [row["text"] for row in splits["train"]] != [row[3] for row in rows[8:]]


def test_a_pair_without_its_first_question_is_bad(quora):
    path, _ = quora
    with open(path, "a") as file:
        file.write('"40"\t"1"\t"2"\t""\t"why?"\t"0"\n')
    bad = [load_split(DataSection(source=f"quora:{path}", on_bad_row="skip"), split, *PAIR).bad
           for split in ("train", "validation", "test")]  # fmt: skip
    assert [str(row.reason) for bad_rows in bad for row in bad_rows] == ["text is empty"]


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UserError, match="absent.tsv: there is no such file"):
        load_split(DataSection(source=f"quora:{tmp_path / 'absent.tsv'}"), "train", *PAIR)
    assert len(list_remote_files(DataSection(source="quora"))) == 1


def test_files_in_the_layout_of_glues_archives(tmp_path):
    (tmp_path / "QQP.tsv").write_text("\t".join(HEADER) + '\n1\t2\t3\tis "x" y?\tis y x?\t1\n')
    columns = {"text": "question1", "text_pair": "question2", "label": "is_duplicate"}
    rows = load_split(DataSection(train=str(tmp_path / "QQP.tsv"), columns=columns), "train", *PAIR).rows
    assert rows == [{"text": 'is "x" y?', "text_pair": "is y x?", "label": "1"}]
    (tmp_path / "SST.tsv").write_text('sentence\tlabel\nhide new " secretions \t0\n')
    rows = load_split(DataSection(train=str(tmp_path / "SST.tsv"), columns={"text": "sentence"}), "train", *PAIR).rows
    assert rows == [{"text": 'hide new " secretions ', "label": "0"}]


def test_a_split_can_be_left_out_of_a_named_source(quora):
    assert load_split(DataSection(source=f"quora:{quora[0]}", test="none"), "test", *PAIR) is None
