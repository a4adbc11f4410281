"""Compute GPT-2's generation steps with PaddleNLP's weights.

The prompt without its last token is read at once, and its keys and values are stored once for each item, not for each beam.
Positions count real tokens only, so padding on the left does not change them. Shapes as in cache.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn.functional as F

from paddle_ft.generation.cache import GroupCache, attention, mask_value
from paddle_ft.generation.layers import (
    Linear,
    Norm,
    concat_outputs,
    join_heads,
    linear_from,
    norm_from,
    residual,
    split_heads,
    vocabulary_scores,
)
from paddle_ft.system.errors import UserError


class Layer(NamedTuple):
    """The weights of one layer."""

    attention_in: Linear  # query (scaled), key, value
    attention_out: Linear
    inner: Linear
    outer: Linear
    norms: tuple[Norm, Norm]


def _read_layer(source, scale: float) -> Layer:
    layer = source.self_attn
    if layer.config.fuse_attention_qkv:
        query, key, value = _split_fused(layer)
    else:
        query, key, value = linear_from(layer.q_proj), linear_from(layer.k_proj), linear_from(layer.v_proj)
    return Layer(
        concat_outputs(Linear(query.weight * scale, query.bias * scale), key, value),
        linear_from(layer.out_proj),
        linear_from(source.linear1),
        linear_from(source.linear2),
        (norm_from(source.norm1), norm_from(source.norm2)),
    )


def _split_fused(layer) -> list[Linear]:
    """Split PaddleNLP's fused projection [in, h, 3 * d], in which each head has its query, key and value side by side."""
    fused = linear_from(layer.qkv_proj)
    size, heads = fused.weight.shape[0], layer.num_attention_heads
    weights = paddle.split(fused.weight.reshape([size, heads, -1]), 3, axis=-1)
    biases = paddle.split(fused.bias.reshape([heads, -1]), 3, axis=-1)
    return [Linear(w.reshape([size, -1]), b.reshape([-1])) for w, b in zip(weights, biases, strict=True)]


class GPTState:
    """The cache of self-attention, and the position of the next token."""

    def __init__(self, cache: GroupCache, positions: np.ndarray):
        self.cache = cache
        self.positions = positions  # [i]: position of the next token

    def reorder(self, parents: np.ndarray) -> None:
        self.cache.reorder(parents)

    def keep(self, items: np.ndarray) -> None:
        self.cache.keep(items)
        self.positions = self.positions[items]


class GPTAdapter:
    """Adapter of PaddleNLP's GPTLMHeadModel."""

    encoder_decoder = False

    @paddle.no_grad()
    def __init__(self, model):
        config, gpt = model.config, model.gpt
        if config.tensor_parallel_degree > 1 or config.sequence_parallel:
            raise UserError("generation: a model split over devices (tensor or sequence parallel) is not supported")
        self.heads = config.num_attention_heads
        self.num_positions = config.max_position_embeddings
        self.eos_token_id, self.pad_token_id = config.eos_token_id, config.pad_token_id
        self.norm_first = config.normalize_before
        scale = config.scale_qk_coeff * (config.scale_qk_coeff * config.hidden_size / self.heads) ** -0.5
        self.embedding = gpt.embeddings.word_embeddings.weight
        self.positions = gpt.embeddings.position_embeddings.weight
        self.layers = [_read_layer(layer, scale) for layer in gpt.decoder.layers]
        self.activation = gpt.decoder.layers[0].activation
        self.final_norm = norm_from(gpt.decoder.norm)
        self.head = model.lm_head.weight

    def first_ids(self, input_ids: np.ndarray) -> np.ndarray:
        return input_ids

    def check_lengths(self, attention_mask: np.ndarray, max_length: int) -> None:
        if not attention_mask[:, -1].all():
            raise UserError("generation: pad prompts of different lengths on the left, these are padded on the right")
        prompt, width = int(attention_mask.sum(axis=1).max()), attention_mask.shape[1]
        total = prompt + max_length - width
        if total > self.num_positions:
            raise UserError(
                f"generation: a prompt of {prompt} tokens and {max_length - width} new ones are {total}, "
                f"the model has {self.num_positions} positions; lower max_length or shorten the prompt"
            )

    @paddle.no_grad()
    def prepare(self, input_ids: np.ndarray, attention_mask: np.ndarray, group: int) -> GPTState:
        items, length = len(input_ids), input_ids.shape[1] - 1
        before = attention_mask[:, :-1]
        state = GPTState(None, before.sum(axis=1))
        prefix = []
        if length:
            allowed = np.tril(np.ones([length, length], dtype=bool)) & before[:, None, None].astype(bool)
            dtype = self.embedding.dtype
            mask = paddle.to_tensor(np.where(allowed, 0.0, mask_value(dtype)).astype("float32")).astype(dtype)
            positions = np.maximum(before.cumsum(axis=1) - 1, 0)
            x = self._embed(input_ids[:, :-1].reshape(-1), positions.reshape(-1))
            for layer in self.layers:

                def attend(query, keys, values):
                    prefix.append((keys, values))
                    return attention(query, keys, values, mask)

                x = self._layer_step(x, layer, items, attend)
        else:
            size = self.positions.shape[-1] // self.heads
            empty = paddle.zeros([items, self.heads, 0, size], dtype=self.embedding.dtype)
            prefix = [(empty, empty)] * len(self.layers)
        state.cache = GroupCache(items, group, before, prefix)
        return state

    @paddle.no_grad()
    def step(self, tokens: np.ndarray, state: GPTState):
        cache = state.cache
        x = self._embed(tokens, np.repeat(state.positions, cache.group))
        state.positions = state.positions + 1
        cache.begin_step()
        for number, layer in enumerate(self.layers):

            def attend(*qkv, number=number):
                return cache.attend(number, *qkv)

            x = self._layer_step(x, layer, cache.items, attend)
        return vocabulary_scores(self.final_norm(x), self.head)

    def _embed(self, tokens: np.ndarray, positions: np.ndarray):
        words = F.embedding(paddle.to_tensor(tokens), self.embedding)
        return words + F.embedding(paddle.to_tensor(positions), self.positions)

    def _layer_step(self, x, layer: Layer, items: int, attend):
        def self_attention(x):
            return layer.attention_out(join_heads(attend(*split_heads(layer.attention_in(x), 3, items, self.heads))))

        def feed_forward(x):
            return layer.outer(self.activation(layer.inner(x), approximate=True))

        x = residual(x, layer.norms[0], self.norm_first, self_attention)
        return residual(x, layer.norms[1], self.norm_first, feed_forward)
