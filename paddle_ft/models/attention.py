"""Attention of PaddleNLP's models through scaled_dot_product_attention: flash or memory-efficient kernels on a GPU.

PaddleNLP's BERT, RoBERTa, ERNIE, DistilBERT and BART compute softmax(QK') as a tensor of [b, h, q, k] in paddle.nn's
MultiHeadAttention, GPT-2 in its own. Here a model's attention layers get another class with the same parameters under the same
names and the same results, so that what is saved stays what it was. A call that asks for attention weights is computed plainly.

Shapes: b batch, q queries, k keys, h heads, d size of a head.
"""

from __future__ import annotations

import inspect

import paddle
from paddle.nn import MultiHeadAttention
from paddle.nn.functional import scaled_dot_product_attention
from paddle.nn.layer.transformer import _convert_attention_mask
from paddlenlp.transformers.gpt.modeling import MultiHeadAttention as GPTAttention

from paddle_ft.system.errors import UserError


class SDPAttention(MultiHeadAttention):
    """paddle.nn.MultiHeadAttention; its projections are called as layers, whatever stands in their place."""

    causal = False  # the mask of this call lets a token see itself and those before it, nothing else

    def forward(self, query, key=None, value=None, attn_mask=None, cache=None):
        """query [b, q, h * d], key and value [b, k, h * d] -> [b, q, h * d], with a cache (that, the cache).

        attn_mask: broadcast to [b, h, q, k], added to the scores; bool or int: False or 0 must not be seen.
        """
        if self.need_weights:
            return super().forward(query, key, value, attn_mask, cache)
        key = query if key is None else key
        value = query if value is None else value
        if cache is None:
            q, k, v = self._heads(self.q_proj(query)), self._heads(self.k_proj(key)), self._heads(self.v_proj(value))
        else:
            *qkv, cache = self._prepare_qkv(query, key, value, cache)
            q, k, v = (x.transpose([0, 2, 1, 3]) for x in qkv)
        out = attend(q, k, v, attn_mask, self.dropout, self.training, self.causal)
        out = self.out_proj(out.reshape([0, 0, self.embed_dim]))
        return out if cache is None else (out, cache)

    def _heads(self, x):
        """[b, s, h * d] -> [b, s, h, d]"""
        return x.reshape([0, 0, self.num_heads, self.head_dim])


class SDPAttentionGPT(GPTAttention):
    """GPT-2's attention. Its use_flash_attention must stay off: that path ignores the mask."""

    causal = False

    def _core_attention(self, q, k, v, attention_mask=None, output_attentions=False):
        """q [b, q, h, d], k and v [b, k, h, d] -> [b, q, h * d]"""
        if output_attentions or attention_mask is None:
            return super()._core_attention(q, k, v, attention_mask, output_attentions)
        if self.config.scale_qk_coeff != 1.0:
            q = q * self.config.scale_qk_coeff**0.5
        out = attend(q, k, v, attention_mask, self.config.attention_probs_dropout_prob, self.training, self.causal)
        return out.reshape([0, 0, q.shape[2] * q.shape[3]])


def attend(q, k, v, mask, dropout: float, training: bool, causal: bool):
    """softmax(q k' / sqrt(d) + mask) v: q [b, q, h, d], k and v [b, k, h, d] -> [b, q, h, d].

    The kernels take a causal mask as a flag, and then no other. Any other mask must be whole but for the heads: the flash kernel
    reads a row of the batch that is not there, the memory-efficient one refuses a mask that does not have q rows.
    """
    if causal:
        return scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True, training=training)
    if mask is not None:
        mask = _convert_attention_mask(mask, q.dtype)
        while mask.ndim < 4:
            mask = mask.unsqueeze(0)
        mask = mask.expand([_size(q, 0), mask.shape[1], _size(q, 1), _size(k, 1)])
    return scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, training=training)


def _size(x, axis: int):
    """A number, or a tensor where the size is open (train.compile)."""
    return x.shape[axis] if x.shape[axis] >= 0 else paddle.shape(x)[axis]


# ---------------------------------------------------------------------------------------------------- a model's layers
CLASSES = {MultiHeadAttention: SDPAttention, GPTAttention: SDPAttentionGPT}
# The decoders whose mask is causal and nothing else if they are given none: model type -> where it is, the layers' attribute,
# the arguments that must be absent
DECODERS = {
    "bart": ("decoder", ("decoder_attention_mask", "cache")),
    "gpt": ("", ("attention_mask", "past_key_values")),
}


def use_attention(model, wanted: str) -> bool:
    """Makes a model's attention what model.attention asks for. Returns whether that is scaled_dot_product_attention.

    Args:
        wanted: "sdpa"; "plain", PaddleNLP's own; "auto": sdpa on a GPU where the model's layers are known, else plain.

    Raises: UserError if sdpa is asked for and the model has no attention layer known here.
    """
    if wanted == "plain" or (wanted == "auto" and not paddle.get_device().startswith("gpu")):
        return False
    layers = [layer for layer in model.sublayers() if type(layer) in CLASSES]
    if not layers:
        if wanted == "auto":
            return False
        raise UserError(
            f"model.attention: sdpa is not known for models of type {model.config.model_type!r}"
            " (it is for bert, roberta, ernie, distilbert, bart and gpt). Set it to auto or plain."
        )
    for layer in layers:
        layer.__class__ = CLASSES[type(layer)]
    if model.config.model_type in DECODERS:
        _tell_causal(model)
    return True


def _tell_causal(model) -> None:
    """Has the decoder tell its self-attention layers, call by call, whether their mask is a causal one and nothing else."""
    place, absent = DECODERS[model.config.model_type]
    decoder = getattr(model, model.base_model_prefix, model)
    decoder = getattr(decoder, place) if place else decoder
    layers = [layer.self_attn for layer in decoder.decoder.layers]
    signature = inspect.signature(type(decoder).forward)

    def tell(decoder, args, kwargs):
        given = signature.bind(decoder, *args, **kwargs).arguments
        causal = all(given.get(name) is None for name in absent)
        for layer in layers:
            layer.causal = causal

    decoder.register_forward_pre_hook(tell, with_kwargs=True)
