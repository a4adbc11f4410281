"""BERT, and every other checkpoint whose model_type is "bert", such as MiniLM."""

from convert.family import Family, Task
from convert.fields import Field, Fixed, PaddleConstant
from convert.rules import Alias, Embedding, Group, LayerNorm, Linear, Parameter, Repeat

H, FFN, V = "hidden_size", "intermediate_size", "vocab_size"
ACTIVATIONS = {name: name for name in ("gelu", "relu", "silu", "swish", "tanh")}

FIELDS = (
    Field(V, default=30522),
    Field(H, default=768),
    Field("num_hidden_layers", default=12),
    Field("num_attention_heads", default=12),
    Field(FFN, default=3072),
    Field("hidden_act", default="gelu", values=ACTIVATIONS),
    Field("hidden_dropout_prob", default=0.1),
    Field("attention_probs_dropout_prob", default=0.1),
    Field("max_position_embeddings", default=512),
    Field("type_vocab_size", default=2),
    Field("initializer_range", default=0.02),
    Field("layer_norm_eps", default=1e-12),
    Field("pad_token_id", default=0),
    Field("classifier_dropout"),
    Fixed("position_embedding_type", ("absolute",)),
)
CONFIG = (*FIELDS, PaddleConstant("pool_act", "tanh"), PaddleConstant("fuse", False))


def encoder_layer(hf: str, paddle: str) -> tuple:
    """Return the rules of a post-norm encoder layer with BERT's names."""
    attention = (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"))
    return (
        *(Linear(f"{hf}.attention.self.{x}", f"{paddle}.self_attn.{y}", H, H) for x, y in attention),
        Linear(f"{hf}.attention.output.dense", f"{paddle}.self_attn.out_proj", H, H),
        LayerNorm(f"{hf}.attention.output.LayerNorm", f"{paddle}.norm1", H),
        Linear(f"{hf}.intermediate.dense", f"{paddle}.linear1", H, FFN),
        Linear(f"{hf}.output.dense", f"{paddle}.linear2", FFN, H),
        LayerNorm(f"{hf}.output.LayerNorm", f"{paddle}.norm2", H),
    )


BACKBONE = (
    Embedding("embeddings.word_embeddings", "embeddings.word_embeddings", V, H),
    Embedding("embeddings.position_embeddings", "embeddings.position_embeddings", "max_position_embeddings", H),
    Embedding("embeddings.token_type_embeddings", "embeddings.token_type_embeddings", "type_vocab_size", H),
    LayerNorm("embeddings.LayerNorm", "embeddings.layer_norm", H),
    Repeat("num_hidden_layers", encoder_layer("encoder.layer.{i}", "encoder.layers.{i}")),
    Group("pooler", (Linear("pooler.dense", "pooler.dense", H, H),)),
)

MASKED_LM = (
    Linear("cls.predictions.transform.dense", "cls.predictions.transform", H, H),
    LayerNorm("cls.predictions.transform.LayerNorm", "cls.predictions.layer_norm", H),
    Parameter("cls.predictions.bias", "cls.predictions.decoder_bias", (V,)),
    Alias("cls.predictions.bias", hf="cls.predictions.decoder.bias", paddle="cls.predictions.decoder.bias"),
    Alias("embeddings.word_embeddings.weight", "cls.predictions.decoder.weight", "cls.predictions.decoder.weight"),
)
CLASSIFIER = (Linear("classifier", "classifier", H, "num_labels"),)
QA = (Linear("qa_outputs", "classifier", H, 2),)
CHOICE = (Linear("classifier", "classifier", H, 1),)
POOLED, SPANS = ("last_hidden_state", "pooler_output"), ("start_logits", "end_logits")
POSITION_IDS = {r"^embeddings\.position_ids$": "a buffer of consecutive numbers"}


def tasks(stem: str) -> tuple[Task, ...]:
    """Return the tasks of an architecture with BERT's heads, whose class names start with `stem`.

    All of PaddleNLP's classes have a pooler, even if no output depends on it.
    """
    pooler = ("pooler",)
    relationship = Linear("cls.seq_relationship", "cls.seq_relationship", H, 2)

    def task(name: str, ending: str, *head, **options) -> Task:
        return Task(name, stem + ending, stem + options.pop("paddle", ending), head, **options)

    return (
        task("base", "Model", base=True, outputs=POOLED),
        task("masked_lm", "ForMaskedLM", *MASKED_LM, spare_groups=pooler),
        task("pretraining", "ForPreTraining", *MASKED_LM, relationship, paddle="ForPretraining",
             outputs=("prediction_logits", "seq_relationship_logits")),
        task("sequence_classification", "ForSequenceClassification", *CLASSIFIER),
        task("token_classification", "ForTokenClassification", *CLASSIFIER, spare_groups=pooler),
        task("question_answering", "ForQuestionAnswering", *QA, spare_groups=pooler, outputs=SPANS),
        task("multiple_choice", "ForMultipleChoice", *CHOICE, config=(Field("num_choices", default=2),)),
    )  # fmt: skip


BERT = Family(
    model_type="bert",
    paddle_type="bert",
    hf_prefix="bert.",
    paddle_prefix="bert.",
    config=CONFIG,
    backbone=BACKBONE,
    tasks=tasks("Bert"),
    layers=(("embeddings", "embeddings", None), ("encoder.layer.{i}", "encoder.layers.{i}", "num_hidden_layers")),
    tokenizer="wordpiece",
    token_types=True,
    ignored=POSITION_IDS,
)
FAMILIES = (BERT,)
