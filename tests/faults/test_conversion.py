"""Kill a conversion, and fill its disk: the next start converts again, and nothing half is ever loaded."""

import os
import shutil
import signal
import time

import pytest

from tests.support.checkpoints import unpack
from tests.support.faults import Result
from tests.support.tiny_classification import ROWS, overrides

pytestmark = pytest.mark.slow


@pytest.fixture
def train(prepared, tmp_path):
    """Return a function that trains a classifier from a checkpoint of the Hugging Face hub, which is converted first."""
    unpack("distilbert", tmp_path / "hub")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    (tmp_path / "hub/sequence_classification/vocab.txt").write_text("\n".join(words))
    settings = [text for text in overrides(tmp_path, ROWS) if not text.startswith(("model.", "output_dir"))]
    settings += [
        f"model.pretrained={tmp_path}/hub/sequence_classification",
        f"output_dir={tmp_path}/run",
        "train.max_steps=2",
        "task.max_text_length=16",
    ]

    def run(*flags: str, at=()) -> Result:
        environment = {"PADDLE_FT_HOME": str(tmp_path / "home")}
        return Result.of(*prepared.run(["train", "--config", "distilbert_sst2", *settings, *flags], at=at, environment=environment))

    return run


CALLS = {
    "weights": "convert.formats.safetensors.write",
    "configuration": "convert.write_paddle.write_json",
    "renaming": "convert.files._refuse_contents",
}


@pytest.mark.parametrize("phase", CALLS)
def test_a_killed_conversion_is_made_again(phase, train, tmp_path):
    number = "2" if phase == "renaming" else "1"
    killed = train(at=(CALLS[phase], number, "kill"))
    assert killed.code == -signal.SIGKILL, killed.errors
    (partial,) = (tmp_path / "home/converted").iterdir()
    assert ".partial-" in partial.name
    hour_ago = time.time() - 3600
    os.utime(partial, (hour_ago, hour_ago))
    train().check()
    killed_weights = (tmp_path / "run/last/model.safetensors").read_bytes()
    (converted,) = (tmp_path / "home/converted").iterdir()
    assert not converted.name.startswith(".")
    shutil.rmtree(converted)
    train("--overwrite").check()
    assert (tmp_path / "run/last/model.safetensors").read_bytes() == killed_weights


def test_a_disk_that_is_full(train, small_disk, tmp_path):
    (tmp_path / "home").symlink_to(small_disk)
    error = train(at=("convert.formats.safetensors.write", "1", "fill", str(small_disk))).error()
    assert "No space left on device" in error and "/home/converted/" in error
    (small_disk / "filler").unlink()
    assert not list((small_disk / "converted").iterdir())
    train().check()
