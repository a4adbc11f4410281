"""Test what the benchmarks ask of transformers, whose settings have other names in version 5. It is not installed here."""

import sys
from types import SimpleNamespace

import pytest

from tests.support.paths import ROOT


class Version4:
    def __init__(self, output_dir, group_by_length=False):
        self.settings = {"output_dir": output_dir, "group_by_length": group_by_length}


class Version5:
    def __init__(self, output_dir, train_sampling_strategy="random"):
        self.settings = {"output_dir": output_dir, "train_sampling_strategy": train_sampling_strategy}


@pytest.mark.parametrize(
    ("version", "grouped", "expected"),
    [
        (Version4, True, {"group_by_length": True}),
        (Version4, False, {"group_by_length": False}),
        (Version5, True, {"train_sampling_strategy": "group_by_length"}),
        (Version5, False, {"train_sampling_strategy": "random"}),
    ],
)
def test_rows_are_grouped_by_length_in_both_versions(monkeypatch, version, grouped, expected):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(TrainingArguments=version))
    from peers import training_arguments, versions

    assert training_arguments(grouped, output_dir="x").settings == {"output_dir": "x", **expected}
    assert versions("numpy").startswith("numpy 1.")
