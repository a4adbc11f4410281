"""Test that PaddleNLP loads a published model with the lines that `publish` prints, from a local server in place of the hubs."""

import os
import subprocess
import sys

import pytest

from tests.support import tiny_classification
from tests.support.paths import ROOT
from tests.support.stub_hubs import TOKEN, StubHubs

LONG = 200  # seconds after which a test that hangs fails
REPO = "me/tiny"
COMPARE = """
import sys, paddle
model.eval()
here = type(model).from_pretrained(sys.argv[1])
here.eval()
words = paddle.to_tensor([tokenizer("a good film")["input_ids"]])
assert type(tokenizer)(sys.argv[1] + "/vocab.txt")("a good film")["input_ids"] == words[0].tolist()
assert paddle.equal_all(model(words), here(words)).item()
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny_classification.train(tmp_path_factory.mktemp("published")).path


@pytest.mark.parametrize("hub", ["aistudio", "huggingface"])
@pytest.mark.slow
def test_the_printed_lines_load_the_model(run, tmp_path, hub):
    keep = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with StubHubs() as hubs:
        variables = ("HF_ENDPOINT", "STUDIO_GIT_HOST", "STUDIO_MODEL_API_URL_PREFIX", "AISTUDIO_ENDPOINT")
        environment = {
            **keep, **dict.fromkeys(variables, hubs.url), "HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf"),
            "HF_TOKEN": TOKEN, "AISTUDIO_ACCESS_TOKEN": TOKEN, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }  # fmt: skip

        def python(*arguments: str) -> str:
            command = [sys.executable, *arguments]
            result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=LONG)
            assert result.returncode == 0, result.stderr
            return result.stdout

        lines = python("-m", "paddle_ft", "publish", str(run), "--to", hub, "--repo", REPO).partition("\n\n")[2]
        assert lines.startswith("from paddlenlp.transformers import DistilBertForSequenceClassification, ")
        python("-c", lines + COMPARE, str(run / "best"))
        assert any("safetensors" in request and not request.startswith("PUT") for request in hubs.requests)
