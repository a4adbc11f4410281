"""ELECTRA: discriminator and generator. PaddleNLP fixes the layer norm epsilon and uses one activation everywhere."""

from convert.families.bert import BACKBONE, CHOICE, CLASSIFIER, FIELDS, POSITION_IDS, QA, SPANS, H, V
from convert.family import Family, Task
from convert.fields import Field, Fixed
from convert.rules import Alias, Embedding, If, LayerNorm, Linear, Parameter, Repeat

E = "embedding_size"
LAYERS = tuple(rule for rule in BACKBONE if isinstance(rule, Repeat))

FAMILIES = (
    Family(
        model_type="electra",
        paddle_type="electra",
        hf_prefix="electra.",
        paddle_prefix="electra.",
        config=(
            *(entry for entry in FIELDS if entry.hf != "layer_norm_eps"),
            Field(E, default=128),
            Field(H, default=256),
            Field("num_attention_heads", default=4),
            Field("intermediate_size", default=1024),
            Field("hidden_act", default="gelu", values={"gelu": "gelu"}),
            Fixed("layer_norm_eps", (1e-12,)),
        ),
        backbone=(
            Embedding("embeddings.word_embeddings", "embeddings.word_embeddings", V, E),
            Embedding("embeddings.position_embeddings", "embeddings.position_embeddings", "max_position_embeddings", E),
            Embedding("embeddings.token_type_embeddings", "embeddings.token_type_embeddings", "type_vocab_size", E),
            LayerNorm("embeddings.LayerNorm", "embeddings.layer_norm", E),
            If(lambda config: config[E] != config[H], (Linear("embeddings_project", "embeddings_project", E, H),)),
            *LAYERS,
        ),
        tasks=(
            Task("base", "ElectraModel", "ElectraModel", base=True, outputs=("last_hidden_state",)),
            Task("pretraining", "ElectraForPreTraining", "ElectraDiscriminator", (
                Linear("discriminator_predictions.dense", "discriminator_predictions.dense", H, H),
                Linear("discriminator_predictions.dense_prediction", "discriminator_predictions.dense_prediction", H, 1),
            )),
            Task("masked_lm", "ElectraForMaskedLM", "ElectraGenerator", (
                LayerNorm("generator_predictions.LayerNorm", "generator_predictions.layer_norm", E),
                Linear("generator_predictions.dense", "generator_predictions.dense", H, E),
                Parameter("generator_lm_head.bias", "generator_lm_head_bias", (V,)),
                Alias("embeddings.word_embeddings.weight", "generator_lm_head.weight"),
            )),
            Task("sequence_classification", "ElectraForSequenceClassification", "ElectraForSequenceClassification", (
                Linear("classifier.dense", "classifier.dense", H, H),
                Linear("classifier.out_proj", "classifier.out_proj", H, "num_labels"),
            )),
            Task("token_classification", "ElectraForTokenClassification", "ElectraForTokenClassification", CLASSIFIER),
            Task("question_answering", "ElectraForQuestionAnswering", "ElectraForQuestionAnswering", QA, outputs=SPANS),
            Task("multiple_choice", "ElectraForMultipleChoice", "ElectraForMultipleChoice",
                 (Linear("sequence_summary.summary", "sequence_summary.dense", H, H), *CHOICE),
                 config=(Field("num_choices", default=2), Fixed("summary_type", ("first",)),
                         Fixed("summary_use_proj", (True,)), Fixed("summary_activation", ("gelu",)))),
        ),
        layers=(("embeddings", "embeddings", None), ("encoder.layer.{i}", "encoder.layers.{i}", "num_hidden_layers")),
        tokenizer="wordpiece",
        token_types=True,
        harmless=("summary_activation", "summary_use_proj", "num_hidden_groups"),
        ignored=POSITION_IDS,
    ),
)  # fmt: skip
