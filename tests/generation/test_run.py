"""Test generate, generate_all and stream: order, independence of rows, the model's mode, and errors."""

import re

import numpy as np
import paddle
import pytest

from paddle_ft.generation import GenerationOptions, generate, generate_all, stream
from paddle_ft.generation.constraints import banned_ngram_tokens
from paddle_ft.system.errors import UserError
from tests.support.generation_checkpoints import MODELS, bart, batch, gpt2

INPUTS = [[7, 8, 9], [30], [11, 12, 13, 14, 15], [40, 41], [9, 9, 9, 9], [20] * 8]


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("model", MODELS)
def test_rows_do_not_influence_each_other(model, beams):
    """The rows of a padded batch finish at different steps, and each gives the same result as alone."""
    options = GenerationOptions(max_new_tokens=20, num_beams=beams, num_return_sequences=min(beams, 2))
    alone = [generate(MODELS[model](), [ids], None, options)[0] for ids in INPUTS]
    assert len({len(sequences[0]) for sequences in alone}) >= 3
    assert generate_all(MODELS[model](), INPUTS, options, 6) == alone
    assert generate_all(MODELS[model](), INPUTS, options, 2) == alone


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "settings", [{}, {"do_sample": True, "seed": 3, "temperature": 1.5, "top_k": 20}, {"no_repeat_ngram_size": 2}]
)
def test_a_stream_gives_the_generated_ids_one_by_one(model, settings):
    options = GenerationOptions(max_new_tokens=15, **settings)
    for ids in INPUTS:
        ((sequence,),) = generate(MODELS[model](), [ids], None, options)
        start = sequence[:1] if model == "bart" else ids
        assert start + list(stream(MODELS[model](), ids, options)) == sequence


def test_a_stream_does_not_wait_for_the_end():
    steps = stream(gpt2(), [7, 8, 9], GenerationOptions(max_new_tokens=20, eos_token_id=59))
    first = [next(steps), next(steps)]
    assert paddle.is_grad_enabled()
    assert (
        first + list(steps) == generate(gpt2(), [[7, 8, 9]], None, GenerationOptions(max_new_tokens=20, eos_token_id=59))[0][0][3:]
    )


@pytest.mark.parametrize("model", MODELS)
def test_mode_and_gradients_are_left_as_they_were(model):
    """Generation has no dropout even in train mode, and a sublayer that was in eval mode stays in it."""
    ids, mask = batch(model)
    options = GenerationOptions(max_new_tokens=8, num_beams=2)
    module = MODELS[model]()
    expected = generate(module, ids, mask, options)
    module.train()
    frozen = module.sublayers()[5]
    frozen.eval()
    try:
        modes = [layer.training for layer in module.sublayers(include_self=True)]
        assert generate(module, ids, mask, options) == expected
        assert [layer.training for layer in module.sublayers(include_self=True)] == modes
        assert not frozen.training and module.training
        assert paddle.is_grad_enabled() and not any(p.stop_gradient for p in module.parameters())
    finally:
        module.eval()


def test_another_end_token_can_be_given():
    ids, mask = batch("gpt2")
    (sequence,) = generate(gpt2(), ids, mask, GenerationOptions(max_new_tokens=10))[0]
    third = sequence[9 + 2]
    (shorter,) = generate(gpt2(), ids, mask, GenerationOptions(max_new_tokens=10, eos_token_id=third))[0]
    assert shorter == sequence[: sequence.index(third, 9) + 1]


def test_tensors_are_accepted_like_arrays():
    ids, mask = batch("bart")
    options = GenerationOptions(max_length=10)
    assert generate(bart(), paddle.to_tensor(ids), paddle.to_tensor(mask), options) == generate(bart(), ids, mask, options)


def test_banned_ngram_tokens():
    ids = np.array([[1, 2, 3, 1, 2], [5, 5, 5, 5, 5], [1, 2, 3, 4, 5]])
    assert [x.tolist() for x in banned_ngram_tokens(ids, 3)] == [[0, 1, 1, 1], [3, 5, 5, 5]]
    assert [x.tolist() for x in banned_ngram_tokens(ids[:1], 1)] == [[0] * 5, [1, 2, 3, 1, 2]]
    assert [x.tolist() for x in banned_ngram_tokens(ids, 6)] == [[], []]
    assert [x.tolist() for x in banned_ngram_tokens(ids, 0)] == [[], []]


def constant_ids(rows: int, tokens: int) -> np.ndarray:
    return np.full([rows, tokens], 9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: generate(bart(), constant_ids(1, 33), None, GenerationOptions(max_length=5)),
            "the input has 33 tokens, the model 32 positions; truncate the input",
        ),
        (
            lambda: generate(bart(), constant_ids(1, 4), None, GenerationOptions(max_length=33)),
            "max_length 33 is above the model's 32 positions; lower it",
        ),
        (
            lambda: generate(gpt2(), constant_ids(2, 30), None, GenerationOptions(max_new_tokens=3)),
            "a prompt of 30 tokens and 3 new ones are 33, the model has 32 positions; lower max_length or shorten the prompt",
        ),
        (
            lambda: generate(gpt2(), constant_ids(1, 9), None, GenerationOptions(max_length=9)),
            "max_length 9 leaves no room for new tokens, the decoder starts with 9",
        ),
        (
            lambda: generate(gpt2(), constant_ids(2, 3), np.array([[1, 1, 1], [1, 1, 0]]), GenerationOptions(max_new_tokens=3)),
            "pad prompts of different lengths on the left, these are padded on the right",
        ),
        (lambda: generate(gpt2(), [7, 8], None, GenerationOptions(max_new_tokens=3)), "must be [batch, tokens]"),
        (
            lambda: generate_all(gpt2(), INPUTS, GenerationOptions(max_length=30), 2),
            "for prompts of different lengths give max_new_tokens instead of max_length",
        ),
        (
            lambda: generate_all(bart(), [[7], [], []], GenerationOptions(max_length=30), 2),
            "input 1 (counted from 0) has no tokens; 2 such inputs in all",
        ),
        (
            lambda: list(stream(bart(), [7], GenerationOptions(max_length=30, num_beams=2))),
            "streaming works for one sequence by greedy search or sampling",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(UserError, match=re.escape(message)):
        call()


def test_the_last_position_can_be_used():
    ((sequence,),) = generate(bart(), constant_ids(1, 32), None, GenerationOptions(max_length=32, min_length=32))
    assert len(sequence) == 32
    ((sequence,),) = generate(gpt2(), constant_ids(1, 30), None, GenerationOptions(max_new_tokens=2, min_length=32))
    assert len(sequence) == 32
