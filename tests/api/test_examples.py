"""Run the examples of the Python API: those of docs/api.md, and those in docstrings, with tiny recipes and checkpoints."""

import doctest
import re

import pytest

import convert
import paddle_ft
from tests.support.checkpoints import unpack
from tests.support.pages import read
from tests.support.tiny_recipes import write_recipes

BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", read("docs/api.md"), re.MULTILINE | re.DOTALL)
# in the order in which a user calls them
EXAMPLES = [
    paddle_ft.train, paddle_ft.load_run, paddle_ft.Run.predict, paddle_ft.Run.evaluate, paddle_ft.Run.generate,
    convert.to_paddle, convert.to_hf, convert.verify, convert.inspect,
]  # fmt: skip


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """Return a working directory with everything that the examples name."""
    monkeypatch.chdir(tmp_path)
    write_recipes(tmp_path)
    unpack("bart", tmp_path / "bart")
    (tmp_path / "bart" / "seq2seq").rename(tmp_path / "bart-base-hf")
    unpack("tokenizers", tmp_path / "tokenizers")
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / "tokenizers" / "bart" / name).rename(tmp_path / "bart-base-hf" / name)
    return tmp_path


def test_the_page(workplace, capsys):
    """Every block of code runs, in the order of the page."""
    assert len(BLOCKS) >= 8 and {language for language, _ in BLOCKS} == {"python"}
    names: dict = {}
    paddle_ft.train("distilbert_qqp", sample=True)
    paddle_ft.train("gpt2_booksum", sample=True)
    for _, code in BLOCKS:
        exec(compile(code, "docs/api.md", "exec"), names)
    output = capsys.readouterr().out
    assert "Did you mean train.learning_rate?" in output
    assert "BartForConditionalGeneration" in output and "\nTrue\n" in output
    assert "rougeL" in output and "lead" in output
    assert len(names["rows"]) == 2 and len(names["evaluation"].predictions) == 3


def test_the_docstrings(workplace):
    paddle_ft.train("gpt2_booksum", sample=True)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    names: dict = {"convert": convert}
    for function in EXAMPLES:
        [example] = finder.find(function, function.__qualname__, globs=names)
        assert example.examples, f"{function.__qualname__} has no example"
        example.globs = names  # not a copy: an example uses what an earlier one has made
        assert runner.run(example, clear_globs=False).failed == 0, f"the example of {function.__qualname__} fails"
