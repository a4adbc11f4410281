"""Test that the generated ids equal those of transformers with the same weights, in a padded batch."""

import pytest

from paddle_ft.generation import GenerationOptions, generate
from tests.support.generation_checkpoints import MODELS, batch, reference

CASES = [(model, case) for model in MODELS for case in reference()[model]["cases"]]


def trimmed(row: list[int], prompt: list[int], mask: list[int], eos: int) -> list[int]:
    """Return a row of transformers' result without the padding before the prompt and after the end token."""
    skip = mask.index(1) if prompt else 0
    end = row.index(eos, len(prompt)) + 1 if eos in row[len(prompt) :] else len(row)
    return row[skip:end]


def expected(model: str, case: dict) -> list[list[list[int]]]:
    stored = reference()[model]
    count = case["options"].get("num_return_sequences", 1)
    rows = []
    for number, row in enumerate(case["ids"]):
        prompt = stored["input_ids"][number // count] if model == "gpt2" else []
        rows.append(trimmed(row, prompt, stored["attention_mask"][number // count], stored["config"]["eos_token_id"]))
    return [rows[start : start + count] for start in range(0, len(rows), count)]


@pytest.mark.parametrize(("model", "case"), CASES)
def test_ids_equal_those_of_transformers(model, case):
    case = reference()[model]["cases"][case]
    ids, mask = batch(model)
    assert generate(MODELS[model](), ids, mask, GenerationOptions(**case["options"])) == expected(model, case)
