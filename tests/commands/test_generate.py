"""Flags of `generate`: as keywords of GenerationOptions, and refused where they belong to another task."""

import argparse

import pytest

from paddle_ft.commands import generate
from paddle_ft.generation import GenerationOptions
from paddle_ft.runs.write_texts import refuse_flags_of_other_tasks, search_options
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.base import Flag


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    generate.add_arguments(parser)
    return vars(parser.parse_intermixed_args(["runs/x", *arguments]))


def search(*arguments, seed=7):
    return search_options(parsed(*arguments), seed)


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
    GenerationOptions(max_new_tokens=5, **expected)  # which accepts them


def test_more_texts_than_beams_are_refused_in_the_words_of_the_flags():
    advice = "--num-return 3: without sampling there are as many different texts as beams, here {}. Set --beams to 3 or more, or"
    for flags, beams in ((("--num-return", "3"), 1), (("--num-return", "3", "--beams", "2"), 2)):
        with pytest.raises(UserError) as caught:
            search(*flags)
        assert str(caught.value).startswith(advice.format(beams))
    assert search_options(parsed("--num-return", "3"), 7, beams=4) == {"num_return_sequences": 3}
    assert search_options(parsed("--num-return", "3"), 7, by_chance=True) == {"num_return_sequences": 3}


def test_a_flag_of_another_task_is_named():
    flags = parsed("--prompt", "x")
    refuse_flags_of_other_tasks(flags, "causal_lm", "runs/x")
    with pytest.raises(UserError, match="--prompt is for runs of causal_lm, but runs/x is a run of lyrics"):
        refuse_flags_of_other_tasks(flags, "lyrics", "runs/x")


def test_a_flag_of_two_tasks_is_shown_once_for_both():
    parser = argparse.ArgumentParser()
    generate.add_arguments(parser)
    text = " ".join(parser.format_help().split())
    assert text.count("--genre") == 2  # in the usage and in one group
    shared = text[text.index("for runs of causal_lm and lyrics:") :]
    assert (
        "--genre NAMES|NAME causal_lm: genres to prompt with, for runs trained with task.metadata;"
        " lyrics: genre or artist, for a run trained with task.prefix"
    ) in shared


def test_a_flag_of_two_tasks_must_have_one_type(monkeypatch):
    flags = {"haiku": (Flag("season", str, "NAME", "season"),), "sonnet": (Flag("season", int, "N", "number of the season"),)}
    monkeypatch.setattr("paddle_ft.tasks.generation_flags", lambda: flags)
    with pytest.raises(UserError, match=r"--season has different types \(str in haiku, int in sonnet\)"):
        generate.add_arguments(argparse.ArgumentParser())


def test_a_tasks_flag_that_generate_has_already_is_refused(monkeypatch):
    flags = {"haiku": (Flag("seed", int, "N", "seed of the season"),)}
    monkeypatch.setattr("paddle_ft.tasks.generation_flags", lambda: flags)
    with pytest.raises(UserError, match="task haiku: --seed is a flag of generate already"):
        generate.add_arguments(argparse.ArgumentParser())
