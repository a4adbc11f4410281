"""BART, English and Chinese: one table for transformers' names, head by head."""

from convert.config import Field, Fixed, Kept
from convert.family import Family, Task
from convert.rules import Also, Embedding, LayerNorm, Linear, Parameter, Repeat

D, V = "d_model", "vocab_size"
ACTIVATIONS = {name: name for name in ("gelu", "relu", "silu", "swish", "tanh")}

CONFIG = (
    Field(V, default=50265),
    Field(D, default=1024),
    *(Field(f"{side}_layers", default=12) for side in ("encoder", "decoder")),
    *(Field(f"{side}_attention_heads", default=16) for side in ("encoder", "decoder")),
    *(Field(f"{side}_ffn_dim", default=4096) for side in ("encoder", "decoder")),
    Field("activation_function", default="gelu", values=ACTIVATIONS),
    Field("dropout", default=0.1),
    Field("attention_dropout", default=0.0),
    Field("activation_dropout", default=0.0),
    Field("classifier_dropout", default=0.0),
    Field("max_position_embeddings", default=1024),
    Field("init_std", default=0.02),
    Field("scale_embedding", default=False),
    Field("is_encoder_decoder", default=True),
    Field("pad_token_id", default=1),
    Field("bos_token_id", default=0),
    Field("eos_token_id", default=2),
    Field("decoder_start_token_id", default=2),
    Field("forced_eos_token_id", default=2),
    Kept("num_labels", 3),
    # forms of the architecture that today's transformers no longer computes, named in the older files
    Fixed("normalize_before", (False,)),
    Fixed("normalize_embedding", (True,)),
    Fixed("add_final_layer_norm", (False,)),
    Fixed("add_bias_logits", (False,)),
    Fixed("static_position_embeddings", (False,)),
    Fixed("extra_pos_embeddings", (2,)),
)


def attention(hf: str, paddle: str) -> tuple:
    return tuple(Linear(f"{hf}.{name}_proj", f"{paddle}.{name}_proj", D, D) for name in ("q", "k", "v", "out"))


def feed_forward(hf: str, paddle: str, size: str, norm: str) -> tuple:
    return (
        Linear(f"{hf}.fc1", f"{paddle}.linear1", D, size),
        Linear(f"{hf}.fc2", f"{paddle}.linear2", size, D),
        LayerNorm(f"{hf}.final_layer_norm", f"{paddle}.{norm}", D),
    )


def side(name: str) -> tuple:
    """What stands before the layers of the encoder or the decoder."""
    return (
        Also("shared.weight", f"{name}.embed_tokens.weight", f"{name}.embed_tokens.weight"),
        Embedding(f"{name}.embed_positions", f"{name}.{name}_embed_positions", "max_position_embeddings", D, extra_rows=2),
        LayerNorm(f"{name}.layernorm_embedding", f"{name}.{name}_layernorm_embedding", D),
    )


ENCODER, DECODER = ("encoder.layers.{i}", "encoder.encoder.layers.{i}"), ("decoder.layers.{i}", "decoder.decoder.layers.{i}")
BACKBONE = (
    Embedding("shared", "shared", V, D),
    *side("encoder"),
    Repeat("encoder_layers", (
        *attention(f"{ENCODER[0]}.self_attn", f"{ENCODER[1]}.self_attn"),
        LayerNorm(f"{ENCODER[0]}.self_attn_layer_norm", f"{ENCODER[1]}.norm1", D),
        *feed_forward(*ENCODER, "encoder_ffn_dim", "norm2"),
    )),
    *side("decoder"),
    Repeat("decoder_layers", (
        *attention(f"{DECODER[0]}.self_attn", f"{DECODER[1]}.self_attn"),
        LayerNorm(f"{DECODER[0]}.self_attn_layer_norm", f"{DECODER[1]}.norm1", D),
        *attention(f"{DECODER[0]}.encoder_attn", f"{DECODER[1]}.cross_attn"),
        LayerNorm(f"{DECODER[0]}.encoder_attn_layer_norm", f"{DECODER[1]}.norm2", D),
        *feed_forward(*DECODER, "decoder_ffn_dim", "norm3"),
    )),
)  # fmt: skip

FAMILIES = (
    Family(
        model_type="bart",
        paddle_type="bart",
        hf_prefix="model.",
        paddle_prefix="bart.",
        config=CONFIG,
        backbone=BACKBONE,
        tasks=(
            Task("base", "BartModel", "BartModel", base=True, outputs=("last_hidden_state",)),
            Task("seq2seq", "BartForConditionalGeneration", "BartForConditionalGeneration", (
                Parameter("lm_head.weight", "lm_head_weight", (V, D), tied_to="shared.weight"),
                Parameter("final_logits_bias", "final_logits_bias", (1, V), optional=True),
            )),
            Task("sequence_classification", "BartForSequenceClassification", "BartForSequenceClassification", (
                Linear("classification_head.dense", "classifier.dense", D, D),
                Linear("classification_head.out_proj", "classifier.out_proj", D, "num_labels"),
            )),
            Task("question_answering", "BartForQuestionAnswering", "BartForQuestionAnswering",
                 (Linear("qa_outputs", "classifier", D, 2),), outputs=("start_logits", "end_logits")),
        ),
        layers=(
            ("encoder.layernorm_embedding", "encoder.encoder_layernorm_embedding", None),
            (*ENCODER, "encoder_layers"),
            ("decoder.layernorm_embedding", "decoder.decoder_layernorm_embedding", None),
            (*DECODER, "decoder_layers"),
        ),
        tokenizer="byte_bpe_with_ends",
        seq2seq=True,
        harmless=("num_hidden_layers", "encoder_layerdrop", "decoder_layerdrop", "layerdrop"),
        ignored={
            r"^(en|de)coder\.version$": "a version mark of fairseq",
            r"^(en|de)coder\.embed_positions\._float_tensor$": "an empty buffer of fairseq",
        },
    ),
)  # fmt: skip
