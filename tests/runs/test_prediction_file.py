"""Test what predict writes: the predictions with the other columns of the input, in every format of the output."""

import csv
import json

import pytest

from paddle_ft.data.inputs import Input
from paddle_ft.runs.prediction_file import PredictionFile
from paddle_ft.system.errors import UserError

RECORDS = [Input("a", {"id": 7, "tags": ["x"]}), Input(None, {"id": 8, "tags": []}), Input("b", {"id": 9, "tags": ["y"]})]
PREDICTIONS = [
    {"text": "a", "prediction": "pos", "probabilities": {"pos": 1.0}},
    {"text": "b", "prediction": "neg", "probabilities": {}},
]


def write(path, *chunks, to_line=None) -> str:
    with PredictionFile(str(path), to_line) as output:
        for records, predictions in chunks:
            output.write(records, predictions)
        assert not path.exists()
    return output.describe()


def test_json_lines_keep_the_types_of_other_columns(tmp_path):
    path = tmp_path / "out.jsonl"
    assert write(path, (RECORDS, PREDICTIONS)) == (
        f"rows predicted: 3, empty outputs: 0, without a text and so without a prediction: 1, written to {path}"
    )
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"id": 7, "tags": ["x"], **PREDICTIONS[0]},
        {"id": 8, "tags": [], "text": None, "prediction": None, "probabilities": None},
        {"id": 9, "tags": ["y"], **PREDICTIONS[1]},
    ]


def test_a_table_has_the_other_columns_first(tmp_path):
    path = tmp_path / "out.csv"
    write(path, (RECORDS, PREDICTIONS))
    with open(path, newline="") as file:
        assert list(csv.reader(file)) == [
            ["id", "tags", "text", "prediction", "probabilities"],
            ["7", '["x"]', "a", "pos", '{"pos": 1.0}'], ["8", "[]", "", "", ""], ["9", '["y"]', "b", "neg", "{}"],
        ]  # fmt: skip


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_a_spreadsheet_gets_no_formulas_and_its_numbers(ending, tmp_path):
    path = tmp_path / f"out{ending}"
    formulas = ["=1+1", "+x", "-x", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")', "-1+cmd|' /C calc'!A0"]
    numbers = ["-1", "+2.5", "-.5", "-1e-5", "+3%"]
    records = [Input("a", {"=id": cell, "score": -0.5}) for cell in [*formulas, *numbers]]
    write(path, (records, [{"prediction": "-x"}] * len(records)))
    with open(path, newline="") as file:
        header, *rows = csv.reader(file, delimiter="," if ending == ".csv" else "\t")
    assert header == ["'=id", "score", "prediction"]
    assert [row[0] for row in rows] == [*(f"'{cell}".replace("\r", "\n") for cell in formulas), *numbers]
    assert {(row[1], row[2]) for row in rows} == {("-0.5", "'-x")}


def test_other_formats_keep_every_text(tmp_path):
    path = tmp_path / "out.jsonl"
    write(path, ([Input("a", {"id": "=1+1"})], [{"prediction": "-x"}]))
    assert json.loads(path.read_text()) == {"id": "=1+1", "prediction": "-x"}


def test_lines_of_text_stay_in_step_with_the_input(tmp_path):
    path = tmp_path / "out.txt"
    write(path, (RECORDS, PREDICTIONS), ([Input(None)], []), to_line=lambda row: row["prediction"])
    assert path.read_text() == "pos\n\nneg\n\n"


def test_columns_that_are_called_like_a_part_of_the_prediction_are_renamed(tmp_path, capsys):
    path = tmp_path / "out.jsonl"
    write(path, ([Input("a", {"prediction": "old"}), Input("b", {"prediction": "older"})], PREDICTIONS))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["input_prediction"], row["prediction"]) for row in rows] == [("old", "pos"), ("older", "neg")]
    message = "the input's column 'prediction' is called 'input_prediction' in the output"
    assert capsys.readouterr().err.count(message) == 1


def test_columns_that_a_table_does_not_have_are_told(tmp_path, capsys):
    path = tmp_path / "out.tsv"
    write(path, ([Input("a", {"id": 1}), Input("b", {"note": "x"})], PREDICTIONS))
    assert path.read_text().splitlines() == ["id\ttext\tprediction\tprobabilities", '1\ta\tpos\t"{""pos"": 1.0}"', "\tb\tneg\t{}"]
    told = capsys.readouterr().err
    assert "the column 'note' is left out, because the first row, which decides the columns, does not have it" in told


def test_a_table_needs_a_text_to_begin_with(tmp_path):
    with pytest.raises(UserError, match="the first 1 rows have no text; is it in another column"):
        write(tmp_path / "out.csv", ([Input(None)], []))
    assert list(tmp_path.iterdir()) == [tmp_path / "out.csv.part"]
    write(tmp_path / "out.jsonl", ([Input(None, {"id": 1})], []), (RECORDS[:1], PREDICTIONS[:1]))
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0]) == {"id": 1, "prediction": None}
