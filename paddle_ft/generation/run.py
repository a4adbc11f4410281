"""The three ways to call generation: one batch, many inputs with progress, one input token by token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from paddle_ft.generation.adapter import Adapter
from paddle_ft.generation.adapters import make_adapter
from paddle_ft.generation.constraints import Constraints
from paddle_ft.generation.options import GenerationOptions
from paddle_ft.generation.sampling import Sampler
from paddle_ft.generation.search import beam_search, follow, likeliest
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress


def generate(model, input_ids, attention_mask, options: GenerationOptions) -> list[list[list[int]]]:
    """Generate for one padded batch.

    Args:
        model: of an architecture with an adapter. It runs without dropout and without gradients, and is left in the mode
            (train or eval) it was in.
        input_ids: [b, s], NumPy array or Paddle tensor; BART's input is padded on the right, GPT-2's prompts on the
            left.
        attention_mask: [b, s] of 1 (token) and 0 (padding), or None where nothing is padded.

    Returns:
        [b][num_return_sequences] lists of token ids, special ids included as transformers returns them (BART: the decoder's
        start token first; GPT-2: the prompt first), padding removed.

    Raises:
        UserError: lengths beyond the model's positions, a wrong shape, a model that cannot generate.
    """
    input_ids = _host(input_ids)
    attention_mask = np.ones_like(input_ids) if attention_mask is None else _host(attention_mask)
    return _generate(make_adapter(model), input_ids, attention_mask, options, np.arange(len(input_ids)))


def generate_all(
    model, inputs: Sequence[Sequence[int]], options: GenerationOptions, batch_size: int, label: str = "generate"
) -> list[list[list[int]]]:
    """Generate for any number of inputs: longest first, in batches of similar length, with progress.

    Args:
        inputs: token ids of each input, without padding.

    Returns:
        As `generate`, in the order of the inputs. Samples do not depend on batch_size.

    Raises:
        UserError: as `generate`; an empty input; max_length for GPT-2, where it would count the padding.
    """
    adapter = make_adapter(model)
    if not adapter.encoder_decoder and options.max_new_tokens is None:
        raise UserError("generation: for prompts of different lengths give max_new_tokens instead of max_length")
    empty = [number for number, ids in enumerate(inputs) if len(ids) == 0]
    if empty:
        raise UserError(f"generation: input {empty[0]} (counted from 0) has no tokens; {len(empty)} such inputs in all")
    order = np.argsort([-len(ids) for ids in inputs], kind="stable")
    results: list = [None] * len(inputs)
    with Progress(len(inputs), label, unit="text") as progress:
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = _pad([inputs[number] for number in chosen], adapter)
            for number, sequences in zip(chosen, _generate(adapter, *batch, options, chosen), strict=True):
                results[number] = sequences
            progress.update(len(chosen))
    return results


def stream(model, input_ids: Sequence[int], options: GenerationOptions) -> Iterator[int]:
    """Yield one generated token id at a time (the end token included) for one input, by greedy search or sampling.

    The ids are those that `generate` gives for the same input and options.

    Raises:
        UserError: as `generate`; beam search or several sequences, which cannot be shown before they are complete.
    """
    if options.num_beams > 1 or options.num_return_sequences > 1:
        raise UserError("generation: streaming works for one sequence by greedy search or sampling; set num_beams to 1")
    ids = np.asarray(input_ids, dtype="int64").reshape(1, -1)
    for _, tokens in _paths(make_adapter(model), ids, np.ones_like(ids), options, np.zeros(1, dtype="int64")):
        yield int(tokens[0])


def _host(array) -> np.ndarray:
    """Return ids or a mask as an int64 array on the host. Raise UserError unless it is [batch, tokens]."""
    array = array.numpy() if hasattr(array, "numpy") else np.asarray(array)
    if array.ndim != 2 or 0 in array.shape:
        raise UserError(f"generation: ids and mask must be [batch, tokens] and not empty, got {list(array.shape)}")
    return array.astype("int64")


def _pad(inputs: list, adapter: Adapter) -> tuple[np.ndarray, np.ndarray]:
    """Return (input_ids, attention_mask), padded on the right for encoder-decoders and on the left for the others."""
    width = max(len(ids) for ids in inputs)
    ids = np.full([len(inputs), width], adapter.pad_token_id, dtype="int64")
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(inputs):
        place = slice(0, len(tokens)) if adapter.encoder_decoder else slice(width - len(tokens), width)
        ids[row, place], mask[row, place] = tokens, 1
    return ids, mask


def _max_length(adapter: Adapter, first: np.ndarray, attention_mask: np.ndarray, options: GenerationOptions) -> int:
    """Return max_length for this batch. Raise UserError if it leaves no room or is beyond the model's positions."""
    length = first.shape[1]
    limit = options.max_length or length + options.max_new_tokens
    if limit <= length:
        raise UserError(
            f"generation: max_length {limit} leaves no room for new tokens, the decoder starts with {length}; "
            "raise max_length or give max_new_tokens"
        )
    adapter.check_lengths(attention_mask, limit)
    return limit


def _end(adapter: Adapter, options: GenerationOptions) -> int | None:
    return adapter.eos_token_id if options.eos_token_id is None else options.eos_token_id


def _generate(adapter: Adapter, input_ids, attention_mask, options: GenerationOptions, numbers: np.ndarray):
    first = adapter.first_ids(input_ids)
    if options.num_beams > 1:
        limit = _max_length(adapter, first, attention_mask, options)
        state = adapter.prepare(input_ids, attention_mask, options.num_beams)
        results = beam_search(adapter, state, first, limit, options, _end(adapter, options))
    else:
        count = options.num_return_sequences
        rows = [ids.tolist() for ids in np.repeat(first, count, axis=0)]
        for places, tokens in _paths(adapter, input_ids, attention_mask, options, numbers):
            for place, token in zip(places, tokens, strict=True):
                rows[place].append(int(token))
        results = [rows[start : start + count] for start in range(0, len(rows), count)]
    if adapter.encoder_decoder:
        return results
    padding = attention_mask.argmax(axis=1)  # tokens before the first real one
    return [[ids[skip:] for ids in sequences] for sequences, skip in zip(results, padding, strict=True)]


def _paths(adapter: Adapter, input_ids, attention_mask, options: GenerationOptions, numbers: np.ndarray):
    """Return the steps of greedy search or sampling, as `search.follow` yields them.

    Args:
        numbers: [b], the rows' numbers, from which the seeds of sampling are made.
    """
    first = adapter.first_ids(input_ids)
    limit = _max_length(adapter, first, attention_mask, options)
    eos = _end(adapter, options)
    count = options.num_return_sequences
    if options.do_sample:
        choose = Sampler(options, (numbers[:, None] * count + np.arange(count)).reshape(-1))
    else:
        choose = likeliest
    state = adapter.prepare(input_ids, attention_mask, count)
    first = np.repeat(first, count, axis=0)
    return follow(adapter, state, first, count, limit, Constraints(options, eos, limit), choose, eos)
