"""Test which recipes and overrides are accepted, and the exact messages for those that are refused."""

import pytest
import yaml

from paddle_ft.config.describe import describe, to_yaml
from paddle_ft.config.load import build_schema, load_config, parse_override
from paddle_ft.config.recipes import CONFIG_FOLDER, recipe_names
from paddle_ft.system.errors import UserError


def message(*args, **kwargs) -> str:
    with pytest.raises(UserError) as caught:
        load_config(*args, **kwargs)
    return str(caught.value)


def test_every_recipe_loads_also_as_a_sample():
    names = recipe_names()
    assert "bart_lcsts" in names
    for name in names:
        assert load_config(name).recipe == name
        if "sample" in yaml.safe_load((CONFIG_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")):
            assert load_config(name, sample=True).sample is True


def test_overrides_win_and_are_read_as_yaml():
    config = load_config(
        "bart_lcsts", ["train.learning_rate=3e-5", "data.columns={source: 1, target: 0}", "eval.eval_steps=null", "seed=1"]
    )
    assert config.train.learning_rate == 3e-5
    assert config.data.columns == {"source": 1, "target": 0}
    assert config.eval.eval_steps is None
    assert config.seed == 1


def test_a_value_may_hold_an_equals_sign():
    assert parse_override("output_dir=runs/a=b") == ("output_dir", "runs/a=b")


def test_one_message_lists_all_errors_with_key_value_origin_and_what_is_allowed():
    text = message("bart_lcsts", ["train.learning_rat=3", "train.train_batch_size=-2", "seed=1.5", "train.use_amp=1"])
    assert text.splitlines()[0] == "configs/bart_lcsts.yaml: 4 errors in the configuration:"
    assert set(text.splitlines()[1:]) == {
        "  seed: 1.5 is not allowed (command line: seed=1.5): must be a whole number.",
        "  train.train_batch_size: -2 is not allowed (command line: train.train_batch_size=-2): must be greater than or"
        " equal to 1.",
        "  train.use_amp: 1 is not allowed (command line: train.use_amp=1): must be true or false.",
        "  train.learning_rat: there is no such key (command line: train.learning_rat=3). Did you mean train.learning_rate?",
    }


def test_a_key_in_the_wrong_place_is_found():
    assert "learning_rate: there is no such key" in message("bart_lcsts", ["learning_rate=1e-4"])
    assert "Did you mean train.learning_rate?" in message("bart_lcsts", ["learning_rate=1e-4"])


def test_text_is_not_accepted_as_a_number():
    assert "train.train_batch_size: 'many' is not allowed" in message("bart_lcsts", ["train.train_batch_size=many"])


def test_an_error_in_a_file_names_its_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("task:\n  name: summarization\nmodel:\n  pretrained: x\ndata:\n  source: lcsts_new\ntrain:\n  max_step: 3\n")
    assert f"train.max_step: there is no such key ({path}:8). Did you mean train.max_steps?" in message(str(path))


def test_combinations_are_checked():
    assert "min_target_length (200) is above max_target_length (128)" in message("bart_lcsts", ["task.min_target_length=200"])
    assert "exactly one of pretrained and config must be set, both are" in message("bart_lcsts", ["model.config={d_model: 8}"])
    assert "exactly one of pretrained and config must be set, neither is" in message("bart_lcsts", ["model.pretrained=null"])
    assert "no training data: set source, or train to a file" in message("bart_lcsts", ["data.source=null"])
    assert "max_steps is 0" in message("bart_lcsts", ["train.max_steps=0"])


def test_unknown_recipe_file_and_task(tmp_path):
    assert message("bart_lcst").startswith("--config bart_lcst: there is no such recipe. Did you mean bart_lcsts? Recipes: ")
    assert message("nope.yaml").startswith("--config nope.yaml: there is no such file.")
    text = message("bart_lcsts", ["task.name=summarisation"])
    assert text.startswith("task.name: 'summarisation' is not a task (command line: task.name=summarisation).")
    assert "Did you mean summarization?" in text


def test_yaml_mistakes_name_file_and_line(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("seed: 1\ntask: [\n")
    assert message(str(path)).startswith(f"{path}:3: not valid YAML: ")
    path.write_text("seed: 1\ntrain: {}\nseed: 2\n")
    assert message(str(path)) == f"{path}:3: the key 'seed' is given twice (first on line 1): remove one."
    path.write_text("- a\n")
    assert message(str(path)) == f"{path}: a recipe is a mapping of sections, but this file contains a list."


def test_a_malformed_override_is_refused():
    with pytest.raises(UserError, match="an override looks like section.key=value"):
        parse_override("train.learning_rate")


def test_sample_needs_a_sample_block(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("task: {name: summarization}\nmodel: {pretrained: x}\ndata: {source: lcsts_new}\n")
    assert message(str(path), sample=True) == f"{path}: this recipe has no sample block, so --sample cannot be used with it."


def test_the_printed_and_the_saved_configuration_load_again_unchanged(tmp_path):
    config = load_config("bart_lcsts", ["train.learning_rate=3e-5"], sample=True)
    for name, text in {"printed.yaml": describe(config), "saved.yaml": to_yaml(config)}.items():
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        assert load_config(str(path)).model_dump() == config.model_dump()


def test_every_field_has_a_meaning():
    def fields(schema):
        for name, info in schema.model_fields.items():
            kind = info.annotation
            if isinstance(kind, type) and hasattr(kind, "model_fields"):
                yield from fields(kind)
            else:
                yield name, info

    missing = [name for name, info in fields(build_schema("summarization")) if not info.description]
    assert missing == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nname: a\x07b\n", "{path}:2: not valid YAML: the character '\\x07' is not allowed"),
        ("? [a, b]\n: 1\n", "{path}"),
        ("a: &a [*a]\n", "{path}"),
    ],
)
def test_unusual_yaml_is_refused_with_a_message(tmp_path, text, message):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    assert message.format(path=path) in globals()["message"](str(path))


def test_numbers_must_be_finite_and_a_mapping_names_its_key():
    assert "train.learning_rate: inf is not allowed" in message("bart_lcsts", ["train.learning_rate=.inf"])
    assert "train.num_train_epochs: inf is not allowed" in message("bart_lcsts", ["train.num_train_epochs=.inf"])
    text = message("bart_lcsts", ["data.on_bad_row=skip", "data.columns.source=1.5"])
    assert "data.columns.source: 1.5 is not allowed (command line: data.columns.source=1.5)" in text


@pytest.mark.parametrize(("old", "now"), [("linear", "first_token"), ("lstm_attention", "lstm_attention")])
def test_the_pooling_of_a_classifier_is_read_under_its_name_in_version_0_1(old, now):
    model = load_config("distilbert_sst2", [f"model.head={old}"]).model
    assert (model.pooling, model.head) == (now, "auto")
    assert model == load_config("distilbert_sst2", [f"model.pooling={now}"]).model


def test_a_head_can_start_anew_on_purpose_only_in_a_classification():
    assert load_config("distilbert_sst2", ["model.head=new"]).model.head == "new"
    assert "model.head: 'new' is not allowed (command line: model.head=new): must be auto or keep" in message(
        "bart_lcsts", ["model.head=new"]
    )


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("0x_", "int"),
        ("0b_", "int"),
        ("2001-99-99", "timestamp"),
        ("!!int x", "int"),
        ("!!bool x", "bool"),
        ("!!timestamp x", "timestamp"),
    ],
)
def test_a_value_that_is_not_what_it_looks_like(value, kind):
    text = message("bart_lcsts", [f"seed={value}"])
    scalar = value.removeprefix("!!int ").removeprefix("!!bool ").removeprefix("!!timestamp ")
    assert text == f"command line: seed:1: not valid YAML: {scalar!r} is not a valid {kind}; put it in quotes if it is text"


@pytest.mark.parametrize("value", ["9" * 400, "0x" + "a" * 5000, "18446744073709551616", "1" + ":59" * 40])
def test_a_number_that_is_too_large(value):
    text = message("bart_lcsts", [f"seed={value}"])
    assert text == f"command line: seed:1: not valid YAML: {value[:60]!r} is too large a number; put it in quotes if it is text"


def test_a_long_value_is_cut_in_messages():
    assert message("bart_lcsts", [f"seed={'x' * 5000}"]).count("x") < 5300  # once where it was set, and its beginning


def test_a_value_that_contains_itself(tmp_path):
    for key, value in (("model.config", "&a {b: *a}"), ("data.train", "&a [*a]")):
        assert message("bart_lcsts", [f"{key}={value}"]) == f"command line: {key}:1: not a configuration: a value contains itself"


def test_aliases_of_aliases_are_not_written_out(tmp_path):
    """Thirty lines would stand for 2**30 values."""
    lines = ["a0: &a0 {x: 1}", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 31))]
    (tmp_path / "mine.yaml").write_text("\n".join(lines))
    assert message(str(tmp_path / "mine.yaml")).endswith(":16: not a configuration: it has more than 100,000 values")


def test_a_file_in_another_encoding_is_named_with_its_line(tmp_path):
    (tmp_path / "mine.yaml").write_bytes("extends: bart_lcsts\n# 新闻摘要\n".encode("gbk"))
    with pytest.raises(UserError, match=r"mine.yaml:2: this is not UTF-8: save the file as UTF-8\.$"):
        load_config(str(tmp_path / "mine.yaml"))


def test_a_path_that_is_not_there_is_not_taken_for_a_misspelled_recipe():
    assert "Did you mean" not in message("/nowhere/bart_lcst.yaml") and "Did you mean bart_lcsts" in message("bart_lcst.yaml")
