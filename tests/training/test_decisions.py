"""Test that what is decided for the user is said once in the header and kept in results.json, the report and the model card."""

import json
import re
import shutil

import pytest

from paddle_ft.api.run import load_run
from paddle_ft.config.load import load_config
from paddle_ft.runs import inference
from paddle_ft.system import plugins
from paddle_ft.system.plugins import import_user_modules
from paddle_ft.training import run as training_run
from tests.support.tiny_runs import PAIRS, overrides, train

# A reader that chooses something for the user: what is between the two texts.
READER = """
from paddle_ft.data.readers.base import Reader
from paddle_ft.data.rows import make_row


def read(file, fields):
    for line, (text, problem) in enumerate(file.lines(), start=1):
        if line == 1:
            fields.decide(f"{file.path}: its texts are separated by {text[0]!r}")
        else:
            parts = dict(zip(("target", "source", "text"), text.split(";") if ";" in text else ["", "", text]))
            yield line, make_row({name: parts[name] for name in fields.names if parts.get(name)}, fields)


READER = Reader((".chosen",), read)
"""
DECISION = re.compile(r"^decision: (.*)$", re.MULTILINE)
TOKENIZER = (
    "the tokenizer is new, made of the characters of the training texts: 58 tokens (model.new_vocabulary=N makes one of words"
    " and parts of words)"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with two files, about each of which its reader makes a decision."""
    folder = tmp_path_factory.mktemp("some one")
    (folder / "deciding_reader.py").write_text(READER)
    for name in ("train", "dev"):
        (folder / f"{name}.chosen").write_text(";\n" + "".join(f"{target};{source}\n" for source, target in PAIRS))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setattr(plugins, "_USER_MODULES", [])
        import_user_modules(["deciding_reader"])
        yield folder


@pytest.fixture(scope="module")
def settings(folder):
    return [f"data.train={folder}/train.chosen", *(f"data.{split}={folder}/dev.chosen" for split in ("validation", "test")),
            "data.columns={}", "train.max_steps=1", "eval.before_training=false"]  # fmt: skip


@pytest.fixture(scope="module")
def run(folder, settings):
    return train(folder, *settings)


def about_files(folder) -> list[str]:
    return [f"{folder}/{name}.chosen: its texts are separated by ';'" for name in ("train", "dev")]


def expected(folder) -> list[str]:
    """Return what is decided about the files, and then about the model."""
    return [*about_files(folder), TOKENIZER]


def test_the_header_says_each_decision_once_also_when_a_run_goes_on(folder, settings, tmp_path, capsys):
    train(tmp_path, *settings)
    assert DECISION.findall(capsys.readouterr().err) == expected(folder)
    train(tmp_path, *settings, "eval.bootstrap_samples=200", resume=True)
    assert DECISION.findall(capsys.readouterr().err) == about_files(folder)
    assert json.loads((tmp_path / "run" / "results.json").read_text())["decisions"] == expected(folder)


def test_check_says_it(folder, settings, tmp_path, capsys):
    training_run.check(load_config("bart_lcsts", overrides(tmp_path, *settings)))
    assert DECISION.findall(capsys.readouterr().err) == expected(folder)


def test_results(run, folder):
    results = run.results()
    assert results["decisions"] == expected(folder)
    assert not any("decisions" in facts for facts in results["data"].values() if isinstance(facts, dict))


def test_the_report_and_a_notebook_show_it(run, folder):
    report = (run / "report.html").read_text(encoding="utf-8")
    [listed] = re.findall(r"<h2>Decisions</h2>.*?<ul>(.*?)</ul>", report, re.DOTALL)
    assert re.findall(r"<li>(.*?)</li>", listed) == [text.replace("'", "&#39;") for text in expected(folder)]
    assert f"Decision: {expected(folder)[0]}".replace("'", "&#39;") in load_run(str(run.path))._repr_html_()


def test_the_model_card_lists_it_without_the_folders_of_this_machine(run, folder):
    card = (run / "best" / "README.md").read_text(encoding="utf-8")
    assert "- train.chosen: its texts are separated by ';'\n- dev.chosen: its texts are separated by ';'\n" in card
    assert str(folder.parent) not in card and "some one" not in card


def test_a_run_without_decisions_shows_none(run, tmp_path):
    pretrained = [f"model.pretrained={run / 'best'}", "model.config=null"]
    run = train(tmp_path, *pretrained, "train.max_steps=1", "eval.before_training=false")
    assert run.results()["decisions"] == []
    assert "<h2>Decisions</h2>" not in (run / "report.html").read_text(encoding="utf-8")
    assert "chose by itself" not in (run / "best" / "README.md").read_text(encoding="utf-8")


def test_evaluate_and_predict_say_what_was_decided_about_their_files(run, folder, tmp_path, capsys):
    shutil.copy(folder / "dev.chosen", tmp_path / "new.chosen")
    (tmp_path / "texts.chosen").write_text(";\nab\n今天\n", encoding="utf-8")
    inference.evaluate(str(run.path), "test", [f"data.test={tmp_path}/new.chosen", f"data.train={tmp_path}/absent.chosen"], None)
    assert DECISION.findall(capsys.readouterr().err) == [f"{tmp_path}/new.chosen: its texts are separated by ';'"]
    inference.predict(str(run.path), f"{tmp_path}/texts.chosen", f"{tmp_path}/out.jsonl", [])
    assert DECISION.findall(capsys.readouterr().err) == [f"{tmp_path}/texts.chosen: its texts are separated by ';'"]
