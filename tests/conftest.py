"""Set up the CPU as a user's training does, before any test imports paddle."""

import gc
import os
import shutil
import signal

import pytest

from convert.paddlenlp_import import import_paddlenlp
from paddle_ft.system.runtime import available_cpus, prepare_cpu

gc.disable()  # while everything is imported: it would look again and again through what stays
# Several workers share the cores, as the processes of a training do: more threads than cores wait for each other.
workers, cores = os.environ.get("PYTEST_XDIST_WORKER_COUNT"), str(available_cpus())
if workers and os.environ.get("OMP_NUM_THREADS", cores) == cores:  # not set by the user; the parent has prepared itself
    os.environ["OMP_NUM_THREADS"] = str(max(1, int(cores) // int(workers)))
prepare_cpu()
if workers:  # each imports all tests, some of which import PaddleNLP themselves: without what is seldom used, as the program does
    import_paddlenlp()

MEMORY, ENOUGH = "/dev/shm", 4 << 30  # a folder in memory, and the bytes that it must have free; the tests use 0.6 GB


def pytest_configure(config: pytest.Config) -> None:
    """Write the files of the quick tests to memory, where there is enough: trainings wait for the disk after each file (fsync)."""
    if config.option.markexpr == "not slow" and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)


def pytest_collection_finish() -> None:
    """Keep what all imports have made from the garbage collector, and let it seldom look through all that the tests leave."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 1000)
    gc.enable()


@pytest.fixture(autouse=True)
def ctrl_c():
    """Let Ctrl-C raise KeyboardInterrupt in each test, and not what an earlier test's command has left or a background job gets.

    A command that has started leaves a Ctrl-C that ends the process at once: a test that sends one to itself would end its worker.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def paddles_own_layers(monkeypatch):
    """Turn our CPU layers off, as on a GPU, because they draw other dropout masks than Paddle's layers."""
    monkeypatch.setattr("paddle_ft.models.cpu_layers.use_cpu_layers", lambda model: None)
