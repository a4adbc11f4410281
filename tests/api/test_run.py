"""Test paddle_ft.load_run and what a run does: predict, generate, evaluate, fill masks, and show itself."""

import json
import shutil
from pathlib import Path

import pytest

import paddle_ft
from paddle_ft import cli
from paddle_ft.runs import inference
from paddle_ft.system import installation
from tests.support.tiny_recipes import tiny_settings, write_recipes
from tests.support.tiny_runs import PAIRS, write_pairs

TEXTS = [source for source, _ in PAIRS]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> paddle_ft.Run:
    folder = tmp_path_factory.mktemp("trained")
    return paddle_ft.train("bart_lcsts", tiny_settings(folder, "train.max_steps=4"))


@pytest.fixture(scope="module")
def others(tmp_path_factory) -> Path:
    """Return a folder with runs of pairs and of a language model."""
    folder = tmp_path_factory.mktemp("others")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_recipes(folder)
        for name in ("distilbert_qqp", "gpt2_booksum"):
            paddle_ft.train(name, sample=True)
    return folder / "runs"


def test_a_run_has_its_files(trained):
    run = paddle_ft.load_run(trained.path, {"generation.num_beams": 1})
    assert run.results == json.loads((trained.path / "results.json").read_text())
    assert run.config.generation.num_beams == 1 and trained.config.generation.num_beams == 2
    assert run.plots["loss"].path == trained.path / "plots" / "loss.png"
    assert run.plots["loss"]._repr_png_().startswith(b"\x89PNG")
    before = run.report.read_bytes()
    run.report.unlink()
    assert run.write_report() == run.report and len(run.report.read_bytes()) == len(before)
    best = run.results["best"]
    assert repr(run) == f"<Run '{run.path}': bart_lcsts, finished, best rougeL {best['value']:.4g} at step {best['step']}>"


def test_predictions_are_those_of_the_command(trained, tmp_path):
    source, target = tmp_path / "texts.txt", tmp_path / "out.jsonl"
    source.write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")
    inference.predict(str(trained.path), str(source), str(target), [])
    expected = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    run = paddle_ft.load_run(str(trained.path))
    assert run.predict(TEXTS) == run.predict(iter(TEXTS)) == expected
    run.evaluate()
    assert run.predict(TEXTS[0]) == expected[:1]  # also after an evaluation, with the same model
    assert run.predict([]) == []


@pytest.mark.parametrize(("texts", "message"), [
    ([TEXTS[0], 3.5], r"text 2 is 3.5: give a text, or a tuple \(text, text_pair\)"),
    (("a", "b"), "this run takes single texts, not pairs"),
    (("a", "b", "c"), "is \\('a', 'b', 'c'\\)"),
])  # fmt: skip
def test_what_is_no_text_is_refused(trained, texts, message):
    with pytest.raises(paddle_ft.UserError, match=message):
        trained.predict(texts)


def test_an_evaluation_is_that_of_the_command(trained, tmp_path):
    split, metrics, baseline = inference.evaluate(str(trained.path), None, [], None)
    evaluation = trained.evaluate()
    assert (evaluation.split, evaluation.metrics, evaluation.baseline) == (split, metrics, baseline) and split == "test"
    assert [row["source"] for row in evaluation.predictions] == TEXTS
    own = write_pairs(tmp_path / "own.tsv", PAIRS[:3])
    other = trained.evaluate("validation", {"data.validation": own})
    assert other.split == "validation" and len(other.predictions) == 3
    assert str(other).splitlines()[0].split() == ["validation", "trained", "lead"]


@pytest.mark.parametrize(("arguments", "message"), [
    (("dev",), "'dev' is not a split: name one of train, validation, test"),
    (("test", {"data.test": "nowhere.tsv"}), "nowhere.tsv"),
    (("test", {"data.tests": "x"}), "data.tests: there is no such key"),
])  # fmt: skip
def test_a_wrong_evaluation_is_explained(trained, arguments, message):
    with pytest.raises(paddle_ft.UserError, match=message):
        trained.evaluate(*arguments)


def test_pairs_are_tuples(others):
    run = paddle_ft.load_run(others / "distilbert_qqp_sample")
    rows = run.predict(("how old are you", "what is your age"))
    assert [(row["text"], row["text_pair"]) for row in rows] == [("how old are you", "what is your age")]
    assert len(run.predict([("how old", "what age"), ("where", "which town")])) == 2


def test_generated_texts_are_those_of_the_command(others, capsys):
    path = others / "gpt2_booksum_sample"
    flags = ["--prompt", "the sea", "--top-k", "5", "--num-return", "2", "--seed", "3", "--length", "6"]
    capsys.readouterr()
    assert cli.main(["generate", str(path), *flags, "--jsonl"]) == 0
    expected = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    run = paddle_ft.load_run(path)
    assert run.generate("the sea", n=2, top_k=5, seed=3, length=6) == expected
    (row,) = run.generate("the sea", length=6, stream=True)
    assert capsys.readouterr().out == row["text"] + "\n"


@pytest.mark.parametrize(("options", "message"), [
    ({"top_q": 0.9}, "there is no option top_q. Did you mean top_p"),
    ({"top_k": "5"}, "top_k is '5': it must be a whole number"),
    ({"length": 6.5}, "length is 6.5: it must be a whole number"),
    ({"seed": 1}, "--seed: it has an effect only with sampling"),
    ({"beams": 2, "top_p": 0.9}, "choose beam search or sampling"),
    ({"seed_line": "x"}, "--seed-line is for runs of lyrics"),
    ({"stream": True, "n": 2, "top_k": 3}, "--stream shows one text"),
])  # fmt: skip
def test_options_that_do_not_fit(others, options, message):
    with pytest.raises(paddle_ft.UserError, match=message):
        paddle_ft.load_run(others / "gpt2_booksum_sample").generate(**options)


def test_other_tasks_are_named(trained):
    with pytest.raises(paddle_ft.UserError, match="a run of summarization does not write texts from prompts; use predict"):
        trained.generate()
    with pytest.raises(paddle_ft.UserError, match="is a run of summarization; only runs of masked_lm can predict masked words"):
        trained.fill_mask("a [MASK]")
    with pytest.raises(paddle_ft.UserError, match="top is 0"):
        trained.fill_mask("a [MASK]", top=0)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(paddle_ft.UserError, match="this is not the directory of a run"):
        paddle_ft.load_run(tmp_path)


def test_a_run_without_a_model_shows_what_it_has(trained, tmp_path):
    shutil.copy(trained.path / "config.yaml", tmp_path)
    run = paddle_ft.load_run(tmp_path)
    assert repr(run) == f"<Run '{tmp_path}': bart_lcsts, not started>"
    assert "metrics.jsonl is missing" in run._repr_html_()
    with pytest.raises(paddle_ft.UserError, match="this run has no model yet"):
        run.predict(TEXTS)
    with pytest.raises(paddle_ft.UserError, match=r"this run has no report yet; it is written at its end, or by write_report\(\)"):
        run.report  # noqa: B018 a property
    with pytest.raises(paddle_ft.UserError, match=r"this run has no plots yet; they are drawn at its end, or by write_report\(\)"):
        run.plots["loss"]
    assert run.write_report() == run.report and run.plots == {}


def test_a_plot_that_is_not_there(trained):
    assert trained.plots.get("lost") is None
    with pytest.raises(paddle_ft.UserError, match=r"there is no plot 'lost', only .*\bloss\b"):
        trained.plots["lost"]


def test_a_missing_paddle_is_explained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the working directory may have the run already
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(installation, "SOURCE_TREE", None)
    with pytest.raises(paddle_ft.UserError, match="the package paddle is not installed in .*pip install paddlepaddle=="):
        paddle_ft.train("bart_lcsts", sample=True)


# ---------------------------------------------------------------------------------------------------- display
def test_a_notebook_shows_scores_curves_and_predictions(trained):
    html = trained._repr_html_()
    for column in ("model", "before training", "lead baseline"):
        assert f'<th class="number">{column}</th>' in html
    assert "ROUGE-L" in html and "(95 %)" in html
    assert html.count("data:image/png;base64,") == 2
    assert html.count("<article>") == 3 and TEXTS[0] in html
    assert len(html) < 100_000
    assert "<html" not in html and "<script" not in html


def test_texts_are_escaped(trained, tmp_path):
    copy = shutil.copytree(trained.path, tmp_path / "copy")
    attack = "<script>alert(1)</script>"
    row = {"source": attack, "target": attack, "prediction": attack, "rougeL": 1.0}
    (copy / "predictions-test.jsonl").write_text(json.dumps(row) + "\n")
    evaluation = paddle_ft.Evaluation("test", {"rougeL": 1.0, attack: 2.0}, {}, [row])
    for html in (paddle_ft.load_run(copy)._repr_html_(), evaluation._repr_html_()):
        assert "<script" not in html and "&lt;script&gt;" in html


def test_an_evaluation_shows_its_baseline(trained):
    html = trained.evaluate()._repr_html_()
    assert "Evaluation on test" in html and "lead baseline" in html and html.count("<article>") == 3
