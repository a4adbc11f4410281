"""Test the report page of finished, unfinished and damaged runs."""

import base64
import json
import re
from html.parser import HTMLParser

import pytest

from paddle_ft.reporting import fonts, formats
from paddle_ft.reporting.page import write_report
from paddle_ft.system.errors import UserError

METRICS = {"rouge1": 41.2345, "rouge1_ci": [40.04, 42.36], "rougeL": 38.0, "loss": 2.34567, "tokenizer": "by-character"}
RESULTS = {
    "task": "summarization",
    "seed": 2022,
    "sample": False,
    "before_training": {"validation": {"rouge1": 3.1, "rougeL": 2.9, "loss": 9.1}, "test": {"rouge1": 3.3}},
    "baseline": {"name": "lead", "validation": {"rouge1": 20.5, "rougeL": 18.3}, "test": {"rouge1": 20.6}},
    "metrics": {"validation": METRICS, "test": {**METRICS, "rouge1": 40.5}},
    "best": {"metric": "rougeL", "value": 38.0, "step": 3000},
    "train": {
        "seconds": 5123.4,
        "steps": 4000,
        "samples_per_second": 41.03,
        "target_tokens_per_second": 512.5,
        "peak_memory_mb": 10834.2,
    },
    "data": {"train": {"rows": 8666, "bad_rows": 2, "truncated_share": 0.0131}, "validation": {"rows": 725}},
    "versions": {"paddlepaddle": "3.3.1", "paddlenlp": "3.0.0b4"},
}


class Page(HTMLParser):
    """Parse a page into its tags, links and visible text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.links, self.visible, self.hidden = [], [], [], False
        self.feed(html)
        self.text = " ".join(" ".join(self.visible).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "action", "data")]
        self.hidden = tag in ("style", "script")

    def handle_endtag(self, tag):
        self.hidden = False

    def handle_data(self, data):
        if not self.hidden:
            self.visible.append(data)


@pytest.fixture
def run(tmp_path):
    (tmp_path / "config.yaml").write_text("recipe: bart_lcsts\nsample: false\nseed: 2022\n", encoding="utf-8")
    events = [
        {"event": "eval", "step": 0, "split": "validation", "rouge1": 3.1, "rougeL": 2.9, "loss": 9.1},
        {"event": "train", "step": 200, "loss": 5.0, "learning_rate": 1e-5},
        {"event": "eval", "step": 400, "split": "validation", "rouge1": 21.5, "rougeL": 19.25, "loss": 4.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    return tmp_path


def finish(run, results=RESULTS, predictions=()):
    (run / "results.json").write_text(json.dumps(results), encoding="utf-8")
    if predictions:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in predictions)
        (run / "predictions-test.jsonl").write_text(lines, encoding="utf-8")


def predictions(count):
    return [{"source": f"新闻第{i}号。", "target": f"标题{i}", "prediction": f"预测{i}", "rougeL": float(i)} for i in range(count)]


def read(run) -> tuple[str, Page]:
    path = write_report(run)
    assert path == run / "report.html"
    html = path.read_text(encoding="utf-8")
    return html, Page(html)


def test_finished_run(run):
    finish(run, predictions=predictions(50))
    _, page = read(run)
    assert "bart_lcsts summarization" in page.text
    assert "Best checkpoint: ROUGE-L 38.00 at step 3,000." in page.text
    # model, before training, baseline in one row, the interval beside the model's score
    assert "ROUGE-1 41.23 [40.0, 42.4] (95 %) 3.10 20.50" in page.text
    assert "ROUGE-1 40.50 [40.0, 42.4] (95 %) 3.30 20.60" in page.text
    assert "loss lower is better 2.346 9.100 –" in page.text
    assert "lead baseline" in page.text and "tokenizer: by-character" in page.text
    assert "time 1 h 25 min steps 4,000 samples per second 41.0 target tokens per second 512.5 peak memory 10.6 GB" in page.text
    assert "train validation rows 8,666 725 bad rows 2 – truncated share 1.3 % –" in page.text
    assert "paddlepaddle 3.3.1" in page.text and "seed: 2022" in page.text
    assert "What is missing" not in page.text and "Sample run" not in page.text
    assert page.tags.count("img") == 3


def test_best_and_worst_predictions(run):
    finish(run, predictions=predictions(50))
    _, page = read(run)
    best, worst = page.text.split("Best 10 of 50")[1].split("Worst 10, worst first")
    assert re.findall(r"ROUGE-L ([\d.]+)", best) == [f"{i}.00" for i in range(49, 39, -1)]
    assert re.findall(r"ROUGE-L ([\d.]+)", worst) == [f"{i}.00" for i in range(10)]
    assert "source 新闻第49号。 target 标题49 prediction 预测49" in best


def test_the_page_begins_with_the_score_that_counts_and_with_examples(run):
    finish(run, predictions=predictions(50)[::-1])
    _, page = read(run)
    top, results = page.text.split(" Results ")
    assert "ROUGE-L on test 38.00 before training – lead baseline –" in top  # the best checkpoint's metric; RESULTS has no others
    examples = top.split("Examples The first 3 of 50 predictions on test.")[1]
    assert re.findall(r"prediction (\S+)", examples) == ["预测49", "预测48", "预测47"]  # in the order of the file
    assert "Best 10 of 50" in results


def test_an_unfinished_run_has_no_headline(run):
    html, _ = read(run)
    assert 'class="headline"' not in html


def test_predictions_with_low_perplexity_are_the_best(run):
    rows = [{"text": f"text {i}", "tokens": 100 - i, "perplexity": float(i)} for i in range(1, 31)]
    finish(run, predictions=rows)
    _, page = read(run)
    best, worst = page.text.index("Best 10 of 30"), page.text.index("Worst 10, worst first")
    assert best < page.text.index("text 1 ", best) < worst < page.text.index("text 30")


def test_scores_that_should_be_small_are_marked(run):
    metrics = {"rhyme": 60.0, "max_bleu": 41.5, "exact_copies": 2.0, "longest_copy": 3.5, "longest_copy_max": 9, "distinct1": 30.0}
    finish(run, {"task": "lyrics", "metrics": {"test": metrics}})
    _, page = read(run)
    marked = re.findall(r"([a-z][a-z ]*?) lower is better ([\d.]+)", page.text)
    assert marked == [("exact copies", "2.00"), ("longest copy", "3.50"), ("longest copy max", "9"), ("max bleu", "41.50")]


def test_few_predictions_are_shown_once(run):
    finish(run, predictions=predictions(3))
    _, page = read(run)
    assert "All 3, best first" in page.text and "Worst" not in page.text
    assert page.text.count("标题1") == 1


def test_nothing_outside_the_file_is_needed(run):
    finish(run, predictions=predictions(3))
    html, page = read(run)
    assert "script" not in page.tags and "link" not in page.tags
    assert "http://" not in html and "https://" not in html and "url(" not in html and "@import" not in html
    assert len(page.links) == 3
    for link in page.links:
        kind, data = link.split(",", 1)
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")


def test_text_of_the_data_is_escaped(run):
    evil = "<script>alert(\"x\")</script><img src=x onerror=alert(1)> & 'quoted' {{ 7 * 7 }}"
    config = "recipe: '<script>1</script>'\nnote: <b>bold</b>\n"
    (run / "config.yaml").write_text(config, encoding="utf-8")
    row = {"source": evil, "target": evil, "prediction": evil, "<i>key</i>": evil, "rougeL": 1.0}
    finish(run, {**RESULTS, "task": "<u>task</u>", "data": {"label_names": ["<s>x</s>"]}}, [row])
    _, page = read(run)
    assert not {"script", "b", "i", "u", "s"} & set(page.tags)
    assert page.tags.count("img") == 3  # the plots
    assert page.text.count(evil) == 4
    assert "<script>1</script>" in page.text and "note: <b>bold</b>" in page.text


def test_sample_runs_say_so(run):
    finish(run, {**RESULTS, "sample": True})
    assert "Sample run on generated text." in read(run)[1].text
    (run / "results.json").unlink()
    (run / "config.yaml").write_text("recipe: bart_lcsts\nsample: true\n", encoding="utf-8")
    assert "Sample run on generated text." in read(run)[1].text  # also before the run has finished
    for data in ("{source: null, train: mine.tsv}", "{source: 'sample:briefs', train: mine.tsv}", "{source: glue, name: sst-2}"):
        (run / "config.yaml").write_text(f"recipe: bart_lcsts\nsample: true\ndata: {data}\n", encoding="utf-8")
        text = read(run)[1].text
        assert "Sample run on your data." in text and "generated" not in text


def test_unfinished_run(run):
    _, page = read(run)
    assert "results.json is missing: the run has not finished" in page.text
    assert "There are no predictions (predictions-<split>.jsonl)" in page.text
    assert "model at step 400 before training" in page.text
    assert "ROUGE-1 21.50 3.10" in page.text
    partial = {"status": "training", "baseline": RESULTS["baseline"], "before_training": RESULTS["before_training"]}
    (run / "results.json").write_text(json.dumps(partial), encoding="utf-8")
    _, page = read(run)
    assert "The run has not finished: the scores are those of the latest evaluation." in page.text
    assert "ROUGE-1 21.50 3.10 20.50" in page.text


def test_a_finished_run_without_validation_and_test_is_not_called_unfinished(run):
    (run / "results.json").write_text(json.dumps({"status": "finished", "metrics": {}}), encoding="utf-8")
    (run / "metrics.jsonl").write_text('{"event": "train", "step": 1, "loss": 1.0}\n', encoding="utf-8")
    _, page = read(run)
    assert "There are no scores, because the run has neither a validation nor a test split" in page.text
    assert not any(text in page.text for text in ("not finished", "There are no predictions", "No evaluation yet"))


def test_run_that_has_only_begun(run):
    (run / "metrics.jsonl").unlink()
    _, page = read(run)
    assert "metrics.jsonl is missing: training has logged nothing." in page.text
    assert "There are no curves" in page.text and "No evaluation yet." in page.text


def test_damaged_files(run):
    (run / "results.json").write_text('{"task": "summ', encoding="utf-8")
    (run / "config.yaml").write_text("a: [1,\n", encoding="utf-8")
    lines = '{"source": "\\ud83d", "target": "t", "prediction": "", "rougeL": 0.0}\n{"source": "half'
    (run / "predictions-test.jsonl").write_text(lines, encoding="utf-8")
    _, page = read(run)
    assert "results.json cannot be read" in page.text and "config.yaml:2: not valid YAML" in page.text
    assert "predictions-test.jsonl: 1 unreadable line(s) left out (line 2)." in page.text
    assert "source ? target t prediction (empty)" in page.text  # half an emoji


def test_damaged_entries_are_named_and_the_others_are_shown(run):
    finish(run, predictions=predictions(3))
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    (run / "results.json").write_text(json.dumps({**results, "train": 5, "best": "x"}), encoding="utf-8")
    (run / "config.yaml").write_text("data: 7\ntask: {name: summarization}\n", encoding="utf-8")
    _, page = read(run)
    assert "results.json: damaged and left out: train: must be a valid dictionary" in page.text
    assert "config.yaml: data: damaged and left out: it is no section." in page.text
    assert "ROUGE-L" in page.text


def test_long_texts_are_cut(run):
    row = {"source": "长" * 5000, "target": "t", "prediction": "p", "rougeL": 0.0}
    finish(run, predictions=[row])
    _, page = read(run)
    assert "长" * 600 + "… (5,000 characters)" in page.text
    assert "长" * 601 not in page.text


def test_other_task(run):
    metrics = {"accuracy": 91.25, "accuracy_ci": [90.1, 92.3], "confusion_matrix": [[4, 1], [0, 5]], "loss": 0.31}
    results = {"task": "classification", "metrics": {"test": metrics}, "data": {"label_names": ["负面", "positive"]}}
    finish(run, results, [{"text": "好", "label": "positive", "prediction": "positive", "probability": 0.98}])
    html, page = read(run)
    assert "accuracy 91.25 [90.1, 92.3] (95 %) –" in page.text
    assert 'alt="confusion matrix test"' in html
    assert "label names 负面, positive" in page.text
    assert "probability 0.98" in page.text


def test_without_a_chinese_font_the_report_says_what_the_numbers_in_a_plot_stand_for(run, monkeypatch):
    monkeypatch.setattr(fonts, "font_families", lambda: (fonts.OWN_FONT,))
    metrics = {"accuracy": 91.25, "confusion_matrix": [[4, 1], [0, 5]]}
    finish(run, {"task": "classification", "metrics": {"test": metrics}, "data": {"label_names": ["负面 <b>", "positive"]}})
    html, page = read(run)
    assert html.count("<figcaption") == 1 and page.tags.count("b") == 0
    assert "#1 负面 <b> (no font that is installed here has their characters)" in page.text


def test_no_run(tmp_path):
    with pytest.raises(UserError, match="contains no run"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (formats.format_number(1234567), "1,234,567"),
        (formats.format_number(1234.567), "1,234.57"),
        (formats.format_number(1e-6), "1.0e-06"),
        (formats.format_number(0.0), "0.00"),
        (formats.format_number(3.2e9), "3.2e+09"),
        (formats.format_number(float("nan")), "nan"),
        (formats.format_number(None), "–"),
        (formats.format_number(True), "–"),
        (formats.format_score("rouge1", 40), "40.00"),
        (formats.format_score("rouge1", 0.004), "0.00"),
        (formats.format_score("lead_length", 14), "14"),
        (formats.format_score("perplexity", 2.5e9), "2.5e+09"),
        (formats.format_interval([1, 2.25]), "[1.0, 2.2] (95 %)"),
        (formats.format_interval(None), ""),
        (formats.format_seconds(8.25), "8.2 s"),
        (formats.format_seconds(307), "5 min 7 s"),
        (formats.format_seconds(7385), "2 h 3 min"),
        (formats.format_memory(900), "900 MB"),
        (formats.format_memory(1536), "1.5 GB"),
        (formats.format_fact("eval_seconds", 90), ("eval", "1 min 30 s")),
        (formats.format_fact("resumed", True), ("resumed", "yes")),
        (formats.format_fact("files", ["a.tsv", "b.tsv"]), ("files", "a.tsv, b.tsv")),
    ],
)
def test_figures(text, expected):
    assert text == expected


def test_the_most_confident_mistakes_come_first(run):
    rows = [
        {
            "text": f"text {i}",
            "label": "neg",
            "prediction": "pos" if i % 2 else "neg",
            "probability of the label": 1.0,
            "confidence": 50.0 + i,
        }
        for i in range(50)
    ]
    finish(run, predictions=rows)
    _, page = read(run)
    part = page.text.split("Most confident mistakes")[1].split("Predictions on")[0]
    assert "test: 25 of 50 are wrong" in part
    assert re.findall(r"text (\d+) neg pos ([\d.]+) %", part)[:2] == [("49", "99.00"), ("47", "97.00")]
    assert len(re.findall(r"neg pos", part)) == 20
    finish(run, predictions=[{**row, "prediction": "neg"} for row in rows])
    assert "Most confident mistakes" not in read(run)[1].text


def test_rare_words_are_shown_beside_those_before_the_training(run):
    bands = [{"times_in_training": "0", "targets": 12, "loss": 7.5, "accuracy": 8.33}]
    before = [{"times_in_training": "0", "targets": 12, "loss": 9.25, "accuracy": 0.0}]
    finish(run, {"metrics": {"validation": {"loss": 1.0, "by_frequency": bands}},
                 "before_training": {"validation": {"loss": 2.0, "by_frequency": before}}})  # fmt: skip
    _, page = read(run)
    assert "Rare words" in page.text and "0 12 8.33 0.00 7.500 9.250" in page.text
    finish(run, {"metrics": {"validation": {"loss": 1.0, "by_frequency": [3, {"targets": "x"}]}}})
    assert "None" in read(run)[1].text  # damaged: shown as far as it can be
