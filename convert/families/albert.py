"""ALBERT: layers that share parameters, after a factorised embedding."""

from convert.families.bert import CHOICE, CLASSIFIER, POOLED, POSITION_IDS, SPANS, H, V
from convert.family import Family, Task
from convert.fields import Approximate, Field, Fixed, PaddleConstant
from convert.rules import Alias, Embedding, Group, LayerNorm, Linear, Parameter, Repeat

E, FFN = "embedding_size", "intermediate_size"
LAYER = "encoder.albert_layer_groups.{i}.albert_layers.0"
PREDICTIONS = (
    Parameter("predictions.bias", "predictions.bias", (V,)),
    LayerNorm("predictions.LayerNorm", "predictions.layer_norm", E),
    Linear("predictions.dense", "predictions.dense", H, E),
    Alias("predictions.bias", "predictions.decoder.bias", "predictions.decoder.bias"),
)
TIED = Alias("embeddings.word_embeddings.weight", "predictions.decoder.weight", "predictions.decoder.weight")
# PaddleNLP's pretraining class does not tie its decoder, transformers' does
KEPT_APART = Parameter("predictions.decoder.weight", "predictions.decoder.weight", (V, E),
                       tied_to="embeddings.word_embeddings.weight")  # fmt: skip
POOLER = ("pooler",)
# PaddleNLP's prediction head always uses 1e-5, which is nearly the same model for a checkpoint with 1e-12. The difference cannot be
# folded into the weights: it depends on the variance of what the head normalises, and the activation before it is not linear.
HEAD_EPSILON = (
    Field("layer_norm_eps", default=1e-12, values={1e-12: 1e-12, 1e-5: 1e-5}),
    Approximate("layer_norm_eps", 1e-5, 1e-12,
                "PaddleNLP's prediction head normalises with 1e-5 anyway, which makes its values smaller by about 5e-6 divided by "
                "their variance (the logits of a trained checkpoint, up to 18, differ by up to 2.4e-4)"),
)  # fmt: skip
QA_REFUSED = "PaddleNLP's AlbertForQuestionAnswering returns its start logits as end logits too; use --task base"

FAMILIES = (
    Family(
        model_type="albert",
        paddle_type="albert",
        hf_prefix="albert.",
        paddle_prefix="transformer.",
        config=(
            Field(V, default=30000),
            Field(E, default=128),
            Field(H, default=4096),
            Field("num_hidden_layers", default=12),
            Field("num_hidden_groups", default=1),
            Field("num_attention_heads", default=64),
            Field(FFN, default=16384),
            Field("hidden_act", default="gelu_new", values={
                "gelu_new": "gelu_new", "gelu_pytorch_tanh": "gelu_new", "gelu": "gelu", "relu": "relu", "tanh": "tanh",
            }),
            Field("hidden_dropout_prob", default=0),
            Field("attention_probs_dropout_prob", default=0),
            Field("max_position_embeddings", default=512),
            Field("type_vocab_size", default=2),
            Field("initializer_range", default=0.02),
            Field("layer_norm_eps", default=1e-12),
            Field("classifier_dropout_prob", default=0.1),
            Field("pad_token_id", default=0),
            Field("bos_token_id", default=2),
            Field("eos_token_id", default=3),
            Fixed("inner_group_num", (1,)),
            Fixed("position_embedding_type", ("absolute",)),
            PaddleConstant("add_pooling_layer", True),
        ),
        backbone=(
            Embedding("embeddings.word_embeddings", "embeddings.word_embeddings", V, E),
            Embedding("embeddings.position_embeddings", "embeddings.position_embeddings", "max_position_embeddings", E),
            Embedding("embeddings.token_type_embeddings", "embeddings.token_type_embeddings", "type_vocab_size", E),
            LayerNorm("embeddings.LayerNorm", "embeddings.layer_norm", E),
            Parameter("embeddings.position_ids", "embeddings.position_ids", (1, "max_position_embeddings"),
                      init="positions", optional=True),
            Linear("encoder.embedding_hidden_mapping_in", "encoder.embedding_hidden_mapping_in", E, H),
            Repeat("num_hidden_groups", (
                LayerNorm(f"{LAYER}.full_layer_layer_norm", f"{LAYER}.full_layer_layer_norm", H),
                *(Linear(f"{LAYER}.attention.{x}", f"{LAYER}.attention.{x}", H, H) for x in ("query", "key", "value", "dense")),
                LayerNorm(f"{LAYER}.attention.LayerNorm", f"{LAYER}.attention.layer_norm", H),
                Linear(f"{LAYER}.ffn", f"{LAYER}.ffn", H, FFN),
                Linear(f"{LAYER}.ffn_output", f"{LAYER}.ffn_output", FFN, H),
            )),
            Group("pooler", (Linear("pooler", "pooler", H, H),)),
        ),
        tasks=(
            Task("base", "AlbertModel", "AlbertModel", base=True, outputs=POOLED),
            Task("masked_lm", "AlbertForMaskedLM", "AlbertForMaskedLM", (*PREDICTIONS, TIED), spare_groups=POOLER,
                 config=HEAD_EPSILON),
            Task("pretraining", "AlbertForPreTraining", "AlbertForPretraining",
                 (*PREDICTIONS, KEPT_APART, Linear("sop_classifier.classifier", "sop_classifier.classifier", H, "num_labels")),
                 outputs=("prediction_logits", "sop_logits"), config=HEAD_EPSILON),
            Task("sequence_classification", "AlbertForSequenceClassification", "AlbertForSequenceClassification", CLASSIFIER),
            Task("token_classification", "AlbertForTokenClassification", "AlbertForTokenClassification", CLASSIFIER,
                 spare_groups=POOLER),
            Task("question_answering", "AlbertForQuestionAnswering", "AlbertForQuestionAnswering",
                 (Linear("qa_outputs", "qa_outputs", H, 2),), spare_groups=POOLER, outputs=SPANS, refused=QA_REFUSED),
            Task("multiple_choice", "AlbertForMultipleChoice", "AlbertForMultipleChoice", CHOICE),
        ),
        layers=(
            ("embeddings", "embeddings", None),
            ("encoder.embedding_hidden_mapping_in", "encoder.embedding_hidden_mapping_in", None),
            ("encoder.albert_layer_groups.{i}", "encoder.albert_layer_groups.{i}", "num_hidden_groups"),
        ),
        tokenizer="albert_unigram",
        token_types=True,
        harmless=("net_structure_type", "gap_size", "num_memory_blocks", "down_scale_factor"),
        ignored=POSITION_IDS,
    ),
)  # fmt: skip
