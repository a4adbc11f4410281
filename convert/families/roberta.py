"""RoBERTa, which has BERT's layers with other heads. Its position ids start after the padding id."""

from convert.families.bert import BACKBONE, CHOICE, CLASSIFIER, FIELDS, POOLED, POSITION_IDS, QA, SPANS, H, V
from convert.family import Family, Task
from convert.fields import Field
from convert.rules import Alias, Group, LayerNorm, Linear, Parameter

WITHOUT_POOLER = tuple(rule for rule in BACKBONE if not isinstance(rule, Group))
POOLER = tuple(rule for rule in BACKBONE if isinstance(rule, Group))
MASKED_LM = (
    Linear("lm_head.dense", "lm_head.dense", H, H),
    LayerNorm("lm_head.layer_norm", "lm_head.layer_norm", H),
    Parameter("lm_head.bias", "lm_head.bias", (V,)),
    Alias("lm_head.bias", "lm_head.decoder.bias", "lm_head.decoder.bias"),
    Alias("embeddings.word_embeddings.weight", "lm_head.decoder.weight", "lm_head.decoder.weight"),
)
SEQUENCE = (
    Linear("classifier.dense", "classifier.dense", H, H),
    Linear("classifier.out_proj", "classifier.out_proj", H, "num_labels"),
)

FAMILIES = (
    Family(
        model_type="roberta",
        paddle_type="roberta",
        hf_prefix="roberta.",
        paddle_prefix="roberta.",
        config=(*FIELDS, Field(V, default=50265), Field("pad_token_id", default=1), Field("bos_token_id", default=0),
                Field("eos_token_id", default=2)),
        backbone=WITHOUT_POOLER,
        tasks=(
            Task("base", "RobertaModel", "RobertaModel", backbone=POOLER, base=True, outputs=POOLED),
            Task("masked_lm", "RobertaForMaskedLM", "RobertaForMaskedLM", MASKED_LM),
            Task("sequence_classification", "RobertaForSequenceClassification", "RobertaForSequenceClassification", SEQUENCE),
            Task("token_classification", "RobertaForTokenClassification", "RobertaForTokenClassification", CLASSIFIER),
            Task("question_answering", "RobertaForQuestionAnswering", "RobertaForQuestionAnswering", QA, outputs=SPANS),
            Task("multiple_choice", "RobertaForMultipleChoice", "RobertaForMultipleChoice", CHOICE, backbone=POOLER),
        ),
        layers=(("embeddings", "embeddings", None), ("encoder.layer.{i}", "encoder.layers.{i}", "num_hidden_layers")),
        tokenizer="byte_bpe_with_ends",
        ignored={**POSITION_IDS, r"^pooler\.": "the pooler, which this class does not have"},
    ),
)  # fmt: skip
