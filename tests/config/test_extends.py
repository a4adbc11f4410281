"""Test `extends`: a recipe of a few lines that changes keys of another one."""

import pytest

from paddle_ft.cli import main
from paddle_ft.config.load import load_config
from paddle_ft.system.errors import UserError


def write(folder, name, text):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def refusal(name) -> str:
    with pytest.raises(UserError) as caught:
        load_config(name)
    return str(caught.value)


def test_a_recipe_of_five_lines(tmp_path):
    path = write(
        tmp_path,
        "my_news.yaml",
        """\
extends: bart_lcsts
model: {pretrained: facebook/bart-base}
data: {source: null, train: news.tsv, validation: dev.tsv, columns: {source: text, target: title}}
train: {learning_rate: 3e-5}
generation: {num_beams: 6}
""",
    )
    config, base = load_config(path), load_config("bart_lcsts")
    expected = base.model_dump() | {"recipe": "my_news", "output_dir": "runs/my_news"}
    expected["model"] |= {"pretrained": "facebook/bart-base"}
    files = {"source": None, "train": "news.tsv", "validation": "dev.tsv"}
    expected["data"] |= {**files, "columns": {"source": "text", "target": "title"}}
    expected["train"] |= {"learning_rate": 3e-5}
    expected["generation"] |= {"num_beams": 6}
    assert config.model_dump() == expected


def test_the_sample_block_is_extended_key_by_key(tmp_path):
    path = write(tmp_path, "short.yaml", "extends: bart_lcsts\nsample: {train.num_train_epochs: 1}\n")
    config, base = load_config(path, sample=True), load_config("bart_lcsts", sample=True)
    assert config.train.num_train_epochs == 1 and base.train.num_train_epochs > 1
    assert config.model == base.model and config.data == base.data
    assert config.output_dir == "runs/short_sample"


def test_a_path_is_relative_to_the_file_that_names_it(tmp_path, monkeypatch):
    base = "extends: bart_lcsts\nrecipe: base\noutput_dir: elsewhere\nseed: 5\ntrain: {learning_rate: 1e-3, warmup_steps: 7}\n"
    write(tmp_path, "base.yaml", base)
    write(tmp_path, "studies/child.yaml", "extends: ../base.yaml\ntrain: {learning_rate: 2e-3}\n")
    monkeypatch.chdir(tmp_path)
    config = load_config("studies/child.yaml", ["train.warmup_steps=8"])
    assert (config.seed, config.train.learning_rate, config.train.warmup_steps) == (5, 2e-3, 8)
    assert (config.recipe, config.output_dir) == ("child", "runs/child")


def test_a_value_that_is_a_mapping_is_replaced(tmp_path):
    write(tmp_path, "base.yaml", "extends: bart_lcsts\ndata: {source: null, train: a.tsv, columns: {source: a, target: b}}\n")
    path = write(tmp_path, "child.yaml", "extends: base.yaml\ndata: {columns: {source: x}}\n")
    assert load_config(path).data.columns == {"source": "x"}


def test_an_error_names_the_file_that_has_it(tmp_path):
    base = write(tmp_path, "base.yaml", "extends: bart_lcsts\ntrain:\n  learning_rat: 3\n")
    child = write(tmp_path, "child.yaml", "extends: base.yaml\nseed: many\n")
    text = refusal(child)
    assert f"train.learning_rat: there is no such key ({base}:3). Did you mean train.learning_rate?" in text
    assert f"seed: 'many' is not allowed ({child}:2)" in text


def test_what_is_extended_must_exist(tmp_path):
    path = write(tmp_path, "child.yaml", "seed: 1\nextends: bart_lcst\n")
    assert refusal(path).startswith(f"{path}:2: extends bart_lcst: there is no such recipe. Did you mean bart_lcsts? Recipes: ")
    path = write(tmp_path, "child.yaml", "extends: nope.yaml\n")
    assert refusal(path).startswith(f"{path}:1: extends nope.yaml: there is no such file.")
    path = write(tmp_path, "child.yaml", "extends: [a, b]\n")
    expected = f"extends: ['a', 'b'] is not allowed ({path}:1): must be the name of a recipe or the path of a YAML file."
    assert refusal(path) == expected


def test_a_circle_is_refused(tmp_path):
    first = write(tmp_path, "first.yaml", "extends: second.yaml\n")
    second = write(tmp_path, "second.yaml", "extends: first.yaml\n")
    assert refusal(first) == f"{second}:1: extends first.yaml: this recipe extends itself."
    own = write(tmp_path, "own.yaml", "extends: own.yaml\n")
    assert refusal(own) == f"{own}:1: extends own.yaml: this recipe extends itself."


def test_the_command_line_cannot_set_it():
    with pytest.raises(UserError, match="extends: there is no such key"):
        load_config("bart_lcsts", ["extends=bart_lyrics"])


def test_the_inherited_sample_block_wins_over_data_of_ones_own(tmp_path):
    """docs/configuration.md says so, and how to go on using --sample."""
    own = "extends: distilbert_sst2\ndata: {source: null, train: own.csv, columns: {text: review, label: stars}}\n"
    data = load_config(write(tmp_path, "own.yaml", own), sample=True).data
    assert (data.source, data.columns, data.train) == ("sample:reviews", {}, "own.csv")
    mended = own + "sample: {data.source: null, data.columns: {text: review, label: stars}}\n"
    data = load_config(write(tmp_path, "mended.yaml", mended), sample=True).data
    assert (data.source, data.columns, data.train) == (None, {"text": "review", "label": "stars"}, "own.csv")


def test_sample_says_which_of_the_users_settings_it_replaces(tmp_path, capsys):
    """Only what the user's own files set, and what no override and no sample block of their own sets."""
    train = "{learning_rate: 3e-5, num_train_epochs: 7, warmup_steps: 9, logging_steps: 50, train_batch_size: 4}"
    write(tmp_path, "base.yaml", f"extends: bart_lcsts\nmodel: {{pretrained: facebook/bart-base}}\ntrain: {train}\n")
    path = write(tmp_path, "child.yaml", "extends: base.yaml\nsample: {train.num_train_epochs: 1}\ntrain: {learning_rate: 4e-5}\n")
    command = ["train", "--config", path, "--sample", "--print-config", "train.train_batch_size=8"]
    assert main(command) == 0
    output = capsys.readouterr()
    config = load_config(path, ["train.train_batch_size=8"], sample=True)
    assert (config.train.learning_rate, config.train.train_batch_size) == (1e-3, 8)
    replaced = "model.pretrained: facebook/bart-base -> null, train.learning_rate: 4.0e-05 -> 0.001"
    assert output.err == f"--sample replaces {replaced}\n"
    assert "--sample replaces" not in output.out
    assert main([*command, "train.learning_rate=2e-5"]) == 0
    assert "learning_rate" not in capsys.readouterr().err
    assert main(["train", "--config", "bart_lcsts", "--sample", "--print-config"]) == 0
    assert capsys.readouterr().err == ""
