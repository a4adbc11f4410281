"""Test the translation of config.json and generation_config.json in both directions, and which fields are refused."""

import json

import pytest

from convert.config import ORIGINAL_KEY, config_to_hf, config_to_paddle
from convert.errors import ConvertError
from convert.families import load_families


def to_paddle(model_type, config, task="base", generation=None, keep=()):
    family = load_families()[model_type]
    entries = family.entries(family.task(task))
    return config_to_paddle(config, generation or {}, entries, (*family.harmless, *keep), "config.json")


def to_hf(model_type, config, task="base", generation=None):
    family = load_families()[model_type]
    return config_to_hf(config, generation or {}, family.entries(family.task(task)), "config.json", has_labels=True)


def test_sizes_dropouts_and_names_of_gpt2():
    config = {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_inner": None, "n_positions": 99, "vocab_size": 50, "resid_pdrop": 0.2,
              "attn_pdrop": 0.3, "embd_pdrop": 0.2, "eos_token_id": 7, "activation_function": "gelu_new"}  # fmt: skip
    result = to_paddle("gpt2", config).config
    assert {key: result[key] for key in (
        "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings",
        "hidden_dropout_prob", "attention_probs_dropout_prob", "hidden_activation", "eos_token_id",
    )} == {
        "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 256,
        "max_position_embeddings": 99, "hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.3,
        "hidden_activation": "gelu", "eos_token_id": 7,
    }  # fmt: skip


def test_a_missing_field_gets_the_default_of_transformers_not_of_paddlenlp():
    result = to_paddle("bert", {"model_type": "bert"}).config
    assert result["type_vocab_size"] == 2 and result["layer_norm_eps"] == 1e-12  # PaddleNLP's own default is 16
    assert to_paddle("gpt2", {}).config["pad_token_id"] is None
    assert to_paddle("bart", {}).config["encoder_layers"] == 12


@pytest.mark.parametrize(
    ("model_type", "field", "value"),
    [
        ("gpt2", "layer_norm_epsilon", 1e-6),
        ("gpt2", "scale_attn_by_inverse_layer_idx", True),
        ("bert", "position_embedding_type", "relative_key"),
        ("bert", "is_decoder", True),
        ("bert", "pruned_heads", {"0": [1]}),
        ("bart", "normalize_before", True),
        ("electra", "layer_norm_eps", 1e-5),
        ("t5", "relative_attention_max_distance", 64),
        ("bert", "quantization_config", {"bits": 4}),
        ("bert", "auto_map", {"AutoModel": "remote--code"}),
    ],
)
def test_a_setting_that_changes_the_computation_and_paddle_lacks_is_refused(model_type, field, value):
    with pytest.raises(ConvertError, match=f"config.json: {field} = .*changes what the model computes"):
        to_paddle(model_type, {field: value})


@pytest.mark.parametrize(
    ("model_type", "field", "value", "task"),
    [
        ("gpt2", "activation_function", "gelu", "base"),  # the exact form, where PaddleNLP always takes the tanh form
        ("bert", "hidden_act", "gelu_new", "base"),
        ("distilbert", "activation", "relu", "masked_lm"),
        ("albert", "layer_norm_eps", 1e-3, "masked_lm"),
        ("t5", "feed_forward_proj", "silu", "base"),
    ],
)
def test_a_value_that_paddle_cannot_express_is_refused(model_type, field, value, task):
    with pytest.raises(ConvertError, match=f"{field} = {value!r} cannot be expressed in PaddleNLP; possible values: "):
        to_paddle(model_type, {field: value}, task)


def test_an_unknown_field_that_may_change_the_computation_needs_keep_field():
    config = {"use_rotary_embedding": True, "attention_sink": 4}
    with pytest.raises(ConvertError, match="use_rotary_embedding = True, attention_sink = 4.*--keep-field"):
        to_paddle("bert", config)
    assert to_paddle("bert", config, keep=("use_rotary_embedding", "attention_sink")).kept_aside == sorted(config)


def test_other_unknown_fields_are_kept():
    config = {"phoneme_chars": "abc", "my_note": {"deep": [1]}, "use_alibi": False, "transformers_version": "9"}
    assert to_paddle("bert", config).kept_aside == sorted(config)


def test_labels():
    translated = to_paddle("bert", {"id2label": {"0": "no", "1": "yes", "2": "maybe"}, "label2id": {"no": 0, "yes": 1, "maybe": 2}})
    assert translated.config["id2label"] == {"0": "no", "1": "yes", "2": "maybe"} and translated.sizes["num_labels"] == 3
    assert to_paddle("bert", {"num_labels": 5}).config["id2label"]["4"] == "LABEL_4"
    assert to_paddle("bart", {}).sizes["num_labels"] == 3 and to_paddle("bert", {}).sizes["num_labels"] == 2


def test_generation_settings():
    config = {"num_beams": 4, "no_repeat_ngram_size": 3, "forced_bos_token_id": 0, "decoder_start_token_id": 2, "max_length": 142}
    result = to_paddle("bart", config, "seq2seq", {"num_beams": 6, "early_stopping": True})
    expected = {**config, "num_beams": 6, "early_stopping": True, "forced_eos_token_id": 2}
    assert {key: result.config[key] for key in expected} == expected
    assert result.generation["num_beams"] == 6 and result.generation["max_length"] == 142


def test_differing_dropouts_are_noted():
    (note,) = to_paddle("gpt2", {"embd_pdrop": 0.0}).notes
    assert note == "embd_pdrop = 0.0 is trained with resid_pdrop = 0.1: PaddleNLP has one for both"


def test_a_value_that_paddle_only_approximates_is_noted():
    (note,) = to_paddle("albert", {}, "masked_lm").notes
    assert note.startswith("layer_norm_eps = 1e-12: PaddleNLP's prediction head normalises with 1e-5 anyway")
    assert to_paddle("albert", {"layer_norm_eps": 1e-5}, "masked_lm").notes == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": [8]}, "config.json: hidden_size = [8] must be a number from 0 to 2147483647"),
        ({"num_hidden_layers": 10**9}, "config.json: num_hidden_layers = 1000000000 must be at most 1000"),
        ({"architectures": "GPTModel"}, "config.json: architectures = 'GPTModel' must be a list of names"),
        ({"id2label": {"a": "x"}}, "config.json: id2label = {'a': 'x'} must be a map from numbers, and label2id one to numbers"),
    ],
)
def test_a_value_of_paddles_file_that_no_model_can_have_is_named_as_in_the_file(changes, message):
    with pytest.raises(ConvertError) as error:
        to_hf("gpt2", {**to_paddle("gpt2", {}).config, **changes})
    assert str(error.value) == message


@pytest.mark.parametrize(("model_type", "heads", "width"), [("bert", "num_attention_heads", "hidden_size = 768"),
                                                             ("gpt2", "n_head", "n_embd = 768"),
                                                             ("bart", "decoder_attention_heads", "d_model = 1024")])  # fmt: skip
@pytest.mark.parametrize("count", [0, 7])
def test_heads_that_do_not_divide_the_width(model_type, heads, width, count):
    with pytest.raises(ConvertError, match=f"^config.json: {heads} = {count} does not divide {width}, so there is no such model$"):
        to_paddle(model_type, {heads: count})


def test_a_dropout_of_none_in_paddle_takes_the_value_of_another_field():
    paddle = {**to_paddle("bart", {}).config, "classifier_dropout": None, "dropout": 0.3}
    assert to_hf("bart", paddle)[0]["classifier_dropout"] == 0.3


def test_a_dropout_of_none_in_both_files_comes_back_as_none():
    original = {"model_type": "bart", "classifier_dropout": None}
    paddle = {**to_paddle("bart", original).config, ORIGINAL_KEY: {"config": original}}
    assert to_hf("bart", paddle)[0] == original
    assert to_hf("bart", {**paddle, "classifier_dropout": 0.2})[0] == {**original, "classifier_dropout": 0.2}


@pytest.mark.parametrize("model_type", sorted(load_families()))
def test_a_round_trip_gives_the_same_file(model_type):
    family = load_families()[model_type]
    for task in family.tasks:
        if task.untied:
            continue
        original = {"model_type": model_type, "architectures": [task.hf_class], "odd": 1, "dropout": 0.25, "num_beams": 3}
        translated = to_paddle(model_type, original, task.name, {"num_beams": 5})
        paddle = json.loads(json.dumps({**translated.config, ORIGINAL_KEY: {"config": original, "generation": {"num_beams": 5}}}))
        assert to_hf(model_type, paddle, task.name) == (original, {"num_beams": 5})


@pytest.mark.parametrize(
    ("model_type", "expected"),
    [  # the defaults of transformers' configuration classes
        ("roberta", {"vocab_size": 50265, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "layer_norm_eps": 1e-12}),
        ("distilbert", {"vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 6, "intermediate_size": 3072,
                        "hidden_act": "gelu", "pad_token_id": 0, "layer_norm_eps": 1e-12}),
        ("bart", {"vocab_size": 50265, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2,
                  "forced_eos_token_id": 2, "scale_embedding": False, "max_position_embeddings": 1024}),
        ("gpt2", {"vocab_size": 50257, "bos_token_id": 50256, "eos_token_id": 50256, "hidden_activation": "gelu"}),
        ("pegasus", {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "forced_eos_token_id": 1}),
        ("t5", {"vocab_size": 32128, "pad_token_id": 0, "eos_token_id": 1, "layer_norm_epsilon": 1e-6,
                "relative_attention_num_buckets": 32, "feed_forward_proj": "relu", "num_decoder_layers": 6}),
        ("electra", {"embedding_size": 128, "hidden_size": 256, "hidden_act": "gelu", "pad_token_id": 0}),
        ("albert", {"layer_norm_eps": 1e-12, "hidden_act": "gelu_new", "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}),
    ],
)  # fmt: skip
def test_an_empty_file_gets_the_defaults_of_transformers(model_type, expected):
    config = to_paddle(model_type, {}).config
    assert {key: config[key] for key in expected} == expected


def test_the_dropouts_of_distilbert():
    config = to_paddle("distilbert", {"dropout": 0.2, "attention_dropout": 0.3}).config
    assert (config["hidden_dropout_prob"], config["attention_probs_dropout_prob"]) == (0.2, 0.3)


@pytest.mark.parametrize("value", ["x", [3], -1, 10**12])
def test_an_optional_size_must_be_a_number(value):
    with pytest.raises(ConvertError, match="n_inner = .* must be a number from 0"):
        to_paddle("gpt2", {"n_inner": value})
    with pytest.raises(ConvertError, match="num_decoder_layers = .* must be"):
        to_paddle("t5", {"num_decoder_layers": value})


def test_a_setting_of_generation_config_comes_back_in_its_own_file():
    """Recent versions of transformers write null into config.json and the value into generation_config.json."""
    original, generation = {"model_type": "bart", "forced_eos_token_id": None}, {"forced_eos_token_id": 12}
    paddle = to_paddle("bart", original, generation=generation).config
    assert paddle["forced_eos_token_id"] == 12
    assert to_hf("bart", {**paddle, ORIGINAL_KEY: {"config": original, "generation": generation}}) == (original, generation)


def test_changes_made_to_the_paddle_config_appear_in_the_result():
    original = {"model_type": "bert", "hidden_dropout_prob": 0.1, "num_beams": 3}
    paddle = {**to_paddle("bert", original).config, ORIGINAL_KEY: {"config": original}}
    paddle.update({"hidden_dropout_prob": 0.5, "id2label": {"0": "a", "1": "b"}, "num_beams": 7})
    config, _ = to_hf("bert", paddle)
    assert config == {**original, "hidden_dropout_prob": 0.5, "id2label": {"0": "a", "1": "b"},
                      "label2id": {"LABEL_0": 0, "LABEL_1": 1}, "num_beams": 7}  # fmt: skip


def test_a_config_made_by_paddlenlp_gets_every_field():
    paddle = dict(to_paddle("gpt2", {"n_inner": 100}).config)
    config, _ = to_hf("gpt2", paddle)
    assert config["n_inner"] == 100 and config["activation_function"] == "gelu_new" and config["embd_pdrop"] == 0.1
    del paddle["hidden_size"]
    with pytest.raises(ConvertError, match="hidden_size is missing, so the model's n_embd is not known"):
        to_hf("gpt2", paddle)


def test_a_paddle_setting_that_transformers_lacks_is_refused():
    paddle = {**to_paddle("bert", {}).config, "pool_act": "relu"}
    with pytest.raises(ConvertError, match="pool_act = 'relu' has no counterpart in transformers, which computes 'tanh'"):
        to_hf("bert", paddle)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"hidden_size": "768"}, "hidden_size = '768' must be a number from 0"),
        ({"hidden_size": -8}, "hidden_size = -8 must be a number from 0"),
        ({"hidden_size": 7.5}, "hidden_size = 7.5 must be a number from 0"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers = 1000000000 must be at most 1000"),
        ({"vocab_size": 10**12}, "vocab_size = 1000000000000 must be a number from 0"),
        ({"layer_norm_eps": [1]}, r"layer_norm_eps = \[1\] must be a number"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings = 'no' must be true or false"),
        ({"architectures": "BertModel"}, "architectures = 'BertModel' must be a list of names"),
        ({"id2label": ["a", "b"]}, r"id2label = \['a', 'b'\] must be an object"),
        ({"id2label": {"a": "b"}}, "id2label = .* must be a map from numbers"),
        ({"id2label": {"0": ["a"]}}, "id2label = .* must be a map from numbers to texts"),
        ({"num_labels": "x"}, "num_labels = 'x' must be a number from 0"),
        ({"num_labels": 10**12}, "num_labels = 1000000000000 must be a number from 0"),
        ({"hidden_size": None}, "hidden_size = None must be a number"),
        ({"hidden_act": ["gelu"]}, r"hidden_act = \['gelu'\] must be a text or a number"),
        ({"pad_token_id": "x"}, "pad_token_id = 'x' must be a number"),
        ({"classifier_dropout": "x"}, "classifier_dropout = 'x' must be a number"),
        ({"layer_norm_eps": 0.1}, "layer_norm_eps = 0.1 must be from 0 to 0.001, the range of Paddle's layer norm"),
    ],
)
def test_values_of_the_wrong_type_are_named(config, message):
    with pytest.raises(ConvertError, match=message):
        to_paddle("bert", config)


# The fields of released checkpoints' configuration files other than sizes.
RELEASED = {
    "bert-base-chinese": {
        "model_type": "bert", "directionality": "bidi", "pooler_fc_size": 768, "pooler_num_attention_heads": 12,
        "pooler_num_fc_layers": 3, "pooler_size_per_head": 128, "pooler_type": "first_token_transform", "use_cache": True,
        "position_embedding_type": "absolute", "gradient_checkpointing": False, "output_past": True,
    },
    "distilbert-base-uncased": {
        "model_type": "distilbert", "activation": "gelu", "sinusoidal_pos_embds": False, "tie_weights_": True,
        "seq_classif_dropout": 0.2, "qa_dropout": 0.1,
    },
    "bart-base": {
        "model_type": "bart", "add_bias_logits": False, "add_final_layer_norm": False, "classif_dropout": 0.1,
        "normalize_before": False, "normalize_embedding": True, "num_hidden_layers": 6, "encoder_layerdrop": 0.1,
        "early_stopping": True, "num_beams": 4, "no_repeat_ngram_size": 3, "forced_bos_token_id": 0,
        "task_specific_params": {"summarization": {"length_penalty": 1.0}}, "output_hidden_states": True,
    },
    "bart-base-chinese": {
        "model_type": "bart", "bos_token_id": 101, "eos_token_id": 102, "decoder_start_token_id": 102, "pad_token_id": 0,
        "forced_eos_token_id": 102, "tokenizer_class": "BertTokenizer", "vocab_size": 51271,
    },
    "gpt2": {
        "model_type": "gpt2", "n_ctx": 1024, "summary_activation": None, "summary_first_dropout": 0.1, "summary_type": "cls_index",
        "summary_proj_to_labels": True, "summary_use_proj": True, "task_specific_params": {"text-generation": {"max_length": 50}},
    },
    "roberta-base": {"model_type": "roberta", "type_vocab_size": 1, "max_position_embeddings": 514, "classifier_dropout": None},
    "electra-small": {
        "model_type": "electra", "embedding_size": 128, "num_hidden_groups": 1, "summary_activation": "gelu",
        "summary_last_dropout": 0.1, "summary_type": "first", "summary_use_proj": True,
    },
    "albert-base-v2": {
        "model_type": "albert", "down_scale_factor": 1, "gap_size": 0, "inner_group_num": 1, "layers_to_keep": [],
        "net_structure_type": 0, "num_hidden_groups": 1, "num_memory_blocks": 0, "classifier_dropout_prob": 0.1,
    },
    "t5-small": {
        "model_type": "t5", "n_positions": 512, "output_past": True, "d_ff": 2048, "layer_norm_epsilon": 1e-06,
        "feed_forward_proj": "relu", "is_gated_act": False, "dense_act_fn": "relu", "relative_attention_max_distance": 128,
        "task_specific_params": {"summarization": {"early_stopping": True}},
    },
    "pegasus-xsum": {
        "model_type": "pegasus", "add_bias_logits": False, "add_final_layer_norm": True, "extra_pos_embeddings": 0,
        "force_bos_token_to_be_generated": False, "normalize_before": True, "normalize_embedding": False,
        "static_position_embeddings": True, "activation_function": "relu", "length_penalty": 0.6, "num_beams": 8,
    },
    "mbart-large-cc25": {
        "model_type": "mbart", "_num_labels": 3, "add_bias_logits": False, "add_final_layer_norm": True,
        "normalize_before": True, "normalize_embedding": True, "static_position_embeddings": False, "output_past": True,
    },
    "ernie-3.0-base-zh": {"model_type": "ernie", "use_task_id": True, "task_id": 0, "task_type_vocab_size": 3, "fuse": False},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(RELEASED))
def test_the_files_of_released_checkpoints_are_accepted(name):
    config = RELEASED[name]
    result = to_paddle(config["model_type"], config)
    for field in ("decoder_start_token_id", "forced_bos_token_id", "num_beams", "length_penalty"):
        if field in config:
            assert result.config[field] == config[field]
