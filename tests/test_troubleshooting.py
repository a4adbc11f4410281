"""Raise every message that docs/troubleshooting.md quotes, so that the page says what the program says."""

import functools
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from convert.__main__ import main as convert_main
from paddle_ft import cli
from paddle_ft.config.load import load_config
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.doctor import verdicts
from paddle_ft.system.errors import UserError
from setup import install
from tests.support.checkpoints import change_config, change_tensors, unpack
from tests.support.examples import run_command
from tests.support.pages import read

PAGE = read("docs/troubleshooting.md")
UNREACHABLE = "http://127.0.0.1:9"  # nothing listens on this port
# a training of seconds, from scratch
SMALL = ("--config", "distilbert_sst2", "--sample", "device=cpu", "data.source=null", "model.new_vocabulary=50", "output_dir=run",
         "train.num_train_epochs=1", "eval.bootstrap_samples=100")  # fmt: skip
FULL_TRAINING = ("paddle_ft", "train", "--config", "distilbert_sst2", "device=cpu")  # names what is missing in one message
ROWS = b"text,label\ngood film,good\nbad film,bad\n"


def quoted() -> dict[str, list[str]]:
    """Return heading -> the messages that are quoted below it."""
    parts = re.split(r"^### (.*)$", PAGE, flags=re.MULTILINE)[1:]
    sections = zip(parts[::2], parts[1::2], strict=True)
    found = {heading: re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for heading, text in sections}
    return {heading: messages for heading, messages in found.items() if messages}


def printed(capsys, command: Callable[[list[str]], int], *arguments: str) -> str:
    """Run a command in this process, which must end with exit code 2. Return what it prints on standard error."""
    assert command(list(arguments)) == 2
    return capsys.readouterr().err


def train(capsys, *arguments: str) -> str:
    return printed(capsys, cli.main, "train", *SMALL, *arguments)


def news(capsys, content: bytes, *settings: str) -> str:
    """Return the message of a training on this news.csv."""
    Path("news.csv").write_bytes(content)
    Path("ok.csv").write_bytes(ROWS)
    return train(capsys, "data.train=news.csv", "data.validation=ok.csv", "task.labels=null", *settings)


def rows_in_an_object(capsys) -> str:
    rows = [{"text": "good film", "label": "good"}, {"text": "bad film", "label": "bad"}]
    Path("news.json").write_text(json.dumps({"version": "1.0", "data": rows}))
    return train(capsys, "data.train=news.json", "task.labels=null")


def doctor(checks: list[verdicts.Check]) -> str:
    """Return checks as the doctor prints them."""
    return "\n".join(f"{check.level:<8} {check.name:<14} {check.text}\n{'':<23} -> {check.remedy}" for check in checks)


def setup_failure(monkeypatch, output: str) -> str:
    """Return what `make setup` says when pip has printed this."""
    monkeypatch.setattr(install, "ROOT", Path.cwd())
    monkeypatch.setattr(install, "LOG", Path.cwd() / ".venv" / "setup.log")
    install.LOG.parent.mkdir()
    install.LOG.write_text(f"$ pip install\n{output}\n")
    return install.explain_failure("installing packages with pip")


def setup_problem(monkeypatch, **changes) -> str:
    for name, value in changes.items():
        monkeypatch.setattr(install, name, value)
    return f"error: {install.find_problem(install.LOCKS / 'cpu.lock', 'auto')}"


def conversion(capsys, **changes) -> str:
    """Return the message of a conversion of a BERT whose config.json has these changes."""
    unpack("bert", Path.cwd())
    change_config(Path("base"), **changes)
    return printed(capsys, convert_main, "to-paddle", "base", "out")


def a_tensor_too_many(capsys) -> str:
    unpack("bert", Path.cwd())
    change_tensors(Path("base"), lambda arrays: arrays.update({"species.weight": np.ones((3, 8), "f4")}))
    return printed(capsys, convert_main, "to-paddle", "base", "out")


def adapter_alone(capsys) -> str:
    Path("adapter").mkdir()
    Path("adapter/adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "bert-base-uncased"}')
    return printed(capsys, convert_main, "to-paddle", "adapter", "out")


def finished_run(capsys) -> None:
    """Leave the files of a run behind: a training refuses or resumes it before it reads any more of it."""
    config = load_config("distilbert_sst2", [*SMALL[3:], "data.train=ok.csv"], sample=True)
    from paddle_ft.config.describe import to_yaml

    Path("ok.csv").write_bytes(ROWS)
    Path("run").mkdir()
    Path("run/config.yaml").write_text(to_yaml(config))


def existing_run(capsys, monkeypatch) -> list[str]:
    finished_run(capsys)
    return [train(capsys, "data.train=ok.csv")]


def other_settings(capsys, monkeypatch) -> list[str]:
    finished_run(capsys)
    return [train(capsys, "data.train=ok.csv", "--resume", "train.learning_rate=3e-5")]


def longer_run(capsys, monkeypatch) -> list[str]:
    finished_run(capsys)
    Path("run/last/trainer").mkdir(parents=True)
    Path("run/last/trainer/state.json").write_text('{"step": 120}')
    return [train(capsys, "data.train=ok.csv", "--resume", "train.num_train_epochs=2")]


def busy_run(capsys, monkeypatch) -> list[str]:
    Path("ok.csv").write_bytes(ROWS)
    run = RunDirectory.open_for_training("run", resume=False, overwrite=False)
    try:
        return [train(capsys, "data.train=ok.csv")]
    finally:
        run.release()


def small_disk(capsys, monkeypatch) -> list[str]:
    from paddle_ft.training.checkpoint import check_space

    Path("run").mkdir()
    with pytest.raises(UserError) as error:
        check_space(Path("run"), parameters=10**15, keep=1)
    return [f"error: {error.value}"]


def out_of_memory(capsys, monkeypatch) -> list[str]:
    from paddle_ft.training.preflight import explained_memory_errors

    with pytest.raises(UserError) as error, explained_memory_errors():
        raise MemoryError
    return [f"error: {error.value}"]


@functools.cache
def offline(*arguments: str) -> str:
    """Run a command in a process of its own that can reach no host. Return what it prints on standard error."""
    unreachable = {"HF_ENDPOINT": UNREACHABLE, "PADDLE_FT_MIRROR": UNREACHABLE}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for name, value in unreachable.items():
            patch.setenv(name, value)
        text = run_command(Path(folder), "-m", *arguments, exit_code=2, afresh=True).stderr
    return text.replace(f"{UNREACHABLE}/paddlenlp", "https://bj.bcebos.com/paddlenlp").replace(
        UNREACHABLE, "https://huggingface.co"
    )


def missing_package(capsys, monkeypatch) -> list[str]:
    from paddle_ft.commands import doctor as command

    def run(options):
        raise ModuleNotFoundError("No module named 'paddlenlp'", name="paddlenlp")

    monkeypatch.setattr(command, "run", run)
    return [printed(capsys, cli.main, "doctor")]


def misspelt(capsys, monkeypatch) -> list[str]:
    settings = ("train.learnin_rate=1", "train.train_batch_size=x")
    return [printed(capsys, cli.main, "train", "--config", "bart_lcsts", *settings)]


def invalid_yaml(capsys, monkeypatch) -> list[str]:
    Path("my_recipe.yaml").write_text("extends: bart_lcsts\ntrain:\n    learning_rate: 1e-4\n  max_steps: 10\n")
    return [printed(capsys, cli.main, "train", "--config", "my_recipe.yaml")]


def chinese_rouge(capsys, monkeypatch) -> list[str]:
    from rouge_score.rouge_scorer import RougeScorer

    from paddle_ft.metrics.rouge import rouge

    assert rouge(["今天下雨"], ["今天下雨"])[0]["rouge1"] == 100
    return [str(RougeScorer(["rouge1"]).score("今天下雨", "今天下雨")["rouge1"])]


def wandb_without_a_key(capsys, monkeypatch) -> list[str]:
    from paddle_ft.training.trackers import Trackers

    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(Path.cwd() / "netrc"))
    monkeypatch.setenv("WANDB_DIR", str(Path.cwd()))
    config = load_config("distilbert_sst2", ["tracking.wandb=online"])
    with Trackers(config, Path.cwd()) as trackers:
        assert trackers.active == []
    return [capsys.readouterr().err]


GPU_BUILD = {"paddle": "3.3.1", "paddlenlp": "3.0.0b4", "cuda": "12.6", "cudnn": "9.5.1", "gpus": []}
GBK = "text,label\n好看,1\n难看,0\n".encode("gbk")
PYTHON_313 = SimpleNamespace(version_info=(3, 13, 1), version="3.13.1 (main)")
NAMED = ("task.labels=[negative, positive]",)
# heading -> a function of (capsys, monkeypatch) that returns the texts in which the messages of the page must be found, in order
SCENARIOS: dict[str, Callable] = {
    "Python is too old or too new": lambda c, m: [setup_problem(m, sys=PYTHON_313)],
    "A package is not installed": missing_package,
    "Versions that do not go together": lambda c, m: [
        doctor(verdicts.check_pairs({"paddlenlp": "3.0.0b4", "paddle": "3.3.1", "aistudio-sdk": "0.3.0"}))
    ],
    "The package index cannot be reached": lambda c, m: [setup_failure(m, "ERROR: connection timed out")],
    "The requirements have changed": lambda c, m: [setup_problem(m, requirements_digest=lambda: "another")],
    "paddlepaddle-gpu is not found": lambda c, m: [
        setup_failure(m, "ERROR: No matching distribution found for paddlepaddle-gpu==3.3.1")
    ],
    "Both builds of Paddle are installed": lambda c, m: [
        doctor(verdicts.check_pairs({"paddlepaddle": "3.3.1", "paddlepaddle-gpu": "3.3.1"}))
    ],
    "Paddle sees no GPU": lambda c, m: [doctor(verdicts.check_import(GPU_BUILD, None, [{}]))],
    "The CPU build is installed": lambda c, m: [news(c, ROWS, "device=gpu")],
    "Mixed precision on a CPU": lambda c, m: [news(c, ROWS, "train.use_amp=true")],
    "The Hugging Face hub cannot be reached": lambda c, m: [offline(*FULL_TRAINING)],
    "Files of a model are missing": lambda c, m: [offline(*FULL_TRAINING)],
    "A checkpoint of the hub cannot be downloaded": lambda c, m: [offline("convert", "to-paddle", "facebook/bart-base", "out")],
    "No such file": lambda c, m: [news(c, ROWS, "data.train=nothing.csv")],
    "A column has another name": lambda c, m: [news(c, b"review,label\ngood film,good\n")],
    "The file is not in UTF-8": lambda c, m: [news(c, GBK)],
    "The rows are inside a JSON object": lambda c, m: [rows_in_an_object(c)],
    "The file is empty": lambda c, m: [news(c, b""), news(c, b"text,label\n")],
    "Bad rows": lambda c, m: [
        news(c, b"text,label\ngood film,1\n,0\nx\n"),
        news(c, b'text,label\ngood "film,1\n"bad,0\n'),
    ],
    "The labels do not fit": lambda c, m: [news(c, ROWS, *NAMED)],
    "Only one class": lambda c, m: [news(c, b"text,label\ngood film,good\nbad film,good\n")],
    "A key is misspelt": misspelt,
    "The YAML is not valid": invalid_yaml,
    "The directory already contains a run": existing_run,
    "Resume is refused": other_settings,
    "A longer training is refused": longer_run,
    "There is nothing to resume": lambda c, m: [news(c, ROWS, "--resume")],
    "Another process is training there": busy_run,
    "The disk is too small": small_disk,
    "Out of memory": out_of_memory,
    "/dev/shm is small": lambda c, m: [doctor([verdicts.check_shared_memory(64 * 1024**2)])],
    "Training on a CPU is slow": lambda c, m: [
        doctor([verdicts.check_threads(16, "1")]),
        doctor([verdicts.check_mkl("5", None)]),
    ],
    "ROUGE is 0 for Chinese in other programs": chinese_rouge,
    "A field cannot be expressed": lambda c, m: [conversion(c, hidden_act="gelu_new")],
    "An unknown field": lambda c, m: [conversion(c, use_rotary_embedding=True)],
    "Tensors without a place": lambda c, m: [a_tensor_too_many(c)],
    "An adapter without its model": lambda c, m: [adapter_alone(c)],
    "The head has no counterpart": lambda c, m: [conversion(c, architectures=["BertLMHeadModel"])],
    "The family is not supported": lambda c, m: [conversion(c, model_type="llama")],
    "wandb is switched off": wandb_without_a_key,
}


def test_every_quoted_message_has_a_scenario():
    assert set(quoted()) == set(SCENARIOS)


@pytest.mark.parametrize("heading", SCENARIOS)
def test_the_program_says_what_the_page_quotes(heading, tmp_path, monkeypatch, capsys):
    """`...` on the page stands for any text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "cache"))
    texts = SCENARIOS[heading](capsys, monkeypatch)
    for message, text in zip(quoted()[heading], texts, strict=True):
        pattern = ".*?".join(re.escape(" ".join(part.split())) for part in message.split("..."))
        assert re.search(pattern.replace(r"\ .*?", ".*?"), " ".join(text.split())), f"the page:\n{message}\nthe program:\n{text}"


def test_a_message_that_the_program_does_not_say_is_found(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(SCENARIOS, "The file is empty", lambda c, m: ["error: news.csv: nothing in it", ""])
    with pytest.raises(AssertionError, match="the page:"):
        test_the_program_says_what_the_page_quotes("The file is empty", tmp_path, monkeypatch, capsys)
