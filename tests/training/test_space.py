"""Test the estimate of disk space for checkpoints, and the measured memory."""

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from paddle_ft.config.load import load_config
from paddle_ft.models.lora import count_parameters
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.errors import UserError
from paddle_ft.system.runtime import peak_memory_mb
from paddle_ft.system.world import World
from paddle_ft.training import checkpoint, preflight
from paddle_ft.training import run as training_run
from tests.support.tiny_runs import overrides

Usage = namedtuple("Usage", "total used free")


def with_free(monkeypatch, size: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 10**12 - int(size), int(size)))


@pytest.mark.parametrize(("keep", "needed"), [(1, 32), (2, 44), (5, 80)])
def test_space_for_the_checkpoints(tmp_path, monkeypatch, keep, needed):
    """With 10**9 parameters a checkpoint takes 12 GB, one more exists while it is replaced, and best/ takes 4 GB twice."""
    with_free(monkeypatch, needed * 1e9)
    checkpoint.check_space(tmp_path, 10**9, keep)
    with_free(monkeypatch, needed * 1e9 - 1e8)
    with pytest.raises(UserError) as caught:
        checkpoint.check_space(tmp_path, 10**9, keep)
    text = str(caught.value)
    assert f"{tmp_path} has {needed - 0.1:.1f} GB free" in text
    assert f"take about {needed:.1f} GB" in text
    assert ("lower train.keep_checkpoints" in text) == (keep > 1)


def test_a_training_does_not_start_on_a_full_disk(tmp_path, monkeypatch):
    with_free(monkeypatch, 1000)
    with pytest.raises(UserError, match=r"has 1.0 kB free, but the checkpoints of this training take about [\d.]+ kB\."):
        training_run.train(load_config("bart_lcsts", overrides(tmp_path, "eval.before_training=false")))
    assert not (tmp_path / "run").exists()


def test_peak_memory_is_at_least_what_is_resident():
    sizes = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Vm"))
    resident, peak = (int(sizes[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
    measured = peak_memory_mb()
    assert measured > 50
    assert measured >= 0.99 * max(resident, peak)
    assert measured < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_frozen_weights_have_no_moments_but_are_stored_twice(tmp_path, monkeypatch):
    """With a tenth of 10**9 parameters trained a checkpoint takes 4 + 0.8 + 4 GB, twice, and best/ takes 4 GB twice."""
    with_free(monkeypatch, 25.6e9)
    checkpoint.check_space(tmp_path, 10**9, 1, trained=10**8)
    with_free(monkeypatch, 25.5e9)
    with pytest.raises(UserError, match=r"take about 25\.6 GB"):
        checkpoint.check_space(tmp_path, 10**9, 1, trained=10**8)


def test_keep_checkpoints_is_part_of_the_estimate(tmp_path, monkeypatch):
    config = load_config("bart_lcsts", overrides(tmp_path))
    task = training_run.make_task(config, World())
    rows = training_run.load_rows(config, task)
    training_run.load_model(task, rows["train"])
    data = {"train": task.encode(rows["train"], "train")}
    count, _ = count_parameters(task.model)
    run = RunDirectory(tmp_path)
    with_free(monkeypatch, count * (12 * 2 + 8))
    preflight.try_out(task, data, run, World())
    config.train.keep_checkpoints = 2
    with pytest.raises(UserError, match="or lower train.keep_checkpoints"):
        preflight.try_out(task, data, run, World())
    with_free(monkeypatch, count * (12 * 3 + 8))
    preflight.try_out(task, data, run, World())
