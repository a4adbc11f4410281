"""BART, both the English and the Chinese one."""

from convert.family import Family, Task
from convert.fields import Entry, Field, Fixed, HfOnly
from convert.rules import Alias, Embedding, LayerNorm, Linear, Parameter, Repeat

D, V = "d_model", "vocab_size"
ACTIVATIONS = {name: name for name in ("gelu", "relu", "silu", "swish", "tanh")}

CONFIG: tuple[Entry, ...] = (
    Field(V, default=50265),
    Field(D, default=1024),
    *(Field(f"{side}_layers", default=12) for side in ("encoder", "decoder")),
    *(Field(f"{side}_attention_heads", default=16) for side in ("encoder", "decoder")),
    *(Field(f"{side}_ffn_dim", default=4096) for side in ("encoder", "decoder")),
    Field("activation_function", default="gelu", values=ACTIVATIONS),
    Field("dropout", default=0.1),
    Field("attention_dropout", default=0.0),
    Field("activation_dropout", default=0.0),
    Field("classifier_dropout", default=0.0, none_is="dropout"),
    Field("max_position_embeddings", default=1024),
    Field("init_std", default=0.02),
    Field("scale_embedding", default=False),
    Field("is_encoder_decoder", default=True),
    Field("pad_token_id", default=1),
    Field("bos_token_id", default=0),
    Field("eos_token_id", default=2),
    Field("decoder_start_token_id", default=2),
    Field("forced_eos_token_id", default=2),
    HfOnly("num_labels", 3),
    # variants that transformers no longer supports but older files still have
    Fixed("normalize_before", (False,)),
    Fixed("normalize_embedding", (True,)),
    Fixed("add_final_layer_norm", (False,)),
    Fixed("add_bias_logits", (False,)),
    Fixed("static_position_embeddings", (False,)),
    Fixed("extra_pos_embeddings", (2,)),
)


def attention(hf: str, paddle: str) -> tuple:
    """Return the rules of an attention layer, given its names in both models."""
    return tuple(Linear(f"{hf}.{name}_proj", f"{paddle}.{name}_proj", D, D) for name in ("q", "k", "v", "out"))


def feed_forward(hf: str, paddle: str, size: str, norm: str) -> tuple:
    """Return the rules of a feed-forward block and its layer norm.

    Args:
        hf: Name of the layer in Hugging Face's model.
        paddle: Name of the layer in Paddle's model.
        size: Configuration field with the inner size.
        norm: Name of the layer norm within Paddle's layer.
    """
    return (
        Linear(f"{hf}.fc1", f"{paddle}.linear1", D, size),
        Linear(f"{hf}.fc2", f"{paddle}.linear2", size, D),
        LayerNorm(f"{hf}.final_layer_norm", f"{paddle}.{norm}", D),
    )


def positions(name: str, extra_rows: int = 2) -> Embedding:
    """Return the rule of the position embedding of the encoder or the decoder, whose first `extra_rows` rows are not used."""
    return Embedding(f"{name}.embed_positions", f"{name}.{name}_embed_positions", "max_position_embeddings", D, extra_rows)


def embedding_norm(name: str) -> LayerNorm:
    """Return the rule of the layer norm after the embeddings of the encoder or the decoder."""
    return LayerNorm(f"{name}.layernorm_embedding", f"{name}.{name}_layernorm_embedding", D)


ENCODER, DECODER = ("encoder.layers.{i}", "encoder.encoder.layers.{i}"), ("decoder.layers.{i}", "decoder.decoder.layers.{i}")


def backbone(encoder: tuple, decoder: tuple) -> tuple:
    """Return the rules of the base model, which mBART and Pegasus share.

    Args:
        encoder: Rules of the encoder's parts besides its layers.
        decoder: The same for the decoder.
    """
    return (
        Embedding("shared", "shared", V, D),
        Alias("shared.weight", "encoder.embed_tokens.weight", "encoder.embed_tokens.weight"),
        *encoder,
        Repeat("encoder_layers", (
            *attention(f"{ENCODER[0]}.self_attn", f"{ENCODER[1]}.self_attn"),
            LayerNorm(f"{ENCODER[0]}.self_attn_layer_norm", f"{ENCODER[1]}.norm1", D),
            *feed_forward(*ENCODER, "encoder_ffn_dim", "norm2"),
        )),
        Alias("shared.weight", "decoder.embed_tokens.weight", "decoder.embed_tokens.weight"),
        *decoder,
        Repeat("decoder_layers", (
            *attention(f"{DECODER[0]}.self_attn", f"{DECODER[1]}.self_attn"),
            LayerNorm(f"{DECODER[0]}.self_attn_layer_norm", f"{DECODER[1]}.norm1", D),
            *attention(f"{DECODER[0]}.encoder_attn", f"{DECODER[1]}.cross_attn"),
            LayerNorm(f"{DECODER[0]}.encoder_attn_layer_norm", f"{DECODER[1]}.norm2", D),
            *feed_forward(*DECODER, "decoder_ffn_dim", "norm3"),
        )),
    )  # fmt: skip


def tasks(stem: str) -> tuple[Task, ...]:
    """Return the tasks of an architecture with BART's heads, whose class names start with `stem`."""
    generation = (
        Parameter("lm_head.weight", "lm_head_weight", (V, D), tied_to="shared.weight"),
        Parameter("final_logits_bias", "final_logits_bias", (1, V), optional=True),
    )
    classifier = (
        Linear("classification_head.dense", "classifier.dense", D, D),
        Linear("classification_head.out_proj", "classifier.out_proj", D, "num_labels"),
    )
    spans = (Linear("qa_outputs", "classifier", D, 2),)

    def task(name: str, ending: str, head: tuple, **options) -> Task:
        return Task(name, stem + ending, stem + ending, head, **options)

    return (
        task("base", "Model", (), base=True, outputs=("last_hidden_state",)),
        task("seq2seq", "ForConditionalGeneration", generation),
        task("sequence_classification", "ForSequenceClassification", classifier),
        task("question_answering", "ForQuestionAnswering", spans, outputs=("start_logits", "end_logits")),
    )


HARMLESS = ("num_hidden_layers", "encoder_layerdrop", "decoder_layerdrop", "layerdrop")
FAIRSEQ = {
    r"^(en|de)coder\.version$": "a version mark of fairseq",
    r"^(en|de)coder\.embed_positions\._float_tensor$": "an empty buffer of fairseq",
}

BART = Family(
    model_type="bart",
    paddle_type="bart",
    hf_prefix="model.",
    paddle_prefix="bart.",
    config=CONFIG,
    backbone=backbone(*((positions(side), embedding_norm(side)) for side in ("encoder", "decoder"))),
    tasks=tasks("Bart"),
    layers=(
        ("encoder.layernorm_embedding", "encoder.encoder_layernorm_embedding", None),
        (*ENCODER, "encoder_layers"),
        ("decoder.layernorm_embedding", "decoder.decoder_layernorm_embedding", None),
        (*DECODER, "decoder_layers"),
    ),
    tokenizer="byte_bpe_with_ends",
    seq2seq=True,
    harmless=HARMLESS,
    ignored=FAIRSEQ,
)
FAMILIES = (BART,)
