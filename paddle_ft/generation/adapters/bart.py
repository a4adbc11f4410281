"""BART's decoder as one-token steps over PaddleNLP's weights.

The encoder runs once, by PaddleNLP's own layers. The cross-attention keys and values are computed once an item, and the
beams of an item attend to them together, as several queries. Shape legend as in cache.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn.functional as F

from paddle_ft.generation.cache import GroupCache, attention, mask_value
from paddle_ft.generation.layers import Linear, Norm, join_heads, joined, linear, norm, residual, split_heads, vocabulary_scores
from paddle_ft.system.errors import UserError


class Layer(NamedTuple):
    """The weights of one layer of the decoder."""

    self_in: Linear  # query (scaled), key, value
    self_out: Linear
    cross_query: Linear  # scaled
    cross_memory: Linear  # key, value
    cross_out: Linear
    inner: Linear
    outer: Linear
    norms: tuple[Norm, Norm, Norm]
    norm_before: bool
    activation: object


def _layer(source) -> Layer:
    own, cross = source.self_attn, source.cross_attn
    scale = own.head_dim**-0.5
    return Layer(
        joined(linear(own.q_proj, scale), linear(own.k_proj), linear(own.v_proj)),
        linear(own.out_proj),
        linear(cross.q_proj, scale),
        joined(linear(cross.k_proj), linear(cross.v_proj)),
        linear(cross.out_proj),
        linear(source.linear1),
        linear(source.linear2),
        (norm(source.norm1), norm(source.norm2), norm(source.norm3)),
        source.normalize_before,
        source.activation,
    )


class BartState:
    """Self-attention's cache, and what cross-attention reads."""

    def __init__(self, cache: GroupCache, memory: list, memory_mask):
        self.cache = cache
        self.memory = memory  # for each layer (keys, values), [i, h, s, d]
        self.memory_mask = memory_mask  # [i, 1, 1, s], None where nothing is padded

    def reorder(self, parents: np.ndarray) -> None:
        self.cache.reorder(parents)

    def keep(self, items: np.ndarray) -> None:
        self.cache.keep(items)
        index = paddle.to_tensor(items)
        self.memory = [tuple(paddle.gather(x, index) for x in pair) for pair in self.memory]
        if self.memory_mask is not None:
            self.memory_mask = paddle.gather(self.memory_mask, index)


class BartAdapter:
    """BART as an Adapter."""

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
        self.first_norm = norm(decoder.decoder_layernorm_embedding)
        self.layers = [_layer(layer) for layer in decoder.decoder.layers]
        self.last_norm = None if decoder.decoder.norm is None else norm(decoder.decoder.norm)
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
            raise UserError(
                f"generation: max_length {max_length} is above the model's {self.num_positions} positions; lower it"
            )

    @paddle.no_grad()
    def prepare(self, input_ids: np.ndarray, attention_mask: np.ndarray, group: int) -> BartState:
        items = len(input_ids)
        dtype = self.embedding.dtype
        hidden = (1.0 - paddle.to_tensor(attention_mask[:, None, None]).astype(dtype)) * mask_value(dtype)
        encoded = self._encode(paddle.to_tensor(input_ids), hidden)
        memory = []
        for layer in self.layers:  # contiguous: read at every step, and a strided operand would be copied every time
            parts = split_heads(layer.cross_memory(encoded), 2, items, self.heads)
            memory.append(tuple(part.contiguous() for part in parts))
        empty = paddle.zeros([items, self.heads, 0, self.positions.shape[-1] // self.heads], dtype=dtype)
        cache = GroupCache(items, group, np.zeros([items, 0]), [(empty, empty)] * len(self.layers))
        return BartState(cache, memory, None if attention_mask.all() else hidden)

    def _encode(self, input_ids, mask):
        """Return the encoder's output without dropout. Every sublayer is left in the mode it was in."""
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
        x = self.first_norm(x + self.positions[cache.steps])
        cache.begin_step()
        for number, layer in enumerate(self.layers):
            x = self._layer_step(x, number, layer, state)
        if self.last_norm is not None:
            x = self.last_norm(x)
        scores = vocabulary_scores(x, self.head)
        return scores if self.bias is None else scores + self.bias.astype("float32")

    def _layer_step(self, x, number: int, layer: Layer, state: BartState):
        items = state.cache.items

        def own(x):
            query, keys, values = split_heads(layer.self_in(x), 3, items, self.heads)
            return layer.self_out(join_heads(state.cache.attend(number, query, keys, values)))

        def cross(x):
            (query,) = split_heads(layer.cross_query(x), 1, items, self.heads)
            return layer.cross_out(join_heads(attention(query, *state.memory[number], state.memory_mask)))

        def feed_forward(x):
            return layer.outer(layer.activation(layer.inner(x)))

        for sublayer, its_norm in zip((own, cross, feed_forward), layer.norms, strict=True):
            x = residual(x, its_norm, layer.norm_before, sublayer)
        return x
