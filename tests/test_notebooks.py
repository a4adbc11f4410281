"""Test the notebooks: they are what their sources say, both languages run the same code, and every one runs from a clean kernel."""

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from notebooks import build
from tests.support.paths import ROOT

NAMES = sorted(path.stem for path in (build.FOLDER / "source").glob("*.md"))


# ---------------------------------------------------------------------------------------------------- the files
def test_notebooks_are_what_the_sources_say():
    contents = build.notebooks()
    assert {path.name for path in build.FOLDER.glob("*.ipynb")} == {path.name for path in contents}
    stale = [path.name for path, content in contents.items() if path.read_text(encoding="utf-8") != content]
    assert stale == [], "make notebooks writes them again"


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_run_the_same_code(name):
    chinese, english = (read(f"{name}{suffix}") for suffix in ("", "_en"))
    for notebook in (chinese, english):
        nbformat.validate(notebook)
        assert not any(cell.get("outputs") for cell in notebook.cells)
    code = [[cell.source for cell in notebook.cells if cell.cell_type == "code"] for notebook in (chinese, english)]
    assert code[0] == code[1] and len(code[0]) >= 3
    assert [cell.cell_type for cell in chinese.cells] == [cell.cell_type for cell in english.cells]
    texts = ["".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown") for notebook in (chinese, english)]
    assert re.search("[\u4e00-\u9fff]", texts[0]) and not re.search("[\u4e00-\u9fff]", texts[1])


def test_code_compiles():
    for path in build.notebooks():
        for cell in read(path.stem).cells:
            if cell.cell_type == "code":
                compile(re.sub(r"^!.*", "", cell.source, flags=re.MULTILINE), path.name, "exec")


@pytest.mark.parametrize(
    "text", ["<!-- zh -->\nonly one\n", "<!-- en -->\nEnglish\n<!-- zh -->\n中文\n", "nowhere\n<!-- zh -->\na\n<!-- en -->\nb\n"]
)
def test_a_source_with_a_missing_language_is_refused(text):
    with pytest.raises(ValueError, match=r"in both languages|neither below"):
        build.read_source(text)


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(build.FOLDER / f"{name}.ipynb", as_version=4)


# ---------------------------------------------------------------------------------------------------- running them
class Executed:
    """A notebook after it has run in a folder of its own, with a kernel that this test has started."""

    def __init__(self, name: str, folder: Path, monkeypatch):
        for part in ("paddle_ft", "convert", "setup"):  # the notebook finds them in the folder above its own
            (folder / part).symlink_to(ROOT / part, target_is_directory=True)
        folder = folder / "notebooks"
        folder.mkdir()
        monkeypatch.delenv("PYTHONPATH", raising=False)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.delenv("PADDLE_FT_HOME", raising=False)
        shutil.copy(build.FOLDER / f"{name}.ipynb", folder)
        notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
        client = NotebookClient(notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
        self.cells = client.execute().cells
        self.runs = folder / "work" / "runs"
        outputs = [output for cell in self.cells for output in cell.get("outputs", [])]
        assert [output for output in outputs if output.output_type == "error"] == []
        self.printed = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
        self.shown = [output.data for output in outputs if output.output_type in ("display_data", "execute_result")]
        self.html = [data["text/html"] for data in self.shown if "text/html" in data]
        self.images = [base64.b64decode(data["image/png"]) for data in self.shown if "image/png" in data]

    def results(self, run: str) -> dict:
        return json.loads((self.runs / run / "results.json").read_text(encoding="utf-8"))


@pytest.fixture
def execute(tmp_path, monkeypatch):
    return lambda name: Executed(name, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quickstart", "quickstart_en"])
def test_quickstart(execute, name):
    """The quickstart in both languages, because it is what newcomers open. Of the others the code is the same in both."""
    done = execute(name)
    assert "errors: 0" in done.printed  # doctor
    sample = done.results("sample")
    assert sample["status"] == "finished" and sample["metrics"]["test"]["rougeL"] > 50
    [first, *_] = done.html
    assert f"{sample['metrics']['test']['rougeL']:.2f}" in first
    assert 'src="data:image/png;base64,' in first  # the curves
    assert done.images and all(image.startswith(b"\x89PNG") for image in done.images)
    assert len(re.findall(" -> ", done.printed)) >= 3  # predictions
    assert "same weights after the way there and back: True" in done.printed
    assert re.search(r"\['vdlrecords\.", done.printed)  # VisualDL's file
    assert "the process ended with -9" in done.printed and "resuming at step" in done.printed
    assert "same weights as the training that was never cut: True" in done.printed
    weights = [(done.runs / run / "best" / "model.safetensors").read_bytes() for run in ("small", "cut")]
    assert hashlib.sha256(weights[0]).digest() == hashlib.sha256(weights[1]).digest()
    assert "its answer: 200" in done.printed  # the demo page


@pytest.mark.slow
def test_sst2_and_qqp(execute):
    done = execute("sst2_qqp")
    for run in ("sst2_False", "qqp_False"):
        assert done.results(run)["metrics"]["test"]["accuracy"] > 65
    assert len(done.html) == 2 and done.printed.count("'probability'") == 4


@pytest.mark.slow
def test_imdb(execute):
    done = execute("imdb")
    mlm = done.results("imdb_mlm_False")
    assert mlm["metrics"]["test"]["perplexity"] < mlm["before_training"]["test"]["perplexity"] / 2
    assert {"original", "adapted"} == set(re.findall(r"(?:^|\r)(\w+) accuracy [\d.]+$", done.printed, re.MULTILINE))
    assert done.results("imdb_adapted_False")["metrics"]["test"]["accuracy"] > 65


@pytest.mark.slow
def test_lyrics(execute):
    done = execute("lyrics")
    lyrics = done.results("lyrics_False")
    assert lyrics["metrics"]["test"]["perplexity"] < lyrics["before_training"]["test"]["perplexity"] / 2
    assert done.printed.count("I woke up in the morning") == 2


@pytest.mark.slow
def test_book_summaries(execute):
    done = execute("book_summaries")
    books = done.results("books_False")
    assert books["metrics"]["test"]["perplexity"] < books["before_training"]["test"]["perplexity"] / 2
    assert len(done.html) == 1 and len(done.printed.strip().splitlines()[-1]) > 20
