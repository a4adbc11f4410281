"""Compute the attention of PaddleNLP's GPT in other ways. The record of GPT-2 names these functions."""

from __future__ import annotations

import paddle

from paddle_ft.models import cpu_layers
from paddle_ft.models.attention import attend


def gpt_sdpa_forward(
    layer, query, key, value, attention_mask=None, use_cache=False, past_key_value=None, output_attentions=False
):  # fmt: skip
    """Compute what the forward of PaddleNLP's GPT attention computes.

    Its own switch, use_flash_attention, must stay off: that code ignores the attention mask.

    Args:
        layer: the attention layer, h heads of size d.
        query, key, value: [b, s, h * d], all three the same.
        attention_mask: [b, 1, q, k], added to the scores.
        use_cache, past_key_value, output_attentions: as in PaddleNLP.

    Returns:
        [b, s, h * d]; what PaddleNLP's own forward returns if a cache or the attention weights are asked for.
    """
    config = layer.config
    if output_attentions or use_cache or attention_mask is None or config.sequence_parallel:
        plain = type(layer).forward
        return plain(layer, query, key, value, attention_mask, use_cache, past_key_value, output_attentions)
    heads, size = layer.num_attention_heads, layer.head_dim
    q, k, v = (x.reshape([0, 0, heads, size]) for x in _project(layer, query, key, value))
    if past_key_value is not None:
        k, v = (paddle.concat([past, new], axis=1) for past, new in zip(past_key_value, (k, v), strict=True))
    if config.scale_qk_coeff != 1.0:
        q = q * config.scale_qk_coeff**0.5
    out = attend(q, k, v, attention_mask, config.attention_probs_dropout_prob, layer.training, layer.causal)
    return layer.out_proj(out.reshape([0, 0, heads * size]))


def gpt_cpu_forward(
    layer, query, key, value, attention_mask=None, use_cache=False, past_key_value=None, output_attentions=False
):  # fmt: skip
    """Compute what the forward of PaddleNLP's GPT attention computes, by the kernels of cpu_layers.

    Args and Returns: as gpt_sdpa_forward.
    """
    config = layer.config
    rare = output_attentions or use_cache or past_key_value is not None or config.sequence_parallel or config.scale_qk_coeff != 1.0
    if rare or attention_mask is None or not cpu_layers.attends_here(layer, query):
        plain = type(layer).forward
        return plain(layer, query, key, value, attention_mask, use_cache, past_key_value, output_attentions)
    out = cpu_layers.attend(
        *_project(layer, query, key, value), attention_mask, layer.num_attention_heads, config.attention_probs_dropout_prob
    )
    return layer.out_proj(out)


def _project(layer, query, key, value) -> list:
    """Return the queries, keys and values of all heads, [b, s, h * d] each."""
    if not layer.config.fuse_attention_qkv:
        return [layer.q_proj(query), layer.k_proj(query if key is None else key), layer.v_proj(query if value is None else value)]
    heads, size = layer.num_attention_heads, layer.head_dim
    parts = paddle.split(layer.qkv_proj(query).reshape([0, 0, heads, 3 * size]), 3, axis=-1)
    return [x.reshape([0, 0, heads * size]) for x in parts]
