"""Test that the recipes of the generating models have the tutorials' numbers, so an unchanged recipe runs the tutorial."""

import pytest

from paddle_ft.config.load import load_config

RECIPES = {
    "bart_lyrics": {
        "seed": 2022,
        "model.pretrained": "bart-base",
        "data.source": "songs",
        "task.context_lines": 1,
        "task.noise": 0.25,
        "task.prefix": False,
        "task.validation_share": 0.1,
        "task.test_share": 0.1,
        "task.max_source_length": 64,
        "task.max_target_length": 48,
        "train.num_train_epochs": 10,
        "train.max_steps": -1,
        "train.train_batch_size": 32,
        "train.gradient_accumulation_steps": 1,
        "train.learning_rate": 2e-5,
        "train.warmup_proportion": 0.1,
        "train.weight_decay": 0.01,
        "generation.num_beams": 4,
    },
    "gpt2_booksum": {
        "seed": 2022,
        "model.pretrained": "openai-community/gpt2",
        "data.source": "booksummaries",
        "data.on_bad_row": "skip",
        "task.max_text_length": 1024,
        "task.packed": False,
        "task.metadata": [],
        "task.validation_share": 0.2,
        "task.test_share": 0.1,
        "train.num_train_epochs": 5,
        "train.max_steps": -1,
        "train.train_batch_size": 2,
        "train.gradient_accumulation_steps": 1,
        "train.learning_rate": 5e-5,
        "train.warmup_proportion": 0.0,
        "train.warmup_steps": 0,
        "train.adam_epsilon": 1e-8,
        "train.weight_decay": 0.0,
    },
    "bart_lcsts": {
        "seed": 2022,
        "model.pretrained": "fnlp/bart-base-chinese",
        "data.source": "lcsts_new",
        "task.max_source_length": 512,
        "task.max_target_length": 128,
        "task.min_target_length": 0,
        "task.ignore_pad_token_for_loss": True,
        "train.num_train_epochs": 3,
        "train.max_steps": -1,
        "train.train_batch_size": 18,
        "train.gradient_accumulation_steps": 1,
        "train.learning_rate": 1e-5,
        "train.warmup_proportion": 0.1,
        "train.warmup_steps": 0,
        "train.adam_epsilon": 1e-6,
        "train.weight_decay": 0.01,
        "train.use_amp": False,
        "train.scale_loss": 32768,
        "train.save_steps": 3000,
        "train.logging_steps": 200,
        "eval.eval_batch_size": 16,
        "generation.num_beams": 4,
    },
}
RECIPES["bart_lcsts_english"] = {**RECIPES["bart_lcsts"], "model.pretrained": "bart-base"}


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_numbers_of_a_recipe(recipe):
    config = load_config(recipe, ["data.train=songs/"] if recipe == "bart_lyrics" else [])
    values = {}
    for key in RECIPES[recipe]:
        value = config
        for name in key.split("."):
            value = getattr(value, name)
        values[key] = value
    assert values == RECIPES[recipe]


def test_the_default_of_noise_is_a_quarter():
    from paddle_ft.tasks.lyrics.task import Options

    assert Options(name="lyrics").noise == 0.25
