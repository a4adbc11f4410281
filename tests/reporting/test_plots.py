import io
import json
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from paddle_ft.metrics.registry import METRICS, Metric
from paddle_ft.reporting import plots
from paddle_ft.reporting.curves import Curve, draw_curves, mean_curve
from paddle_ft.reporting.pictures import to_picture
from paddle_ft.reporting.plots import draw_figures, plot_run
from paddle_ft.reporting.records import Run, read_run
from paddle_ft.system.errors import UserError


def write_run(path, events=(), results=None, tail=""):
    path.mkdir(exist_ok=True)
    (path / "config.yaml").write_text("seed: 1\n", encoding="utf-8")
    (path / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events) + tail, encoding="utf-8")
    if results is not None:
        (path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    return path


def train(step, **more):
    return {"event": "train", "step": step, "loss": 5 / step, "learning_rate": 1e-5 / step, **more}


def evaluation(step, **scores):
    return {"event": "eval", "step": step, "split": "validation", "seconds": 1.0, **scores}


def names(paths):
    return [path.name for path in paths]


def drawn_pixels(path, colour):
    """How many pixels of the picture have about this colour."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((np.abs(pixels - np.array(colour)).sum(axis=2) < 12).sum())


BLUE, ORANGE = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)


def test_summarization_run(tmp_path):
    events = [evaluation(0, loss=9.0, rouge1=1.0, rouge2=0.0, rougeL=1.0)]
    for step in range(10, 100, 10):
        events += [train(step), evaluation(step, loss=4.0, rouge1=step / 2, rouge2=step / 4, rougeL=step / 3)]
    run = write_run(tmp_path, events, {"best": {"metric": "rougeL", "step": 90}})
    paths = list(plot_run(read_run(run)))
    assert names(paths) == ["loss.png", "learning_rate.png", "scores.png"]
    assert all(path.parent == run / "plots" for path in paths)
    for path in paths:
        assert Image.open(path).size == (1050, 600)
    assert drawn_pixels(paths[0], BLUE) > 300 and drawn_pixels(paths[0], ORANGE) > 300  # training and validation


def test_one_point_is_visible(tmp_path):
    loss, rate, scores = plot_run(read_run(write_run(tmp_path, [train(1), evaluation(0, loss=9.0, rougeL=1.0)])))
    assert drawn_pixels(loss, BLUE) > 20 and drawn_pixels(loss, ORANGE) > 20
    assert drawn_pixels(scores, BLUE) > 20
    assert rate.exists()


@pytest.mark.parametrize("name", ["loss", "perplexity"])
def test_a_split_scored_before_training_alone_is_not_drawn_beside_a_curve(tmp_path, name):
    test = {**evaluation(0, **{name: 9.0}), "split": "test"}
    events = [train(1), test, evaluation(0, **{name: 9.0})]
    drawn = plots._curves(read_run(write_run(tmp_path / "begun", events)), name)
    assert set(drawn) == {"validation", "test"}, "where there is no curve, the points are all there is"
    drawn = plots._curves(read_run(write_run(tmp_path / "run", [*events, evaluation(10, **{name: 5.0})])), name)
    assert {split: values.tolist() for split, (_, values) in drawn.items()} == {"validation": [9.0, 5.0]}


def test_nothing_logged_gives_no_picture(tmp_path):
    assert plot_run(read_run(write_run(tmp_path))) == {}
    assert not (tmp_path / "plots").exists()


def test_cut_lines_and_repeated_steps(tmp_path):
    events = [train(10), train(20, loss=7.0), train(30), train(20, loss=1.5), train(30, loss=1.25)]  # resumed from 10
    run = write_run(tmp_path, events, tail='{"event": "train", "step": 40, "lo')
    read = read_run(run)
    assert [(event["step"], event["loss"]) for event in read.train] == [(10, 0.5), (20, 1.5), (30, 1.25)]
    assert "metrics.jsonl: 1 unreadable line(s) left out (line 6)." in read.problems
    assert names(plot_run(read_run(run))) == ["loss.png", "learning_rate.png"]


def test_diverged_and_missing_values(tmp_path):
    events = [train(1), train(2, loss=float("nan")), train(3, loss=None), train(4, loss=float("inf")), train(5)]
    events += [{"event": "note", "text": "no step"}, {"event": "train", "loss": 1.0}]
    assert names(plot_run(read_run(write_run(tmp_path, events)))) == ["loss.png", "learning_rate.png"]


def test_long_runs_are_smoothed(tmp_path):
    random = np.random.default_rng(0)
    events = [train(step, loss=3 + random.normal()) for step in range(1, 801)]
    path = next(iter(plot_run(read_run(write_run(tmp_path, events)))))
    assert drawn_pixels(path, BLUE) > 300


def test_other_tasks(tmp_path):
    events = [evaluation(step, loss=1.0, accuracy=50.0 + step, perplexity=20000.0 / (step + 1)) for step in (0, 30)]
    results = {
        "data": {"label_names": ["negative", "正面"]},
        "metrics": {"test": {"confusion_matrix": [[40, 3], [5, 52]]}, "validation": {"accuracy": 80.0}},
    }
    paths = plot_run(read_run(write_run(tmp_path, events, results)))
    assert names(paths) == ["loss.png", "scores.png", "perplexity.png", "confusion_matrix_test.png"]


def drawn(*keys, values=(30.0, 40.0)):
    """Return file name -> (title, label of the axis of values, labels of the curves) for a run with these metrics."""
    events = [{"step": step, **dict.fromkeys(keys, value)} for step, value in enumerate(values)]
    figures = draw_figures(Run(None, evaluations={"validation": events}))
    axes = {name: figure.axes[0] for name, figure in figures.items()}
    return {name: (one.get_title(loc="left"), one.get_ylabel(), [line.get_label() for line in one.lines])
            for name, one in axes.items()}  # fmt: skip


LOSS = ("Loss", "loss (nats)", ["validation"])
PERPLEXITY = ("Perplexity (lower is better)", "perplexity per token", ["validation"])


def scores(*labels):
    return ("Scores on validation", "score (0-100)", list(labels))


def test_every_metric_is_drawn_where_the_table_of_metrics_says():
    keys = [metric.key for metric in METRICS]
    assert drawn(*keys) == {"loss": LOSS, "scores": scores("ROUGE-1", "ROUGE-2", "ROUGE-L"), "perplexity": PERPLEXITY}
    assert {key for key in keys if drawn(key)} == {
        "rouge1", "rouge2", "rougeL", "rougeLsum", "bleu4", "accuracy", "f1", "f1_macro", "matthews", "ece", "perplexity", "loss"
    }  # fmt: skip


@pytest.mark.parametrize("rouge", ["rouge1", "rouge2", "rougeL"])
@pytest.mark.parametrize(("key", "label"), [
    ("rougeLsum", "ROUGE-Lsum"), ("bleu4", "BLEU-4"), ("accuracy", "accuracy"), ("f1", "F1"), ("f1_macro", "macro F1"),
    ("matthews", "Matthews correlation"), ("ece", "calibration error (ECE)"),
])  # fmt: skip
def test_rouge_takes_the_place_of_the_other_scores(rouge, key, label):
    assert drawn(key) == {"scores": scores(label)}
    assert drawn(rouge, key) == {"scores": scores(f"ROUGE-{rouge[-1]}")}


def test_a_users_metric_is_drawn_where_it_says(monkeypatch):
    metrics = (Metric("chrf", "chrF", "%", plot="scores"), Metric("pages", unit="pages", direction="none", plot="own"),
               Metric("gain", plot="own"), Metric("rouge2", "R2"))  # fmt: skip
    monkeypatch.setattr("paddle_ft.metrics.registry.user_plugins", lambda name: [metrics])
    assert drawn("rouge1", "rouge2", "bleu4", "chrf", "pages", "gain") == {
        "scores": scores("ROUGE-1", "chrF"),
        "pages": ("Pages", "pages (pages)", ["validation"]),
        "gain": ("Gain (higher is better)", "gain", ["validation"]),
    }
    assert drawn("rouge2", "bleu4") == {"scores": scores("BLEU-4")}, "only a metric that is drawn hides others"


@pytest.mark.parametrize(("values", "scale"), [((100.0, 9.0), "log"), ((100.0, 11.0), "linear"), ((-1.0, 50.0), "linear")])
def test_values_of_several_magnitudes_have_a_logarithmic_axis(values, scale):
    events = [{"step": step, "perplexity": value} for step, value in enumerate(values)]
    assert draw_figures(Run(None, evaluations={"test": events}))["perplexity"].axes[0].get_yscale() == scale


def test_pictures_need_no_pyplot(tmp_path):
    write_run(tmp_path, [train(1)])
    code = (
        "import sys\nfrom paddle_ft.reporting.plots import plot_run\nfrom paddle_ft.reporting.records import read_run\n"
        f"plot_run(read_run({str(tmp_path)!r}))\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'paddle' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_run(tmp_path):
    with pytest.raises(UserError, match="there is no such run directory"):
        read_run(tmp_path / "missing")
    with pytest.raises(UserError, match="contains no run"):
        read_run(tmp_path)


def test_the_reliability_diagram_has_the_bins_and_the_error():
    bins = [{"rows": 1, "confidence": 60.0, "accuracy": 40.0}, {"rows": 3, "confidence": 95.0, "accuracy": 90.0}]
    results = {"metrics": {"test": {"ece": 8.75, "calibration": bins}, "validation": {"calibration": [1, {"rows": "x"}]}}}
    figures = draw_figures(Run(None, results=results))
    assert set(figures) == {"calibration_test"}
    axes = figures["calibration_test"].axes[0]
    assert axes.get_title(loc="left") == "Calibration on test, calibration error 8.75 %"
    assert axes.collections[0].get_offsets().tolist() == [[60.0, 40.0], [95.0, 90.0]]


def test_several_runs_have_a_logarithmic_axis_for_perplexities_alone():
    def scale(key):
        curves = [Curve("a", [1, 2], [0.5, 90.0]), Curve("b", [1, 2], [0.5, 80.0])]
        return plots.metric_figure(key, "title", curves).axes[0].get_yscale()

    assert (scale("rougeL"), scale("loss"), scale("perplexity")) == ("linear", "linear", "log")


def test_the_band_is_a_deviation_around_the_mean_of_the_runs_that_go_on():
    lines = [(np.array([1, 2]), np.array([2.0, 10.0])), (np.array([1]), np.array([4.0]))]
    curve = mean_curve("runs", lines)
    assert curve.x.tolist() == [1, 2] and curve.y.tolist() == [3.0, 10.0]
    assert curve.high.tolist() == pytest.approx([3 + 2**0.5, 10.0]) and curve.low.tolist() == pytest.approx([3 - 2**0.5, 10.0])
    assert len(curve.members) == 2
    figure = draw_curves("title", "rows", "accuracy", [curve], log_x=True)
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["1", "2"]
    assert len(figure.axes[0].lines) == 3 and len(figure.axes[0].collections) == 1


@pytest.mark.parametrize(("log_y", "factor"), [(True, 1), (False, 1), (False, 1e8)])  # 1e8: the title makes room for this power
def test_a_picture_is_the_one_of_savefig_and_is_drawn_once(log_y, factor, monkeypatch):
    def figure():
        curves = [Curve(f"curve {number}", range(1, 90), factor * np.linspace(number, 9, 89)) for number in range(6)]
        return draw_curves("title", "rows", "a long label\nof two lines", curves, log_y=log_y)  # 6: the legend is outside

    drawn, draw = [], Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda self, renderer: (drawn.append(renderer), draw(self, renderer)))
    picture = to_picture(figure()).png
    assert len(drawn) == 1
    file = io.BytesIO()
    figure().savefig(file, dpi=150, format="png")
    ours, theirs = Image.open(io.BytesIO(picture)), Image.open(file)
    assert ours.tobytes() == theirs.convert("RGB").tobytes() and theirs.getextrema()[3] == (255, 255)
    assert ours.info["dpi"] == theirs.info["dpi"]
    assert len(picture) < len(file.getvalue())


def test_a_picture_of_an_axis_with_names_for_numbers():
    figure = Figure()
    axes = figure.subplots()
    axes.barh(["one", "two"], [1, 2])
    axes.set_title("title", loc="left")
    assert Image.open(io.BytesIO(to_picture(figure).png)).size == (960, 720)


def test_curves_that_are_0_everywhere_have_no_axis_below_0():
    assert draw_curves("title", "x", "copies (%)", [Curve("a", [1, 2], [0.0, 0.0])]).axes[0].get_ylim() == (0, 1)
    assert draw_curves("title", "x", "copies (%)", [Curve("a", [1, 2], [0.0, 3.0])]).axes[0].get_ylim()[1] > 3
