"""Flags of `generate` as options of generation, and flags that belong to another task."""

import argparse

import pytest

from paddle_ft.commands import generate
from paddle_ft.generation import GenerationOptions
from paddle_ft.system.errors import UserError


def options(*flags):
    parser = argparse.ArgumentParser()
    generate.arguments(parser)
    return parser.parse_intermixed_args(["runs/x", *flags])


def search(*flags, seed=7):
    return generate.search_options(options(*flags), seed)


@pytest.mark.parametrize(("flags", "expected"), [
    ((), {"num_return_sequences": 1}),
    (("--beams", "4", "--num-return", "2"), {"num_return_sequences": 2, "num_beams": 4, "early_stopping": True}),
    (("--top-k", "50"), {"num_return_sequences": 1, "do_sample": True, "seed": 7, "top_k": 50}),
    (("--top-p", "0.9", "--temperature", "0.7", "--seed", "3"),
     {"num_return_sequences": 1, "do_sample": True, "seed": 3, "top_p": 0.9, "temperature": 0.7}),
    (("--repetition-penalty", "1.2", "--no-repeat-ngram", "3"),
     {"num_return_sequences": 1, "repetition_penalty": 1.2, "no_repeat_ngram_size": 3}),
])  # fmt: skip
def test_flags_become_options(flags, expected):
    assert search(*flags) == expected
    GenerationOptions(max_new_tokens=5, **expected)  # and generation takes them


def test_several_greedy_texts_are_refused_by_generation():
    with pytest.raises(UserError, match="num_return_sequences is 3"):
        GenerationOptions(max_new_tokens=5, **search("--num-return", "3"))


def test_a_flag_of_another_task_is_named():
    given = options("--prompt", "x")
    generate._refuse_other_flags(given, "causal_lm")
    with pytest.raises(UserError, match="--prompt is for runs of causal_lm; runs/x is one of lyrics"):
        generate._refuse_other_flags(given, "lyrics")
