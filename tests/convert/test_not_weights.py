"""Test files that are often in the place of weights: pointers of Git LFS and web pages."""

import json

import pytest

from tests.support.refusals import assert_refused

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d' * 32}\nsize 438012345\n"
PAGE = "\n<!DOCTYPE html>\n<html><head><title>pytorch_model.bin</title></head></html>\n"


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "shard.safetensors"])
@pytest.mark.parametrize(("content", "message"), [(POINTER, "only the pointer of Git LFS"), (PAGE, "a web page, not weights")])
def test_what_was_downloaded_instead_of_weights_is_named(checkpoint_copy, name, content, message):
    source = checkpoint_copy("distilbert/sequence_classification")
    for path in (*source.glob("model*.safetensors*"), *source.glob("pytorch_model*")):
        path.unlink()
    (source / name).write_text(content)
    if name.startswith("shard"):
        (source / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": name}}))
    assert_refused(source, f"{name}: {message}")
