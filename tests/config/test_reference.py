"""Test that docs/configuration.md lists every setting of the schema, as the schema describes it."""

import re

import pytest

from paddle_ft.config.load import load_config
from paddle_ft.config.recipes import recipe_names
from tests.config.make_reference import PAGE, with_tables
from tests.support.settings import keys

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_is_current():
    """If this fails, run `make docs` (or `python -m tests.config.make_reference`)."""
    assert with_tables(TEXT) == TEXT


@pytest.mark.parametrize("recipe", recipe_names())
def test_every_setting_of_a_recipe_is_on_the_page(recipe):
    """The keys come from the loaded recipe and not from the script that writes the page."""
    config = load_config(recipe)
    wanted = {key for key in keys(config.model_dump()) if "." in key and not key.startswith(("model.config.", "data.columns."))}
    rows = re.findall(r"^\| `([\w.]+)` \| .+ \| .+ \| .+ \|$", TEXT, re.MULTILINE)
    assert wanted - set(rows) == set()


def test_allowed_values_defaults_and_tasks_are_shown():
    assert "| `train.train_batch_size` | whole number >= 1 | `18` | rows per batch and device |" in TEXT
    assert "| `train.sharding` | `none`, `stage1`, `stage2`, `stage3` | `none` |" in TEXT
    assert "### `task` for masked_lm" in TEXT and "Only for lyrics and summarization." in TEXT
