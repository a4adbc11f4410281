"""Look for secrets of the environment in everything that commands print and write, also where they fail."""

import os
from pathlib import Path

import pytest

from tests.support.faults import run_afresh

pytestmark = pytest.mark.slow

CLOSED = "127.0.0.1:9"  # the discard port: nothing listens
WORDS = ("hunter2proxy", "hunter2mirror", "hunter2hub", "hunter2index")
ENVIRONMENT = {
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "HF_TOKEN": "hf_hunter2token",
    "AISTUDIO_ACCESS_TOKEN": "hunter2aistudio",
    "HTTP_PROXY": f"http://me:{WORDS[0]}@{CLOSED}",
    "HTTPS_PROXY": f"http://me:{WORDS[0]}@{CLOSED}",
    "PADDLE_FT_MIRROR": f"http://me:{WORDS[1]}@{CLOSED}",
    "HF_ENDPOINT": f"http://me:{WORDS[2]}@{CLOSED}",
    "PIP_INDEX_URL": f"https://me:{WORDS[3]}@{CLOSED}/simple",
}
SECRETS = [*WORDS, *(ENVIRONMENT[name] for name in ("WANDB_API_KEY", "HF_TOKEN", "AISTUDIO_ACCESS_TOKEN"))]


def leaks(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def leaking_files(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(secret.encode() in path.read_bytes() for secret in SECRETS)]


@pytest.fixture
def environment(tmp_path):
    return {**ENVIRONMENT, "PADDLE_FT_HOME": str(tmp_path / "home"), "HOME": str(tmp_path), "NO_PROXY": "", "no_proxy": ""}


def test_a_training_and_what_follows_it(training, environment, tmp_path):
    settings = ("tracking.wandb=offline", "tracking.visualdl=true", "train.max_steps=2")
    commands = [
        ("train", *training.arguments, *settings), ("evaluate", str(training.run)), ("report", str(training.run)), ("doctor",),
    ]  # fmt: skip
    for command in commands:
        result = run_afresh(*command, environment=environment)
        assert result.code == 0 or command == ("doctor",), result.errors
        assert not leaks(result.output + result.errors), command
    assert (training.run / "best" / "README.md").is_file() and list(training.run.glob("wandb/offline-run-*"))
    assert not leaking_files(tmp_path)


@pytest.mark.parametrize(
    ("command", "changes"),
    [
        (("train", "--config", "distilbert_imdb_cls", "data.source=booksummaries", "task.name=causal_lm"), {}),
        (("train", "--config", "gpt2_booksum"), {}),
        (("train", "--config", "gpt2_booksum"), {"PADDLE_FT_MIRROR": ""}),
        (("train", "--config", "gpt2_booksum"), {"PADDLE_FT_MIRROR": "", "HTTPS_PROXY": f"http://me:{WORDS[0]}@[bad"}),
        (("train", "--config", "bart_lcsts"), {"NO_PROXY": "*"}),
        (("train", "--config", "bart_lcsts"), {}),
    ],
)
def test_what_fails(command, changes, environment, tmp_path):
    result = run_afresh(*command, f"output_dir={tmp_path}/run", environment={**environment, **changes}, timeout=300)
    assert result.code == 2, result.errors
    assert not leaks(result.output + result.errors)
    assert not leaking_files(tmp_path)


@pytest.mark.parametrize("hub", ["huggingface", "aistudio"])
def test_publishing_that_fails(hub, training, environment, tmp_path):
    training.start("train.max_steps=2").check()
    result = run_afresh("publish", str(training.run), "--to", hub, "--repo", "me/model", environment=environment, timeout=300)
    assert result.code == 2, result.errors
    assert not leaks(result.output + result.errors)
    assert not leaking_files(tmp_path)


def test_a_secret_would_be_found(tmp_path):
    (tmp_path / "file").write_bytes(b"x" + ENVIRONMENT["HF_TOKEN"].encode())
    assert leaking_files(tmp_path) == [os.path.join(tmp_path, "file")] and leaks(f"a {WORDS[1]}") == [WORDS[1]]
