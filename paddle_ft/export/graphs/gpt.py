"""Define the graphs of PaddleNLP's GPT-2.

Shapes: i items, g beams of an item, p prompt tokens, t tokens in the cache, l layers, h heads, d size of a head, n chosen
positions, v vocabulary.
"""

from __future__ import annotations

import math
from typing import Any

import paddle
import paddle.nn.functional as F

from paddle_ft.export.graphs.layer import MASKED, Graph, attend, attend_to_own, split_heads
from paddle_ft.system.errors import UserError


def gpt_graphs(model: Any) -> dict[str, Graph]:
    """Return the graphs of a GPTLMHeadModel."""
    if model.config.tensor_parallel_degree > 1 or model.config.sequence_parallel:
        raise UserError("export: a model split over devices (tensor or sequence parallel) is not supported")
    return {"decoder_first": DecoderFirst(model), "decoder_next": DecoderNext(model)}


def _gelu(x: Any) -> Any:
    """Return GELU in its tanh form. paddle2onnx 2.1 converts F.gelu(x, approximate=True) to the other form, with erf."""
    return 0.5 * x * (1.0 + paddle.tanh((2.0 / math.pi) ** 0.5 * (x + 0.044715 * x * x * x)))


class _Decoder(Graph):
    outputs = ("logits", "cache")

    def __init__(self, model: Any):
        super().__init__(model)
        config = model.config
        self.heads = config.num_attention_heads
        self.size = config.hidden_size // self.heads
        self.scale = config.scale_qk_coeff * (config.scale_qk_coeff * self.size) ** -0.5
        self.norm_first = config.normalize_before

    def project(self, layer: Any, x: Any) -> tuple[Any, Any, Any]:
        """Return the scaled queries, the keys and the values of x [i, p, h * d], [i, p, h, d] each."""
        attention = layer.self_attn
        if attention.config.fuse_attention_qkv:  # each head has its query, key and value side by side
            fused = split_heads(attention.qkv_proj(x), self.heads, 3 * self.size)
            query, keys, values = paddle.split(fused, 3, axis=-1)
        else:
            projections = (attention.q_proj, attention.k_proj, attention.v_proj)
            query, keys, values = (split_heads(projection(x), self.heads, self.size) for projection in projections)
        return query * self.scale, keys, values

    def decode(self, tokens: Any, positions: Any, attention: Any) -> tuple[Any, list[Any]]:
        """Return the last hidden states of tokens [i, p], and the keys and values of each layer.

        Args:
            tokens: [i, p]
            positions: broadcast to [i, p].
            attention: (number of the layer, query, keys, values) -> [i, p, h * d].
        """
        gpt, new = self.model.gpt, []
        embeddings = gpt.embeddings
        words = F.embedding(tokens, embeddings.word_embeddings.weight)
        x = words + F.embedding(positions, embeddings.position_embeddings.weight)
        for number, layer in enumerate(gpt.decoder.layers):
            y = layer.norm1(x) if self.norm_first else x
            query, keys, values = self.project(layer, y)
            new += [keys, values]
            x = x + layer.self_attn.out_proj(attention(number, query, keys, values))
            x = x if self.norm_first else layer.norm1(x)
            y = layer.norm2(x) if self.norm_first else x
            x = x + layer.linear2(_gelu(layer.linear1(y)))
            x = x if self.norm_first else layer.norm2(x)
        return gpt.decoder.norm(x), new

    def logits(self, hidden: Any) -> Any:
        """Return the logits [..., v] of hidden states."""
        return paddle.matmul(hidden, self.model.lm_head.weight, transpose_y=True).astype("float32")


class DecoderFirst(_Decoder):
    """Read prompts. Returns the logits [n, v] at `positions`, and the cache [2 * l, i, 1, h, p, d]."""

    inputs = {
        "input_ids": ([None, None], "int64"),
        "attention_mask": ([None, None], "int64"),
        "positions": ([None], "int64"),
    }

    def forward(self, input_ids: Any, attention_mask: Any, positions: Any) -> tuple[Any, Any]:
        """Return logits and cache of input_ids [i, p], padded on either side, at positions [n] of the flattened input_ids."""
        order = attention_mask.cumsum(axis=1)  # real tokens up to each one
        width = paddle.arange(0, paddle.shape(input_ids)[1], dtype="int64")
        later = (width.unsqueeze(0) > width.unsqueeze(1)).astype("float32")  # [p, p]
        hidden_keys = 1.0 - attention_mask.astype("float32")
        bias = paddle.clip(later.unsqueeze([0, 1]) + hidden_keys.unsqueeze([1, 2]), max=1.0) * MASKED

        def attention(number: int, query: Any, keys: Any, values: Any) -> Any:
            query, keys, values = (x.transpose([0, 2, 1, 3]) for x in (query, keys, values))
            out = attend(query, keys, values, bias)
            return out.transpose([0, 2, 1, 3]).reshape([0, 0, self.heads * self.size])

        x, new = self.decode(input_ids, paddle.clip(order - 1, min=0), attention)
        chosen = x.reshape([-1, self.heads * self.size]).index_select(positions)
        return self.logits(chosen), paddle.stack(new).transpose([0, 1, 3, 2, 4]).unsqueeze(2)


class DecoderNext(_Decoder):
    """Read one more token of each beam with the cache [2 * l, i, g, h, t, d] of those before."""

    def __init__(self, model: Any):
        super().__init__(model)
        layers = len(model.gpt.decoder.layers)
        self.inputs = {
            "tokens": ([None, None], "int64"),
            "positions": ([None], "int64"),
            "attention_mask": ([None, None], "int64"),
            "cache": ([2 * layers, None, None, self.heads, None, self.size], "float32"),
        }

    def forward(self, tokens: Any, positions: Any, attention_mask: Any, cache: Any) -> tuple[Any, Any]:
        """Return the logits [i, g, v] after tokens [i, g], and their keys and values [2 * l, i, g, h, 1, d].

        positions [i] counts the real tokens before these, and attention_mask [i, t + 1] is 1 where the cache and the new token
        have a real token.
        """
        bias = (1.0 - attention_mask.astype("float32")).unsqueeze([1, 2, 3]) * MASKED

        def attention(number: int, query: Any, keys: Any, values: Any) -> Any:
            return attend_to_own(query, (keys, values), (cache[2 * number], cache[2 * number + 1]), bias)

        x, new = self.decode(tokens, positions.unsqueeze(1), attention)
        return self.logits(x), paddle.stack(new).unsqueeze(-2)
