"""T5, T5 v1.1 (gated feed-forward, untied head), and mT5, which has the same architecture as v1.1."""

from convert.family import Family, Task
from convert.fields import Field, Fixed
from convert.rules import Alias, Embedding, If, LayerNorm, Linear, Repeat

D, V, BUCKETS, HEADS, KV = "d_model", "vocab_size", "relative_attention_num_buckets", "num_heads", "d_kv"
FEED_FORWARD = {name: name for name in ("relu", "gated-gelu", "gated-silu")}  # gated-gelu is the tanh form in both libraries


def attention(name: str) -> tuple:
    """Return the rules of an attention layer."""
    return (
        *(Linear(f"{name}.{x}", f"{name}.{x}", D, "inner", bias=False) for x in "qkv"),
        Linear(f"{name}.o", f"{name}.o", "inner", D, bias=False),
    )


def block(side: str, count: str) -> tuple:
    """Return the rules of the encoder or the decoder. Only its first layer has the table of relative positions.

    Args:
        side: "encoder" or "decoder".
        count: Configuration field with the number of layers.
    """
    front = f"{side}.block.{{i}}.layer"
    last = 1 if side == "encoder" else 2
    norms = tuple(LayerNorm(f"{front}.{n}.layer_norm", f"{front}.{n}.layer_norm", D, bias=False) for n in range(last + 1))
    dense = f"{front}.{last}.DenseReluDense"
    table = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias"
    return (
        Alias("shared.weight", f"{side}.embed_tokens.weight", f"{side}.embed_tokens.weight"),
        Embedding(table, table, BUCKETS, HEADS),
        Repeat(count, (
            *attention(f"{front}.0.SelfAttention"),
            *(attention(f"{front}.1.EncDecAttention") if side == "decoder" else ()),
            *norms,
            If(lambda config: config["feed_forward_proj"].startswith("gated"), (
                Linear(f"{dense}.wi_0", f"{dense}.wi_0", D, "d_ff", bias=False),
                Linear(f"{dense}.wi_1", f"{dense}.wi_1", D, "d_ff", bias=False),
            )),
            If(lambda config: not config["feed_forward_proj"].startswith("gated"), (
                Linear(f"{dense}.wi", f"{dense}.wi", D, "d_ff", bias=False),
            )),
            Linear(f"{dense}.wo", f"{dense}.wo", "d_ff", D, bias=False),
        )),
        LayerNorm(f"{side}.final_layer_norm", f"{side}.final_layer_norm", D, bias=False),
    )  # fmt: skip


HEAD = (
    If(lambda config: config["tie_word_embeddings"], (Alias("shared.weight", "lm_head.weight"),)),
    If(lambda config: not config["tie_word_embeddings"], (Linear("lm_head", "lm_head", D, V, bias=False),)),
)


def family(name: str, stem: str, feed_forward: str, tied: bool) -> Family:
    """Return the family of T5 or mT5.

    Args:
        name: Its model_type.
        stem: Beginning of the class names.
        feed_forward: Default of feed_forward_proj.
        tied: Default of tie_word_embeddings.
    """
    return Family(
        model_type=name,
        paddle_type=name,
        hf_prefix="",
        paddle_prefix=f"{name}.",
        config=(
            Field(V, default=32128 if tied else 250112),
            Field(D, default=512),
            Field(KV, default=64),
            Field("d_ff", default=2048 if tied else 1024),
            Field("num_layers", default=6 if tied else 8),
            Field("num_decoder_layers", if_none=lambda config: config.get("num_layers") or (6 if tied else 8)),
            Field(HEADS, default=8 if tied else 6),
            Field(BUCKETS, default=32),
            Fixed("relative_attention_max_distance", (128,)),  # PaddleNLP has the field too but ignores it
            Field("dropout_rate", default=0.1),
            Field("classifier_dropout", default=0.0),
            Field("layer_norm_epsilon", default=1e-6),
            Field("initializer_factor", default=1.0),
            Field("feed_forward_proj", default=feed_forward, values=FEED_FORWARD),
            Field("is_encoder_decoder", default=True),
            Field("tie_word_embeddings", default=tied),
            Field("pad_token_id", default=0),
            Field("eos_token_id", default=1),
            Field("decoder_start_token_id", default=None if tied else 0),
        ),
        sizes=lambda config: {"inner": config[KV] * config[HEADS]},
        backbone=(
            Embedding("shared", "shared", V, D),
            *block("encoder", "num_layers"),
            *block("decoder", "num_decoder_layers"),
        ),
        tasks=(
            Task("base", f"{stem}Model", f"{stem}Model", base=True, outputs=("last_hidden_state",)),
            Task("seq2seq", f"{stem}ForConditionalGeneration", f"{stem}ForConditionalGeneration", HEAD),
        ),
        layers=(
            ("encoder.block.{i}", "encoder.block.{i}", "num_layers"),
            ("encoder.final_layer_norm", "encoder.final_layer_norm", None),
            ("decoder.block.{i}", "decoder.block.{i}", "num_decoder_layers"),
            ("decoder.final_layer_norm", "decoder.final_layer_norm", None),
        ),
        tokenizer="t5_unigram",
        seq2seq=True,
        harmless=("dense_act_fn", "is_gated_act", "n_positions"),
        ignored={r"^decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight$": "never used"},
    )


FAMILIES = (family("t5", "T5", "relu", True), family("mt5", "MT5", "gated-gelu", False))
