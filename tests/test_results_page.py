"""Test that docs/results.md is what its entries give, that other pages repeat its figures, and how entries are measured."""

import json
import re
import sys

import pytest

from docs.results import render
from docs.results.__main__ import chosen, main, unknown
from docs.results.entry import Entry, Figure, Measured, load_entries
from docs.results.run import figures_of_repeat, figures_of_train, missing, read_results, run, script
from paddle_ft.config.recipes import recipe_names
from tests.support.pages import read

ENTRIES = load_entries()


def numbers(text: str) -> set[float]:
    return {float(found.replace(",", "")) for found in re.findall(r"\d[\d.,]*\d|\d", text)}


def figures(recipe: str) -> set[float]:
    """Return the measured values of a recipe's entries, before and after training, and of their baselines."""
    of_recipe = [entry.measured for entry in ENTRIES if entry.recipe == recipe and entry.measured]
    every = [values for measured in of_recipe for values in measured.figures.values()]
    return {values[name] for values in every for name in ("value", "before", "baseline") if name in values}


def readme_rows() -> dict[str, dict[str, str]]:
    """Return recipe -> column -> cell of the README's table of the recipes."""
    lines = [line.strip("| ") for line in read("README.md").splitlines() if line.startswith("| ") and line.count(" | ") == 6]
    header, _, *rows = [line.split(" | ") for line in lines]
    return {row[0].strip("`"): dict(zip(header, row, strict=True)) for row in rows}


def test_the_page_is_what_its_entries_give():
    assert render.page(ENTRIES) == read("docs/results.md"), "run: make results"


def test_every_recipe_has_a_row_and_a_command():
    assert {entry.recipe for entry in ENTRIES if not entry.title and entry.recipe} == set(recipe_names())
    assert all(
        entry.command.startswith(f"python train.py --config {entry.recipe}") for entry in ENTRIES if entry.name in recipe_names()
    )


def test_the_readme_has_the_figures_of_the_entries():
    rows = readme_rows()
    assert {entry.recipe: entry.tutorial for entry in ENTRIES if not entry.title and entry.recipe} == {
        recipe: row["tutorial's figure"] for recipe, row in rows.items()
    }
    measured = {recipe: numbers(row["ours"]) for recipe, row in rows.items()}
    assert sum(map(len, measured.values())) > 8
    assert {recipe: found - figures(recipe) for recipe, found in measured.items() if found - figures(recipe)} == {}


def test_the_page_on_own_data_has_the_whole_run():
    [entry] = [entry for entry in ENTRIES if entry.name == "lcsts_small"]
    page = read("docs/own-data.md")
    assert entry.command.strip() in page
    values = entry.measured.figures["rougeL on val.tsv"]
    assert numbers(render.figure_text(values)) | numbers(render.figure_text(values, "baseline", "baseline_interval")) <= numbers(
        page
    )


def test_what_nobody_has_run_is_an_empty_cell_with_its_command():
    row = next(line for line in render.overview(ENTRIES).splitlines() if line.startswith("| `bert_sst2`"))
    assert row == "| `bert_sst2` | accuracy 87 / 87 |  | `python train.py --config bert_sst2` |  |"
    figure = Figure(metric="accuracy")
    assert render.figures_table([figure], None).splitlines()[-1] == "| accuracy, validation |  |"
    assert render.facts(Entry(name="x", model="BERT")) == "BERT; nobody has run it."


def test_a_section_without_figures_of_its_own_is_no_stand_in_of_the_overview():
    """A study has tables. Its model alone in the cell would look like a figure that is missing."""
    measured = Measured(date="", machine="", versions="", figures={"accuracy": {"value": 80.0}})
    section = {"recipe": "one", "title": "x", "stand_in": "small"}
    entries = [
        Entry(name="one", recipe="one", command="run"),
        Entry(name="study", model="tiny", **section),
        Entry(name="run", model="mini", figures=[Figure(metric="accuracy", label="accuracy")], measured=measured, **section),
    ]
    assert render.overview(entries).splitlines()[-1] == "| `one` |  |  | `run` | mini: accuracy 80 |"


def test_figures_and_their_intervals():
    figure = Figure(metric="perplexity", label="perplexity", baseline="unigrams")
    values = {"value": 71.3456, "interval": [67.4, 75.25], "before": 34445.2, "baseline": 802.4, "baseline_interval": [700, 900.5]}
    measured = Measured(date="2026-11-20", machine="x", versions="y", figures={"perplexity": values})
    assert render.figures_table([figure], measured).splitlines() == [
        "| | after training | before training | baseline |",
        "| --- | ---: | ---: | ---: |",
        "| perplexity | 71.35 [67.4, 75.2] | 34,445 | 802.4 [700, 900] (unigrams) |",
    ]


# -------------------------------------------------------------------------------------------------- measuring
@pytest.fixture
def stored(tmp_path):
    """Return a function that makes an entry in an empty folder."""
    return lambda **fields: Entry(name="one", path=tmp_path / "one.yaml", **fields)


def test_a_command_gets_the_readers_files_and_directories(stored):
    command = "python train.py model=TINY a=imdb/x.jsonl b=other/imdb/x.jsonl\npython -m x TINYS DATA"
    entry = stored(command=command, files=["imdb/x.jsonl"], models=["TINY"])
    assert script(entry, {"DATA": "/d", "TINY": "/t"}) == (
        f"{sys.executable} train.py model=/t a=/d/imdb/x.jsonl b=other/imdb/x.jsonl\n{sys.executable} -m x TINYS /d"
    )


def test_what_is_missing_is_named_and_nothing_is_run(stored, tmp_path):
    entry = stored(command="exit 1", files=["a.tsv"], models=["MINILM"])
    assert missing(entry, {}) == ["--set MINILM=PATH", "--data FOLDER"]
    assert run(entry, {"MINILM": "x", "DATA": str(tmp_path)}) == f"not run; missing: {tmp_path}/a.tsv"
    (tmp_path / "a.tsv").touch()
    assert run(entry, {"MINILM": "x", "DATA": str(tmp_path)}) == "failed with exit code 1; its message is above"
    assert not (tmp_path / "one.json").exists()


def test_the_last_table_that_a_command_prints_is_stored(stored, tmp_path):
    entry = stored(kind="table", command="printf 'noise\\n| old |\\n\\n| a |\\n| --- |\\n| 1 |\\n\\n- seeds 1, 2\\nmore\\n'")
    assert run(entry, {}) == f"measured, written to {tmp_path / 'one.json'}"
    measured = json.loads((tmp_path / "one.json").read_text())["one"]
    assert measured["table"] == "| a |\n| --- |\n| 1 |\n\n- seeds 1, 2"
    assert measured["versions"].startswith("paddlepaddle 3.")


def test_all_tables_that_a_command_prints_are_stored():
    entry = Entry(name="x", kind="tables")
    assert (
        read_results(entry, "# a\n| old |\n| --- |\n\ntext\n\n| a |\n| --- |\n| 1 |\n").table
        == "| old |\n| --- |\n\n| a |\n| --- |\n| 1 |"
    )


def test_figures_come_from_the_results_of_the_run(stored, tmp_path):
    entry = stored(run=str(tmp_path), figures=[Figure(metric="accuracy")])
    results = {
        "seed": 7,
        "data": {"train": {"rows": 10}, "validation": {"rows": 5}, "classes": 2},
        "metrics": {"validation": {"accuracy": 80.0, "accuracy_ci": [70.0, 90.0]}},
        "before_training": {"validation": {"accuracy": 50.0}},
        "baseline": {"name": "majority", "validation": {"accuracy": 60.0, "accuracy_ci": [55.0, 65.0]}},
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    measured = read_results(entry, "")
    assert (measured.seeds, measured.rows) == ([7], {"train": 10, "validation": 5})
    assert measured.figures == {"accuracy, validation": {"value": 80.0, "interval": [70.0, 90.0], "before": 50.0, "baseline": 60.0,
                                                         "baseline_interval": [55.0, 65.0]}}  # fmt: skip
    assert figures_of_train(entry, results | {"before_training": {}, "baseline": {}}) == {
        "accuracy, validation": {"value": 80.0, "interval": [70.0, 90.0]}
    }


def test_figures_of_a_repetition_are_means_and_their_difference(stored):
    labels = {"first": "", "second": "1", "difference": "difference"}
    entry = stored(kind="repeat", figures=[Figure(metric="accuracy", label=label, variant=text) for label, text in labels.items()])
    mean = {name: {"validation": {"accuracy": {"mean": value}}} for name, value in (("a", 60.0), ("b", 70.0))}
    difference = {"validation": {"accuracy": {"mean": 10.0, "better": 2, "pairs": 3, "error": 1.94}}}
    results = {"runs": {"recipe": mean["a"], "variant": mean["b"]}, "differences": {"variant": difference}}
    found = figures_of_repeat(entry, results)
    assert found == {
        "first": {"value": 60.0},
        "second": {"value": 70.0},
        "difference": {"value": 10.0, "note": "better in 2 of 3, standard error 1.9"},
    }
    table = render.figures_table(entry.figures, Measured(date="", machine="", versions="", figures=found))
    assert table.splitlines()[-1] == "| difference | 10 (better in 2 of 3, standard error 1.9) |"


def test_recipes_that_need_a_gpu_are_run_only_if_they_are_named():
    names = {entry.name for entry in chosen(ENTRIES, [])}
    assert {"sst2_minilm", "same_work"} <= names and not names & set(recipe_names())
    assert [entry.name for entry in chosen(ENTRIES, ["bert_sst2"])] == ["bert_sst2"]
    assert unknown(ENTRIES, ["bert_sst2", "sst"]).startswith("sst: no such entry; they are bart_lcsts, ")
    assert unknown(ENTRIES, ["bert_sst2"]) == ""


def test_a_wrong_entry_is_named(tmp_path):
    (tmp_path / "x.yaml").write_text("name: x\nmetrics: []\n")
    with pytest.raises(SystemExit, match=r"error: .*x\.yaml: .*\nmetrics\n"):
        load_entries(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--set", "MINILMM=/x"], "--set MINILMM: no entry has this name; they are CHINESE, MINILM, PYTHON, TINY"),
     (["--data", "/not/there"], "/not/there: there is no such file or folder"),
     (["nothing"], "nothing: no such entry; they are "),
     (["sst2_minilm"], "error: nothing was run: sst2_minilm needs --set MINILM=PATH and --data FOLDER\n"),
     (["sst2_minilm", "--set", f"MINILM={__file__}"], "error: nothing was run: sst2_minilm needs --data FOLDER\n"),
     (["qqp_minilm", "sst2_minilm"], "\n  sst2_minilm needs --set MINILM=PATH and --data FOLDER\n"),
     (["--data", "."], "error: nothing was run, because something is missing:\n  ")],
)  # fmt: skip
def test_a_mistake_is_said_before_anything_is_measured(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["docs.results", "run", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize(("command", "named", "code", "said"), [
    ("printf '| a |\\n| --- |\\n'", ["one"], 0, "one: measured, written to "),
    ("printf '| a |\\n| --- |\\n'", [], 0, "two: not run; missing: --set TINY=PATH"),
    ("exit 3", ["one"], 1, "one: failed with exit code 3; its message is above"),
    ("kill -INT $PPID; sleep 5", ["one"], 130, " is written"),
])  # fmt: skip
def test_the_exit_code_says_what_became_of_the_entries(stored, command, named, code, said, tmp_path, monkeypatch, capsys):
    entries = [stored(kind="table", command=command), Entry(name="two", command="exit 1", models=["TINY"])]
    monkeypatch.setattr("docs.results.__main__.load_entries", lambda: entries)
    monkeypatch.setattr(render, "PAGE", tmp_path / "results.md")
    monkeypatch.setattr(render, "page", lambda entries: "the page")
    monkeypatch.setattr("sys.argv", ["docs.results", "run", *named])
    assert main() == code
    assert said in capsys.readouterr().out and (tmp_path / "results.md").read_text() == "the page"
