"""Define the graphs of PaddleNLP's BART.

Shapes: i items, g beams of an item, s source tokens, t tokens in the cache, l layers, h heads, d size of a head, v vocabulary.
"""

from __future__ import annotations

from typing import Any

import paddle
import paddle.nn.functional as F

from paddle_ft.export.graphs.layer import MASKED, Graph, attend, attend_to_own, split_heads


def bart_graphs(model: Any) -> dict[str, Graph]:
    """Return the graphs of a BartForConditionalGeneration."""
    return {"encoder": Encoder(model), "decoder_first": DecoderFirst(model), "decoder_next": DecoderNext(model)}


def _padding_bias(attention_mask: Any) -> Any:
    """Return what is added to the scores of the source's tokens, [i, 1, 1, s]."""
    return (1.0 - attention_mask.astype("float32")).unsqueeze([1, 2]) * MASKED


class Encoder(Graph):
    """Compute the keys and values of cross-attention, memory [2 * l, i, h, s, d], of sources."""

    outputs = ("memory",)
    inputs = {"input_ids": ([None, None], "int64"), "attention_mask": ([None, None], "int64")}

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        """Return the memory of input_ids and attention_mask [i, s]."""
        bias = _padding_bias(attention_mask)
        encoder = self.model.bart.encoder
        encoded = encoder(input_ids, bias, output_attentions=False, output_hidden_states=False, return_dict=False)
        memory = []
        for layer in self.model.bart.decoder.decoder.layers:
            cross = layer.cross_attn
            for projection in (cross.k_proj, cross.v_proj):
                memory.append(split_heads(projection(encoded), cross.num_heads, cross.head_dim).transpose([0, 2, 1, 3]))
        return paddle.stack(memory)


class _Decoder(Graph):
    outputs = ("logits", "cache")

    def __init__(self, model: Any):
        super().__init__(model)
        config, decoder = model.config, model.bart.decoder
        layers, heads = len(decoder.decoder.layers), config.decoder_attention_heads
        size = config.d_model // heads
        self.inputs = {
            "tokens": ([None, None], "int64"),
            "positions": ([None], "int64"),
            "memory": ([2 * layers, None, heads, None, size], "float32"),
            "attention_mask": ([None, None], "int64"),
        }
        self.cache = ([2 * layers, None, None, heads, None, size], "float32")

    def decode(self, tokens: Any, positions: Any, memory: Any, attention_mask: Any, cache: Any) -> tuple[Any, Any]:
        """Return the logits [i, g, v] after tokens [i, g] at positions [i], and their keys and values [2 * l, i, g, h, 1, d]."""
        decoder, bias, new = self.model.bart.decoder, _padding_bias(attention_mask), []
        table = decoder.decoder_embed_positions
        x = F.embedding(tokens, decoder.embed_tokens.weight) * decoder.embed_scale
        x = decoder.decoder_layernorm_embedding(x + F.embedding(positions + table.offset, table.weight).unsqueeze(1))
        for number, layer in enumerate(decoder.decoder.layers):
            own, cross = layer.self_attn, layer.cross_attn
            heads, size = own.num_heads, own.head_dim
            first = layer.normalize_before

            y = layer.norm1(x) if first else x
            query, keys, values = (split_heads(f(y), heads, size) for f in (own.q_proj, own.k_proj, own.v_proj))
            new += [keys, values]
            past = None if cache is None else (cache[2 * number], cache[2 * number + 1])
            x = x + own.out_proj(attend_to_own(query * size**-0.5, (keys, values), past, None))
            x = x if first else layer.norm1(x)

            y = layer.norm2(x) if first else x
            query = split_heads(cross.q_proj(y), heads, size).transpose([0, 2, 1, 3])
            seen = attend(query * size**-0.5, memory[2 * number], memory[2 * number + 1], bias)
            x = x + cross.out_proj(seen.transpose([0, 2, 1, 3]).reshape([0, 0, heads * size]))
            x = x if first else layer.norm2(x)

            y = layer.norm3(x) if first else x
            x = x + layer.linear2(layer.activation(layer.linear1(y)))
            x = x if first else layer.norm3(x)
        if decoder.decoder.norm is not None:
            x = decoder.decoder.norm(x)
        logits = paddle.matmul(x, self.model.lm_head_weight, transpose_y=True) + self.model.final_logits_bias
        return logits, paddle.stack(new).unsqueeze(-2)


class DecoderFirst(_Decoder):
    """Read the start token, which has no cache yet."""

    def forward(self, tokens: Any, positions: Any, memory: Any, attention_mask: Any) -> tuple[Any, Any]:
        """Return the logits and the cache of the start token."""
        return self.decode(tokens, positions, memory, attention_mask, None)


class DecoderNext(_Decoder):
    """Read one more token of each beam with the cache [2 * l, i, g, h, t, d] of those before."""

    def __init__(self, model: Any):
        super().__init__(model)
        self.inputs = {**self.inputs, "cache": self.cache}

    def forward(self, tokens: Any, positions: Any, memory: Any, attention_mask: Any, cache: Any) -> tuple[Any, Any]:
        """Return the logits, and the keys and values that follow those of the cache."""
        return self.decode(tokens, positions, memory, attention_mask, cache)
