"""Test that a study is read, and that what is wrong in one is said with file, line and the nearest key."""

import pytest

from paddle_ft.config.recipes import find_recipe, recipe_names, study_names
from paddle_ft.experiments.study_file import read_study
from paddle_ft.system.errors import UserError
from tests.support.studies import STUDY, write_study


def message(tmp_path, text, sample=False):
    with pytest.raises(UserError) as caught:
        read_study(str(write_study(tmp_path, text)), sample)
    return str(caught.value).replace(str(tmp_path), "")


def changed(old, new):
    assert STUDY.count(old) == 1
    return STUDY.replace(old, new)


def test_the_studies_are_not_among_the_recipes():
    assert study_names() == ["domain_adaptation", "noise", "size"]
    assert not [name for name in recipe_names() if "stud" in name]
    with pytest.raises(UserError, match="--config studies/noise: there is no such recipe"):
        find_recipe("studies/noise")


def test_an_unknown_study_is_answered_with_the_nearest():
    with pytest.raises(
        UserError, match="^study domain_adaption: there is no such study. Did you mean domain_adaptation\\? Studies: dom"
    ):
        read_study("domain_adaption")
    with pytest.raises(UserError, match="^study nope.yaml: there is no such file."):
        read_study("nope.yaml")


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("seeds: 2", "seed: 2", "seed: there is no such key (/mine.yaml:3). Did you mean seeds?"),
    ("seeds: 2", "seeds: two", "seeds: 'two' is not allowed (/mine.yaml:3): must be a whole number."),
    ("    recipe: distilbert_imdb_mlm", "    recipes: x",
     "stages.adapted.recipe: is missing.\n  stages.adapted.recipes: there is no such key (/mine.yaml:6). Did you mean recipe?"),
    ("{setting: data.limit_train, values: [4, null]", "{setting: data.limit_train, value: [4]",
     "stages.classifier.x.values: is missing.\n  stages.classifier.x.value: there is no such key (/mine.yaml:14)."
     " Did you mean x.values?"),
    ("[4, null]", "[4, 4]", "stages.classifier.x.values: 4 is there twice (/mine.yaml:14)."),
    ("[4, null]", "[]", "stages.classifier.x.values: the list is empty (/mine.yaml:14); write at least one value, such as"
     " values: [A, B]."),
    ("metrics: [accuracy, loss]", "metrics: []", "metrics: the list is empty (/mine.yaml:15); write at least one value, such as"
     " metrics: [A, B]."),
    ("recipe: distilbert_imdb_mlm", "recipe: ''", "stages.adapted.recipe: the text is empty (/mine.yaml:6); write one, such as"
     " recipe: TEXT."),
    ("seeds: 2", "seeds: []", "seeds: [] is not allowed (/mine.yaml:3): must be a whole number."),
    ("label: rows", "together: {seed: [1]}", "stages.classifier.x: together: seed has 1 value, but x has 2 (/mine.yaml:14)."),
    ("  adapted:\n    recipe", "  train:\n    recipe",
     "stages: 'train' cannot be the name of a stage: use letters, and none of task, model, data, train, eval, tracking, generation"
     " (/mine.yaml:4)."),
    ("recipe: distilbert_imdb_mlm", "recipe: distilbert_imdb_mlm\n    series: {a: {}}",
     "stages: adapted has series or x, but only the last stage, classifier, is measured (/mine.yaml:4)."),
    ("metrics: [accuracy, loss]", "metrics: accuracy", "metrics: 'accuracy' is not allowed (/mine.yaml:15): must be a list."),
])  # fmt: skip
def test_wrong_keys_are_named(tmp_path, old, new, expected):
    count = "2 errors" if "\n" in expected else "an error"
    text = message(tmp_path, changed(old, new))
    assert text.startswith(f"/mine.yaml: {count} in the study:\n  ")
    assert sorted(text.split("\n  ")[1:]) == sorted(expected.split("\n  "))


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("${adapted.best}", "${adaptd.best}", "/mine.yaml:13: model.pretrained: ${adaptd.best}: there is no earlier stage adaptd."
     " Did you mean adapted? Earlier stages: adapted."),
    ("${adapted.best}", "${adapted.last}",
     "/mine.yaml:13: model.pretrained: ${adapted.last}: a reference looks like ${STAGE.best}."),
    ("${adapted.best}", "${classifier.best}", "/mine.yaml:13: model.pretrained: ${classifier.best}: there is no earlier stage"
     " classifier. Earlier stages: adapted."),
    ("scratch: {}", "scratch: {seed: 3}", "/mine.yaml:12: seed: a study sets it for each run itself; leave it out."),
    ("scratch: {}", "scratch: {data.limit_train: 3}", "/mine.yaml:12: data.limit_train: it is what x varies; leave it out here."),
    ("scratch: {}", "scratch: {train: {learning_rate: 0.1}}", "/mine.yaml:12: train: this would replace the whole section of the"
     " recipe; write each key with its section, such as train.KEY: VALUE."),
    ("recipe: distilbert_imdb_mlm", "recipe: distilbert_imdb_ml",
     "/mine.yaml:6: recipe distilbert_imdb_ml: there is no such recipe. Did you mean distilbert_imdb_mlm?"),
])  # fmt: skip
def test_wrong_references_and_settings_are_named(tmp_path, old, new, expected):
    assert message(tmp_path, changed(old, new)).startswith(expected)


def test_a_study_without_stages_is_named(tmp_path):
    text = message(tmp_path, "title: a\nquestion: b\nmetrics: [c]\nstages: {}")
    expected = "stages: the mapping is empty (/mine.yaml:4); write at least one entry, such as stages: {NAME: VALUE}."
    assert text == f"/mine.yaml: an error in the study:\n  {expected}"


def test_what_is_no_study_is_said(tmp_path):
    assert message(tmp_path, "- a") == "/mine.yaml: a study is a mapping of keys, but this file contains a list."
    assert (
        message(tmp_path, STUDY, sample=True) == "/mine.yaml: this study has no sample block, so --sample cannot be used with it."
    )
    assert "stages.adapted: 'x' is not allowed" in message(tmp_path, "title: a\nquestion: b\nmetrics: [c]\nstages: {adapted: x}")


def test_a_sample_block_changes_single_keys_and_replaces_series(tmp_path):
    block = """
sample:
  seeds: 1
  stages:
    classifier:
      settings: {task.max_text_length: 6}
      series:
        small: {data.limit_validation: 3}
"""
    file = read_study(str(write_study(tmp_path, STUDY + block)), sample=True)
    stage = file.study.stages["classifier"]
    assert file.study.seeds == 1 and list(stage.series) == ["small"] and stage.x.values == [4, None]
    assert stage.settings == {"task.labels": None, "task.max_text_length": 6, "data.test": "none"}
    [setting] = file.settings("stages", "classifier", "series", "small")
    assert setting == ("data.limit_validation", 3, f"{tmp_path}/mine.yaml:23")


def test_a_stage_that_only_the_sample_block_has_is_named(tmp_path):
    block = "sample:\n  stages:\n    clasifier: {settings: {data.limit_train: 2}}\n"
    expected = "/mine.yaml:18: sample: there is no stage clasifier. Did you mean classifier?"
    assert message(tmp_path, STUDY + block, sample=True) == expected
