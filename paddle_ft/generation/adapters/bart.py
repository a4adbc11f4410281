"""Compute BART's generation steps with PaddleNLP's weights.

The encoder runs once, through PaddleNLP's own layers. The cross-attention keys and values are computed once for each item, and all
beams of the item attend to them as several queries. Shapes as in cache.py.
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
    """The weights of one decoder layer."""

    self_in: Linear  # query (scaled), key, value
    self_out: Linear
    cross_query: Linear  # scaled
    cross_memory: Linear  # key, value
    cross_out: Linear
    inner: Linear
    outer: Linear
    norms: tuple[Norm, Norm, Norm]
    norm_first: bool
    activation: object


def _read_layer(source) -> Layer:
    layer, cross = source.self_attn, source.cross_attn
    scale = layer.head_dim**-0.5
    return Layer(
        concat_outputs(linear_from(layer.q_proj, scale), linear_from(layer.k_proj), linear_from(layer.v_proj)),
        linear_from(layer.out_proj),
        linear_from(cross.q_proj, scale),
        concat_outputs(linear_from(cross.k_proj), linear_from(cross.v_proj)),
        linear_from(cross.out_proj),
        linear_from(source.linear1),
        linear_from(source.linear2),
        (norm_from(source.norm1), norm_from(source.norm2), norm_from(source.norm3)),
        source.normalize_before,
        source.activation,
    )


class BartState:
    """The cache of self-attention, and the keys and values of cross-attention."""

    def __init__(self, cache: GroupCache, memory: list, memory_mask):
        self.cache = cache
        self.memory = memory  # (keys, values) of each layer, [i, h, s, d]
        self.memory_mask = memory_mask  # [i, 1, 1, s], None if nothing is padded

    def reorder(self, parents: np.ndarray) -> None:
        self.cache.reorder(parents)

    def keep(self, items: np.ndarray) -> None:
        self.cache.keep(items)
        index = paddle.to_tensor(items)
        self.memory = [tuple(paddle.gather(x, index) for x in pair) for pair in self.memory]
        if self.memory_mask is not None:
            self.memory_mask = paddle.gather(self.memory_mask, index)


class BartAdapter:
    """Adapter of PaddleNLP's BartForConditionalGeneration."""

    encoder_decoder = True

    @paddle.no_grad()
    def __init__(self, model):
        config, decoder = model.config, model.bart.decoder
        self.model = model
        self.heads = config.decoder_attention_heads
        self.num_positions = config.max_position_embeddings
        self.start = config.decoder_start_token_id
        self.eos_token_id, self.pad_token_id = config.eos_token_id, config.pad_token_id
        self.embedding = decoder.embed_tokens.weight
        self.embed_scale = decoder.embed_scale
        self.positions = decoder.decoder_embed_positions.weight[decoder.decoder_embed_positions.offset :]
        self.embedding_norm = norm_from(decoder.decoder_layernorm_embedding)
        self.layers = [_read_layer(layer) for layer in decoder.decoder.layers]
        self.final_norm = None if decoder.decoder.norm is None else norm_from(decoder.decoder.norm)
        self.head = model.lm_head_weight
        self.bias = model.final_logits_bias if bool((model.final_logits_bias != 0).any()) else None

    def first_ids(self, input_ids: np.ndarray) -> np.ndarray:
        return np.full([len(input_ids), 1], self.start, dtype="int64")

    def check_lengths(self, attention_mask: np.ndarray, max_length: int) -> None:
        source = attention_mask.shape[1]
        if source > self.num_positions:
            raise UserError(
                f"generation: the input has {source} tokens, the model {self.num_positions} positions; truncate the input"
            )
        if max_length > self.num_positions:
            raise UserError(f"generation: max_length {max_length} is above the model's {self.num_positions} positions; lower it")

    @paddle.no_grad()
    def prepare(self, input_ids: np.ndarray, attention_mask: np.ndarray, group: int) -> BartState:
        items = len(input_ids)
        dtype = self.embedding.dtype
        padding_mask = (1.0 - paddle.to_tensor(attention_mask[:, None, None]).astype(dtype)) * mask_value(dtype)
        encoded = self._encode(paddle.to_tensor(input_ids), padding_mask)
        memory = []
        for layer in self.layers:  # made contiguous because every step reads them and would copy a strided operand
            parts = split_heads(layer.cross_memory(encoded), 2, items, self.heads)
            memory.append(tuple(part.contiguous() for part in parts))
        empty = paddle.zeros([items, self.heads, 0, self.positions.shape[-1] // self.heads], dtype=dtype)
        cache = GroupCache(items, group, np.zeros([items, 0]), [(empty, empty)] * len(self.layers))
        return BartState(cache, memory, None if attention_mask.all() else padding_mask)

    def _encode(self, input_ids, mask):
        """Return the encoder's output without dropout. Every sublayer keeps its mode (train or eval)."""
        encoder = self.model.bart.encoder
        modes = [(layer, layer.training) for layer in encoder.sublayers(include_self=True)]
        encoder.eval()
        try:
            return encoder(input_ids, mask, output_attentions=False, output_hidden_states=False, return_dict=False)
        finally:
            for layer, mode in modes:
                layer.training = mode

    @paddle.no_grad()
    def step(self, tokens: np.ndarray, state: BartState):
        cache = state.cache
        x = F.embedding(paddle.to_tensor(tokens), self.embedding)
        if self.embed_scale != 1.0:
            x = x * self.embed_scale
        x = self.embedding_norm(x + self.positions[cache.steps])
        cache.begin_step()
        for number, layer in enumerate(self.layers):
            x = self._layer_step(x, number, layer, state)
        if self.final_norm is not None:
            x = self.final_norm(x)
        scores = vocabulary_scores(x, self.head)
        return scores if self.bias is None else scores + self.bias.astype("float32")

    def _layer_step(self, x, number: int, layer: Layer, state: BartState):
        items = state.cache.items

        def self_attention(x):
            query, keys, values = split_heads(layer.self_in(x), 3, items, self.heads)
            return layer.self_out(join_heads(state.cache.attend(number, query, keys, values)))

        def cross_attention(x):
            (query,) = split_heads(layer.cross_query(x), 1, items, self.heads)
            return layer.cross_out(join_heads(attention(query, *state.memory[number], state.memory_mask)))

        def feed_forward(x):
            return layer.outer(layer.activation(layer.inner(x)))

        for sublayer, layer_norm in zip((self_attention, cross_attention, feed_forward), layer.norms, strict=True):
            x = residual(x, layer_norm, layer.norm_first, sublayer)
        return x
