"""Generate for one batch, for many inputs with a progress bar, or for one input token by token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from paddle_ft.generation.adapter import Adapter
from paddle_ft.generation.adapters import make_adapter
from paddle_ft.generation.constraints import Constraints
from paddle_ft.generation.options import GenerationOptions
from paddle_ft.generation.sampling import Sampler
from paddle_ft.generation.search import beam_search, choose_greedy, decode_steps
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress


def generate(model, input_ids, attention_mask, options: GenerationOptions) -> list[list[list[int]]]:
    """Generate for one padded batch.

    Args:
        model: a model whose architecture has an adapter. It runs without dropout and gradients, and stays in its mode (train or
            eval).
        input_ids: [b, s], NumPy array or Paddle tensor. The input of an encoder is padded on the right, prompts on the left.
        attention_mask: [b, s], 1 for a token and 0 for padding; None if nothing is padded.
        options: how to generate.

    Returns:
        [b][num_return_sequences] lists of token ids without padding. As in transformers they begin with the decoder's start token
        or the prompt, and include special tokens.

    Raises:
        UserError: the lengths exceed the model's positions, a shape is wrong, or the model cannot generate.
    """
    input_ids = _to_int64(input_ids)
    attention_mask = np.ones_like(input_ids) if attention_mask is None else _to_int64(attention_mask)
    return _generate(make_adapter(model), input_ids, attention_mask, options, np.arange(len(input_ids)))


def generate_all(
    model,
    inputs: Sequence[Sequence[int]],
    options: GenerationOptions,
    batch_size: int,
    label: str = "generate",
    on_step: Callable[[], None] | None = None,
) -> list[list[list[int]]]:
    """Generate for any number of inputs, longest first, in batches of similar length, with a progress bar.

    Args:
        model: as for `generate`.
        inputs: token ids of each input, without padding.
        options: how to generate.
        batch_size: inputs in a batch.
        label: name of the progress bar.
        on_step: called after each token. An exception that it raises stops the generation.

    Returns:
        As `generate`, in the order of the inputs. Samples do not depend on batch_size.

    Raises:
        UserError: as for `generate`; an input is empty; max_length is set for a decoder-only model, where it would count padding.
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
            for number, sequences in zip(chosen, _generate(adapter, *batch, options, chosen, on_step), strict=True):
                results[number] = sequences
            progress.update(len(chosen))
    return results


def stream(model, input_ids: Sequence[int], options: GenerationOptions) -> Iterator[int]:
    """Yield the generated token ids of one input one by one, the end token included, by greedy search or sampling.

    The ids equal those of `generate` for the same input and options.

    Raises:
        UserError: as for `generate`; beam search or several sequences, which cannot be shown before they are complete.
    """
    if options.num_beams > 1 or options.num_return_sequences > 1:
        raise UserError("generation: streaming works for one sequence by greedy search or sampling; set num_beams to 1")
    ids = np.asarray(input_ids, dtype="int64").reshape(1, -1)
    for _, tokens in _decode_steps(make_adapter(model), ids, np.ones_like(ids), options, np.zeros(1, dtype="int64")):
        yield int(tokens[0])


def _to_int64(array) -> np.ndarray:
    """Return ids or a mask as an int64 NumPy array. Raise UserError unless it is [batch, tokens]."""
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


def _max_length(adapter: Adapter, first_ids: np.ndarray, attention_mask: np.ndarray, options: GenerationOptions) -> int:
    """Return max_length for this batch. Raise UserError if it allows no new token or exceeds the model's positions."""
    length = first_ids.shape[1]
    limit = options.max_length or length + options.max_new_tokens
    if limit <= length:
        raise UserError(
            f"generation: max_length {limit} leaves no room for new tokens, the decoder starts with {length}; "
            "raise max_length or give max_new_tokens"
        )
    adapter.check_lengths(attention_mask, limit)
    return limit


def _eos_token_id(adapter: Adapter, options: GenerationOptions) -> int | None:
    return adapter.eos_token_id if options.eos_token_id is None else options.eos_token_id


def _generate(
    adapter: Adapter,
    input_ids,
    attention_mask,
    options: GenerationOptions,
    row_numbers: np.ndarray,
    on_step: Callable[[], None] | None = None,
):
    first_ids = adapter.first_ids(input_ids)
    if options.num_beams > 1:
        limit = _max_length(adapter, first_ids, attention_mask, options)
        state = adapter.prepare(input_ids, attention_mask, options.num_beams)
        results = beam_search(adapter, state, first_ids, limit, options, _eos_token_id(adapter, options), on_step)
    else:
        count = options.num_return_sequences
        rows = [ids.tolist() for ids in np.repeat(first_ids, count, axis=0)]
        for row_indices, tokens in _decode_steps(adapter, input_ids, attention_mask, options, row_numbers):
            for row, token in zip(row_indices, tokens, strict=True):
                rows[row].append(int(token))
            if on_step is not None:
                on_step()
        results = [rows[start : start + count] for start in range(0, len(rows), count)]
    if adapter.encoder_decoder:
        return results
    padding = attention_mask.argmax(axis=1)  # number of padding tokens on the left
    return [[ids[count:] for ids in sequences] for sequences, count in zip(results, padding, strict=True)]


def _decode_steps(adapter: Adapter, input_ids, attention_mask, options: GenerationOptions, row_numbers: np.ndarray):
    """Return the steps of greedy search or sampling, as `search.decode_steps` yields them.

    The arguments are those of generate. Row i is sampled with a random seed that is made of row_numbers[i].
    """
    first_ids = adapter.first_ids(input_ids)
    limit = _max_length(adapter, first_ids, attention_mask, options)
    eos = _eos_token_id(adapter, options)
    count = options.num_return_sequences
    if options.do_sample:
        choose = Sampler(options, (row_numbers[:, None] * count + np.arange(count)).reshape(-1))
    else:
        choose = choose_greedy
    state = adapter.prepare(input_ids, attention_mask, count)
    first_ids = np.repeat(first_ids, count, axis=0)
    return decode_steps(adapter, state, first_ids, count, limit, Constraints(options, eos, limit), choose, eos)
