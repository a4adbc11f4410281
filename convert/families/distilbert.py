"""DistilBERT. transformers ties its masked-LM head to the embedding; PaddleNLP's head is a separate Linear."""

from convert.family import Family, Task
from convert.fields import Field, MergedDropout, PaddleConstant
from convert.rules import Embedding, LayerNorm, Linear, Repeat

H, FFN, V = "dim", "hidden_dim", "vocab_size"

CONFIG = (
    Field(V, default=30522),
    Field(H, "hidden_size", default=768),
    Field("n_layers", "num_hidden_layers", default=6),
    Field("n_heads", "num_attention_heads", default=12),
    Field(FFN, "intermediate_size", default=3072),
    Field("activation", "hidden_act", default="gelu", values={"gelu": "gelu", "relu": "relu"}),
    Field("dropout", "hidden_dropout_prob", default=0.1),
    Field("attention_dropout", "attention_probs_dropout_prob", default=0.1),
    Field("max_position_embeddings", default=512),
    Field("initializer_range", default=0.02),
    Field("pad_token_id", default=0),
    MergedDropout("seq_classif_dropout", "dropout", default=0.2),
    MergedDropout("qa_dropout", "dropout", default=0.1),
    PaddleConstant("layer_norm_eps", 1e-12),
    PaddleConstant("pool_act", "tanh"),
    PaddleConstant("fuse", False),
)
LAYER = (
    *(Linear(f"transformer.layer.{{i}}.attention.{x}_lin", f"encoder.layers.{{i}}.self_attn.{x}_proj", H, H) for x in "qkv"),
    Linear("transformer.layer.{i}.attention.out_lin", "encoder.layers.{i}.self_attn.out_proj", H, H),
    LayerNorm("transformer.layer.{i}.sa_layer_norm", "encoder.layers.{i}.norm1", H),
    Linear("transformer.layer.{i}.ffn.lin1", "encoder.layers.{i}.linear1", H, FFN),
    Linear("transformer.layer.{i}.ffn.lin2", "encoder.layers.{i}.linear2", FFN, H),
    LayerNorm("transformer.layer.{i}.output_layer_norm", "encoder.layers.{i}.norm2", H),
)
BACKBONE = (
    Embedding("embeddings.word_embeddings", "embeddings.word_embeddings", V, H),
    Embedding("embeddings.position_embeddings", "embeddings.position_embeddings", "max_position_embeddings", H),
    LayerNorm("embeddings.LayerNorm", "embeddings.layer_norm", H),
    Repeat("n_layers", LAYER),
)
MASKED_LM = (
    Linear("vocab_transform", "vocab_transform", H, H),
    LayerNorm("vocab_layer_norm", "vocab_layer_norm", H),
    Linear("vocab_projector", "vocab_projector", H, V, tied_to="embeddings.word_embeddings.weight"),
)
CLASSIFIER = (Linear("classifier", "classifier", H, "num_labels"),)
# the head's dropout has a field of its own in both libraries
HEAD_DROPOUT = {name: (Field(name, "classifier_dropout", default=value, none_is="hidden_dropout_prob"),)
                for name, value in (("seq_classif_dropout", 0.2), ("qa_dropout", 0.1))}  # fmt: skip
# PaddleNLP's masked-LM head always uses the exact gelu
GELU = (Field("activation", "hidden_act", default="gelu", values={"gelu": "gelu"}),)

FAMILIES = (
    Family(
        model_type="distilbert",
        paddle_type="distilbert",
        hf_prefix="distilbert.",
        paddle_prefix="distilbert.",
        config=CONFIG,
        backbone=BACKBONE,
        tasks=(
            Task("base", "DistilBertModel", "DistilBertModel", base=True, outputs=("last_hidden_state",)),
            Task("masked_lm", "DistilBertForMaskedLM", "DistilBertForMaskedLM", MASKED_LM, config=GELU),
            Task("sequence_classification", "DistilBertForSequenceClassification", "DistilBertForSequenceClassification",
                 (Linear("pre_classifier", "pre_classifier", H, H), *CLASSIFIER),
                 config=HEAD_DROPOUT["seq_classif_dropout"]),
            Task("token_classification", "DistilBertForTokenClassification", "DistilBertForTokenClassification", CLASSIFIER),
            Task("question_answering", "DistilBertForQuestionAnswering", "DistilBertForQuestionAnswering",
                 (Linear("qa_outputs", "classifier", H, 2),), outputs=("start_logits", "end_logits"),
                 config=HEAD_DROPOUT["qa_dropout"]),
        ),
        layers=(("embeddings", "embeddings", None), ("transformer.layer.{i}", "encoder.layers.{i}", "n_layers")),
        tokenizer="wordpiece",
        harmless=("sinusoidal_pos_embds", "tie_weights_"),
        ignored={r"^embeddings\.position_ids$": "a buffer of consecutive numbers"},
    ),
)  # fmt: skip
