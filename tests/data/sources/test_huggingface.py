"""Test Hugging Face datasets in local folders, and the message when the hub cannot be reached."""

import time

import pytest

from paddle_ft.data.load import list_remote_files, load_split
from tests.support.data_sections import NETWORK, error, section


@pytest.fixture
def hub_folder(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "train.csv").write_text("text,summary\n正文,题\n正文二,题二\n正文三,\n")
    (folder / "test.csv").write_text("text,summary\n考,试\n")
    return folder


def test_a_folder_that_datasets_can_load(hub_folder):
    data = section(source=str(hub_folder), columns={"source": "text", "target": "summary"})
    assert load_split(data, "test").rows == [{"source": "考", "target": "试"}]
    assert load_split(data, "validation") is None
    message = error(load_split, data, "train")
    assert message.startswith(f"{hub_folder}[train]:3: target is missing\n1 of 3 rows is bad")
    data.on_bad_row = "skip"
    result = load_split(data, "train")
    assert len(result.rows) == 2 and [bad.line for bad in result.bad] == [3]
    data.train = "train[:1]"
    assert len(load_split(data, "train").rows) == 1


def test_several_splits_of_a_dataset_are_joined(hub_folder):
    data = section(source=str(hub_folder), columns={"source": "text", "target": "summary"}, on_bad_row="skip", train="train+test")
    assert [row["source"] for row in load_split(data, "train").rows] == ["正文", "正文二", "考"]
    data.train = "train+dev"
    assert error(load_split, data, "train") == f"data.train: {hub_folder} has no split 'dev'; it has train, test"


def test_errors_of_datasets_become_user_errors(hub_folder):
    folder = str(hub_folder)
    message = error(load_split, section(source=folder), "train")
    assert message == (f"{folder}: no column 'source'; it has 'text', 'summary'; map them, e.g. data.columns.source=text")
    message = error(load_split, section(source=folder, validation="dev"), "validation")
    assert message == f"data.validation: {folder} has no split 'dev'; it has train, test"
    message = error(load_split, section(source=folder, name="sub"), "train")
    assert message.startswith(f"data.source: {folder}: ValueError: BuilderConfig 'sub' not found")


def test_a_script_that_comes_with_a_dataset_is_not_run(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_TRUST_REMOTE_CODE", True)  # whatever the environment allows
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "set.py").write_text(f"import os; os.mkdir({str(tmp_path / 'harmed')!r})")
    data = section(source=str(tmp_path / "set"), train="train")
    for function in (list_remote_files, lambda data: load_split(data, "train")):
        assert "/set: its rows come from a script, and code that comes with data is never run" in error(function, data)
    assert not (tmp_path / "harmed").exists()


def test_an_unreachable_hub_is_reported_with_a_remedy(monkeypatch, tmp_path):
    import datasets
    import huggingface_hub

    for name in NETWORK:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    start = time.perf_counter()
    message = error(load_split, section(source="hugcyp/LCSTS"), "train")
    assert time.perf_counter() - start < 10
    assert message == (
        "data.source: hugcyp/LCSTS: http://127.0.0.1:9 cannot be reached and the dataset is not in the cache. Set "
        "HF_ENDPOINT to a mirror or HTTPS_PROXY to a proxy, or download the dataset's files on another machine and name them in "
        "data.train, data.validation, data.test"
    )
    assert "(did you mean the PaddleNLP built-in lcsts_new?)" in error(load_split, section(source="lcst_new"), "train")
