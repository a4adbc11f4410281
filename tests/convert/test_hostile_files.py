"""Test damaged configurations, tokenizers and directories, and conversions that fail half-way."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import convert
from convert.__main__ import main
from convert.formats import sentencepiece
from tests.support.checkpoints import change_tensors
from tests.support.refusals import assert_refused


@pytest.fixture
def source(checkpoint_copy):
    """Return a copy of a good checkpoint for a test to damage."""
    return checkpoint_copy("distilbert/sequence_classification")


ROOT = Path(__file__).parents[2]


def test_sentencepiece_files_cut_at_every_length(checkpoints, tmp_path):
    data = (checkpoints("tokenizers/t5-saved") / "spiece.model").read_bytes()
    assert len(sentencepiece.read(checkpoints("tokenizers/t5-saved") / "spiece.model").pieces) > 50
    (tmp_path / "cut").write_bytes(data[:1])
    with pytest.raises(convert.ConvertError, match="not a sentencepiece model"):
        sentencepiece.read(tmp_path / "cut")
    for length in range(1, 200):  # a cut on a field's border is a valid, shorter message
        (tmp_path / "cut").write_bytes(data[:length])
        try:
            sentencepiece.read(tmp_path / "cut")
        except convert.ConvertError as error:
            assert str(tmp_path / "cut") in str(error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{not json", "config.json: not valid JSON"),
        ("[]", "must be a JSON object, found list"),
        ('{"model_type": "wav2vec2"}', "model_type 'wav2vec2' is not supported; supported are: albert, bart, bert"),
        ("{}", "no model_type, so the architecture is unknown"),
        ("[" * 100_000, "config.json: not valid JSON"),
    ],
)
def test_a_damaged_or_foreign_config(source, text, message):
    (source / "config.json").write_text(text)
    assert_refused(source, message)


def test_an_unpaired_surrogate(source):
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "odd": "\U0001f600"}))  # a valid pair
    convert.to_paddle(source, source.parent / "paired", progress=False)
    (source / "config.json").write_text(json.dumps({**config, "odd": "\ud800"}))
    assert_refused(source, "config.json: not valid JSON")


def test_a_config_that_is_a_directory(source):
    (source / "config.json").unlink()
    (source / "config.json").mkdir()
    assert_refused(source, "config.json: cannot be read (Is a directory)")


def test_a_missing_config(source):
    (source / "config.json").unlink()
    assert_refused(source, "config.json: not found")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tf_model.h5", "TensorFlow weights are not supported; supported are model.safetensors, pytorch_model.bin"),
        ("model.gguf", "GGUF weights are not supported"),
        ("model.onnx", "ONNX graphs are not supported"),
        ("flax_model.msgpack", "Flax weights are not supported"),
    ],
)
def test_formats_that_are_not_supported(source, name, message):
    (source / "model.safetensors").rename(source / name)
    assert_refused(source, message)


def test_an_empty_directory(tmp_path):
    (tmp_path / "source").mkdir()
    assert_refused(tmp_path / "source", "config.json: not found")


def test_no_weights(source):
    (source / "model.safetensors").unlink()
    assert_refused(source, "no weights found; supported are")


def test_a_damaged_tokenizer(source):
    (source / "tokenizer.json").write_text('{"version": "1.0"}')
    assert_refused(source, "tokenizer.json: not a tokenizer.json that this version of tokenizers reads")


def test_a_vocabulary_that_is_not_text(source):
    (source / "vocab.txt").write_bytes(b"\xff\xfe\x00bad")
    assert_refused(source, "vocab.txt: not UTF-8 text")


def test_the_source_is_never_written_to(source):
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    with pytest.raises(convert.ConvertError, match="must be separate directories"):
        convert.to_paddle(source, source, overwrite=True, progress=False)
    with pytest.raises(convert.ConvertError, match="must be separate directories"):
        convert.to_paddle(source, source / "inside", progress=False)
    with pytest.raises(convert.ConvertError, match="must be separate directories"):
        convert.to_paddle(source, source.parent, overwrite=True, progress=False)
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before


def test_a_failure_while_writing_leaves_nothing(source, monkeypatch):
    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("convert.write_paddle.write_paddle_tokenizer", full_disk)
    assert_refused(source, "cannot be written (No space left on device)")


def test_a_process_killed_in_the_middle_leaves_no_destination(source):
    """A killed process cannot clean up, so the unfinished files must be under another name."""
    program = (
        "import os, signal, sys, convert, convert.write_paddle\n"
        "convert.write_paddle.write_paddle_tokenizer = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "convert.to_paddle(sys.argv[1], sys.argv[2], progress=False)"
    )
    destination = source.parent / "destination"
    result = subprocess.run([sys.executable, "-c", program, str(source), str(destination)], cwd=ROOT, check=False)
    assert result.returncode == -signal.SIGKILL
    leftovers = [path.name for path in source.parent.iterdir() if path != source]
    assert not destination.exists() and len(leftovers) == 1 and leftovers[0].startswith(".destination.partial-")
    convert.to_paddle(source, destination, progress=False)


def test_a_config_that_is_a_pipe_or_too_large(source):
    (source / "config.json").unlink()
    os.mkfifo(source / "config.json")
    assert_refused(source, "config.json: not a regular file")
    (source / "config.json").unlink()
    with open(source / "config.json", "wb") as file:
        file.truncate(10**12)  # a hole, which takes no space
    assert_refused(source, "config.json: 1000000000000 bytes, which no such file needs")


def test_control_characters_of_a_file_do_not_reach_the_terminal(source, capsys):
    change_tensors(source, lambda arrays: arrays.update({"\x1b[2Jodd\x07": np.zeros(1, "f4")}))
    assert main(["to-paddle", str(source), str(source.parent / "out")]) == 2
    assert "\\x1b[2Jodd\\x07 (1,): no place for it" in capsys.readouterr().err
    assert main(["to-paddle", str(source), str(source.parent / "out"), "--drop", "*odd*"]) == 0
    assert "ignored: \\x1b[2Jodd\\x07 (left out by --drop '*odd*')" in capsys.readouterr().out
    assert main(["inspect", str(source), "--drop", "*odd*"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_too_little_memory_is_one_message(source, monkeypatch, capsys):
    def no_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr("convert.write_paddle.write_weights", no_memory)
    assert main(["to-paddle", str(source), str(source.parent / "out")]) == 2
    assert capsys.readouterr().err.startswith("error: there is not enough memory for this; the largest tensor must fit")
    assert sorted(path.name for path in source.parent.iterdir()) == ["source"]
