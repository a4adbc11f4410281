"""Test that a training from the same table gives the same weights, to the bit, whatever format the table is in."""

import json

import numpy as np
import pandas as pd
import pytest

from convert.tensors import open_weights
from tests.support.table_formats import WRITERS
from tests.support.tiny_classification import TEXTS, train

FORMATS = ("excel.csv", "table.tsv", "nan.jsonl", "columns.json", "table.parquet", "table.xlsx", "saved")
TABLE = pd.DataFrame(
    {"review": [*TEXTS, None], "is_good": [True, False, True, False, True, False, None], "id": [1, 2, None, 4, 5, 6, 7]}
)


@pytest.fixture(scope="module")
def from_csv(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("csv"), "table.csv")


def trained(folder, name):
    """Return the rows' fingerprints, the classes, the figures and the weights of a training from the table in one format."""
    path = folder / name
    WRITERS[name](TABLE, path)
    run = train(folder, [], "distilbert", *(f"data.{split}={path}" for split in ("train", "validation", "test")),
                "data.columns={text: review, label: is_good}", "data.on_bad_row=skip", "train.max_steps=3")  # fmt: skip
    results = run.results()
    facts = {split: results["data"][split] for split in ("train", "validation", "test")}
    labels = json.loads((run / "best" / "config.json").read_text())["id2label"]
    weights = {name: np.asarray(tensor.read()) for name, tensor in open_weights(run / "best").tensors.items()}
    return facts, labels, results["metrics"], weights


@pytest.mark.parametrize("name", FORMATS)
def test_a_training_does_not_depend_on_the_format(from_csv, tmp_path, name):
    facts, labels, metrics, weights = trained(tmp_path, name)
    assert (facts, labels, metrics) == from_csv[:3]
    assert labels == {"0": "False", "1": "True"} and facts["train"]["rows"] == 6 and facts["train"]["bad_rows"] == 1
    assert weights.keys() == from_csv[3].keys()
    assert all(np.array_equal(weights[name], from_csv[3][name]) for name in weights)
