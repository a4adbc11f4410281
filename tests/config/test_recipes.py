"""Test that the classifiers' recipes have the tutorials' numbers. A typo in a YAML file would silently change the results."""

import pytest

from paddle_ft.config.load import load_config
from paddle_ft.tasks.classification.labels import class_names, to_classes

TRAIN = {"train_batch_size": 32, "num_train_epochs": 3, "learning_rate": 2e-5, "warmup_proportion": 0.1, "warmup_steps": 0,
         "max_steps": -1, "gradient_accumulation_steps": 1, "adam_epsilon": 1e-8, "weight_decay": 0.01,
         "group_by_length": True, "max_tokens_per_batch": None, "use_amp": False}  # fmt: skip
TREEBANK = {"source": "stanfordnlp/sst", "name": None, "columns": {"text": "sentence"}, "train": None, "validation": None,
            "test": None}  # fmt: skip
CLASSIFIERS = {
    "distilbert_sst2": {
        "model": {"pretrained": "distilbert-base-uncased", "pooling": "first_token"},
        "task": {"labels": ["negative", "positive"], "round_labels": True, "max_text_length": 128},
        "data": TREEBANK,
    },
    "bert_sst2": {
        "model": {"pretrained": "bert-large-uncased", "pooling": "first_token"},
        "task": {"labels": ["negative", "positive"], "round_labels": True, "max_text_length": 128},
        "data": TREEBANK,
    },
    "distilbert_qqp": {
        "model": {"pretrained": "distilbert-base-uncased", "pooling": "first_token"},
        "task": {"labels": ["different", "duplicate"], "round_labels": False, "max_text_length": 128},
        "data": {"source": "glue", "name": "qqp", "test": "none", "train": None, "validation": None,
                 "columns": {"text": "sentence1", "text_pair": "sentence2", "label": "labels"}},
    },
    "distilbert_imdb_cls": {
        "model": {"pretrained": "distilbert/distilbert-base-uncased", "pooling": "first_token"},
        "task": {"labels": ["neg", "pos"], "round_labels": False, "max_text_length": 512},
        "data": {"source": "aclimdb", "train": None, "validation": "test", "test": "test", "limit_train": None,
                 "limit_validation": 2000, "limit_test": None},
    },
}  # fmt: skip


def assert_values(section, expected):
    assert {name: getattr(section, name) for name in expected} == expected


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_numbers_of_the_classifiers(name):
    config = load_config(name)
    assert (config.seed, config.task.name) == (2022, "classification")
    assert_values(config.train, TRAIN)
    for section, expected in CLASSIFIERS[name].items():
        assert_values(getattr(config, section), expected)
    assert_values(config.task, {"loss": "cross_entropy", "class_weights": None, "label_smoothing": 0.0})


@pytest.mark.parametrize(("name", "values", "expected"), [
    ("distilbert_sst2", ["0.2", "0.5", "0.51", "0.9"], ["negative", "negative", "positive", "positive"]),
    ("bert_sst2", ["0.2", "0.5", "0.51", "0.9"], ["negative", "negative", "positive", "positive"]),
    ("distilbert_qqp", ["0", "1"], ["different", "duplicate"]),  # GLUE: is_duplicate
    ("distilbert_imdb_cls", ["0", "1", "neg", "pos"], ["neg", "pos", "neg", "pos"]),  # Hugging Face's numbers, aclImdb's folders
])  # fmt: skip
def test_labels_are_mapped_to_the_right_classes(name, values, expected):
    options = load_config(name).task
    names = class_names(values, options)
    assert [names[number] for number in to_classes(values, names, options, "train")] == expected


def test_the_numbers_of_masked_language_modelling():
    config = load_config("distilbert_imdb_mlm")
    assert (config.seed, config.task.name, config.model.pretrained) == (2022, "masked_lm", "distilbert/distilbert-base-uncased")
    assert_values(config.task, {
        "chunk_size": 128, "last_chunk": "drop", "train_chunks": 10_000, "eval_chunks": 1_000, "masking": "token",
        "mask_probability": None, "replacement": None,
    })  # fmt: skip
    assert_values(config.train, {**TRAIN, "train_batch_size": 64, "warmup_proportion": 0.0, "group_by_length": False})
    assert_values(config.data, {"source": "aclimdb", "train": "train", "validation": "test", "test": "none", "limit_train": None})
