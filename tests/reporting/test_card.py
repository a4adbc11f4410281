"""Test the model card that a run writes beside its best checkpoint."""

import json

import pytest
import yaml

from paddle_ft.data.rows import Rows
from paddle_ft.reporting.card import write_card
from paddle_ft.system.errors import UserError

RESULTS = {
    "task": "summarization",
    "metrics": {"test": {"rouge1": 40.5, "rouge1_ci": [40.04, 42.36], "rougeL": 38.0}},
    "before_training": {"test": {"rouge1": 3.3}},
    "baseline": {"name": "lead", "test": {"rouge1": 20.6}},
    "best": {"metric": "rougeL", "value": 38.0, "step": 3000},
    "train": {"seconds": 5123.4, "steps": 4000},
    "versions": {"paddle_ft": "0.2.0", "paddlepaddle": "3.3.1"},
}
CONFIG = {
    "recipe": "bart_lcsts",
    "seed": 7,
    "output_dir": "/home/someone/runs/bart",
    "model": {"pretrained": "/home/someone/models/bart-base-chinese", "lora": None},
    "data": {"source": "lcsts", "train": "/home/someone/news/part_*.tsv", "validation": None, "test": None},
    "task": {"name": "summarization", "max_source_length": 512, "max_target_length": 128},
    "train": {"learning_rate": 1e-5, "num_train_epochs": 3.0},
}


def write_run(folder, config=CONFIG, results=RESULTS, model=None):
    (folder / "best").mkdir(parents=True)
    model = model or {"architectures": ["BartForConditionalGeneration"], "model_type": "bart"}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "metrics.jsonl").touch()
    (folder / "best" / "config.json").write_text(json.dumps(model), encoding="utf-8")
    if results is not None:
        train, validation = ({"rows": count, "fingerprint": digits * 4} for count, digits in ((8666, "00ff"), (725, "11ee")))
        data = {"train": train, "validation": validation}
        (folder / "results.json").write_text(json.dumps({**results, "data": data, "model": {"parameters": 1234}}), encoding="utf-8")
    return write_card(folder).read_text(encoding="utf-8")


def test_the_card_has_scores_with_intervals_baselines_data_and_settings(tmp_path):
    card = write_run(tmp_path)
    assert "| ROUGE-1 | 40.50 [40.0, 42.4] (95 %) | 3.30 | 20.60 |" in card  # test: model, before training, lead baseline
    assert "| fingerprint | 00ff00ff00ff00ff | 11ee11ee11ee11ee |" in card
    assert "| rows | 8,666 | 725 |" in card
    assert "kept: ROUGE-L 38.00 at step 3,000." in card and "one training with seed 7" in card
    assert "A `BartForConditionalGeneration` with 1,234 parameters, fine-tuned from `bart-base-chinese`." in card
    assert "A source of more than 512 tokens is cut (`task.max_source_length`)." in card
    assert "Generated text can be false" in card and "sample run" not in card
    settings = yaml.safe_load(card.split("```yaml\n")[1].split("```")[0])
    assert settings["train"] == CONFIG["train"] and settings["task"] == CONFIG["task"]


def test_the_first_lines_are_what_hubs_read(tmp_path):
    _, front, _ = write_run(tmp_path).split("---\n", 2)
    assert yaml.safe_load(front) == {
        "library_name": "paddlenlp", "pipeline_tag": "summarization", "tags": ["paddle_ft", "summarization", "bart"]}  # fmt: skip


def test_no_path_of_the_machine_is_in_the_card(tmp_path):
    card = write_run(tmp_path)
    assert "/home" not in card and "someone" not in card and str(tmp_path) not in card
    assert "`part_*.tsv`" in card and "pretrained: bart-base-chinese" in card


def test_a_model_that_the_converter_does_not_know_is_not_offered_for_transformers(tmp_path):
    known = write_run(tmp_path / "known")
    unknown = write_run(tmp_path / "unknown", model={"architectures": ["MyForSequenceClassification"], "model_type": "mine"})
    assert "AutoModelForSeq2SeqLM.from_pretrained" in known and "convert to-hf" in known
    assert "transformers import" not in unknown.replace("paddlenlp.transformers import", "") and "convert to-hf" not in unknown
    assert 'MyForSequenceClassification.from_pretrained("bart_lcsts")' in unknown and "Generated text" not in unknown


def test_an_unfinished_run_and_a_sample_say_so(tmp_path):
    unfinished = write_run(tmp_path / "unfinished", results=None)
    assert "**The training has not finished: there are no final scores.**" in unfinished and "There are none yet." in unfinished
    sample = write_run(tmp_path / "sample", results={**RESULTS, "sample": True})
    assert "**This is a sample run on data of its user's own: a small" in sample and "- sample\n" in sample
    generated = {**CONFIG, "data": {"source": "sample:briefs"}}
    sample = write_run(tmp_path / "generated", generated, {**RESULTS, "sample": True})
    assert "**This is a sample run on generated text: a small" in sample


def test_a_finished_run_without_validation_and_test_is_not_called_unfinished(tmp_path):
    card = write_run(tmp_path, results={**RESULTS, "status": "finished", "metrics": {}})
    assert "not finished" not in card
    assert "There are none: the run had neither a validation nor a test split, so this model has not been measured." in card


def test_without_a_model_there_is_no_card(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    with pytest.raises(UserError, match=r"best/config\.json: not found; there is no model to write a card for"):
        write_card(tmp_path)


def test_equal_rows_have_equal_fingerprints():
    rows = [{"text": "a", "label": "b"}, {"text": "c", "label": "d"}]
    reordered_fields = [{"label": "b", "text": "a"}, {"label": "d", "text": "c"}]
    assert Rows(rows).fingerprint() == Rows(reordered_fields).fingerprint() == Rows(rows).fingerprint()
    others = [rows[::-1], rows[:1], [{"text": "ab", "label": ""}, rows[1]], [{"text": "a", "label": "B"}, rows[1]], []]
    assert len({Rows(other).fingerprint() for other in [rows, *others]}) == 6
    assert len(Rows(rows).fingerprint()) == 16 and Rows([{"text": "中文\ud800"}]).fingerprint()


def test_no_text_of_the_data_becomes_html(tmp_path):
    script = "<script>alert(1)</script>"
    config = {**CONFIG, "recipe": script, "data": {"train": f"{script}.tsv"}, "model": {"pretrained": script}}
    results = {**RESULTS, "train": {script: script}, "decisions": [f"the file {script} is UTF-8"], "baseline": {"name": script}}
    text = write_run(tmp_path, config=config, results=results)
    outside_code = "".join(text.split("```")[::2])
    assert "<script" not in outside_code and outside_code.count("&lt;script>alert(1)") >= 6


def test_a_setting_does_not_end_the_block_of_code(tmp_path):
    text = write_run(tmp_path, config={**CONFIG, "model": {"pretrained": "a\n```\n<script>"}})
    assert "<script" not in "".join(text.split("```")[::2])
