"""Test that every task makes the same data set of large data, which stays on disk, as of small data in memory."""

import numpy as np
import pytest

from paddle_ft.config.load import load_config
from paddle_ft.data import arrays, blocks, hashes, row_table
from paddle_ft.data.arrays import ArrayFile
from paddle_ft.data.row_table import RowTable
from paddle_ft.tasks import find_task
from paddle_ft.tasks.lyrics import chosen, duplicates, store
from paddle_ft.tasks.masked_lm import masking
from paddle_ft.tasks.shared.evaluate import score_baselines
from paddle_ft.tasks.shared.rows import load_rows
from paddle_ft.tokenization import encode as tokenization
from paddle_ft.training import run as training_run

SETTINGS = ("device=cpu", "data.limit_train=150", "data.limit_validation=20", "data.limit_test=5", "eval.bootstrap_samples=100")
RUNS = {
    "summarisation": ("bart_lcsts",),
    "lyrics": ("bart_lyrics", "task.noise=0.3"),
    "pairs": ("distilbert_qqp",),
    "masked tokens": ("distilbert_imdb_mlm", "task.train_chunks=null", "task.last_chunk=pad"),
    "masked words": ("distilbert_imdb_mlm", "task.masking=whole_word", "task.train_chunks=9", "model.config.model_type=bert"),
    "masked Chinese words": ("distilbert_imdb_mlm", "data.source=sample:briefs", "data.columns={text: source}",
                             "task.masking=whole_word", "task.chinese_words=jieba"),
    "texts": ("gpt2_booksum",),
    "packed texts": ("gpt2_booksum", "task.packed=true"),
}  # fmt: skip


def make_large(monkeypatch):
    """Treat all data as large."""
    monkeypatch.setattr(row_table, "ROWS_IN_MEMORY", 4)
    monkeypatch.setattr(row_table, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(arrays, "IN_MEMORY", 0)
    monkeypatch.setattr(arrays, "PART", 50)
    monkeypatch.setattr(blocks, "PART", 50)
    monkeypatch.setattr(masking, "PART", 50)
    monkeypatch.setattr(hashes, "SORTED", 97)
    monkeypatch.setattr(duplicates, "COMPARED", 300)
    monkeypatch.setattr(chosen, "AT_ONCE", 70)
    monkeypatch.setattr(store, "LINES_AT_ONCE", 11)
    monkeypatch.setattr(store, "SONGS_AT_ONCE", 3)
    monkeypatch.setattr(tokenization, "BATCH", 7)
    monkeypatch.setattr(tokenization, "TEXTS_OF_PART", 11)


def describe(task, data):
    """Return everything that a training takes from its data, as plain values."""
    found = {}
    for split, dataset in data.items():
        indices = np.random.default_rng(1).permutation(len(dataset))[:20]
        batch = task.collate_fn(dataset, indices, np.random.default_rng(2))
        found[split] = {
            "rows": list(dataset.rows),
            "columns": {name: [np.array(value).tolist() for value in column] for name, column in dataset.columns.items()
                        if name != "parts"},
            "lengths": dataset.lengths.tolist(),
            "info": dataset.info,
            "batch": {name: (value.dtype, value.tolist()) for name, value in batch.items()},
            "baselines": {name: scores.metrics for name, scores in score_baselines(task, dataset, data["train"]).items()}
                         if task.name != "lyrics" else list(task.training_lines),  # its rhymes take long
            "preview": task.preview(dataset),
        }  # fmt: skip
    return found | {"files": task.run_files()}


@pytest.mark.parametrize("name", RUNS)
def test_large_data_gives_the_data_set_of_small_data(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path))
    recipe, *settings = RUNS[name]
    config = load_config(recipe, [*SETTINGS, *settings, "data.cache=false"], sample=True)
    task = find_task(config.task.name)(config)
    small = load_rows(config, task)
    request = task.model_request(small["train"])
    training_run.load_model(task, small["train"])
    tokenizer = task.fast_tokenizer.to_str()
    expected = describe(task, training_run.encode(task, small)[0])

    config.data.cache = True
    make_large(monkeypatch)
    large = load_rows(config, task)
    assert all(isinstance(rows.rows, RowTable) for rows in large.values())
    assert {split: rows.fingerprint() for split, rows in large.items()} == {s: rows.fingerprint() for s, rows in small.items()}
    again = task.model_request(large["train"])
    assert again.settings == request.settings and list(again.texts) == list(request.texts)
    monkeypatch.setattr(tokenization, "_digest", lambda texts: pytest.fail("all texts are read only to find them in the cache"))
    for _ in range(2):  # made, and read
        training_run.load_model(task, large["train"])
        assert task.fast_tokenizer.to_str() == tokenizer
        data, _ = training_run.encode(task, large)
        columns = [column for dataset in data.values() for column in dataset.columns.values()]
        assert any(isinstance(getattr(column, "flat", None), ArrayFile) for column in columns)
        assert describe(task, data) == expected
    assert len([path for path in (tmp_path / "tokenizers").iterdir() if path.is_dir()]) == 1
