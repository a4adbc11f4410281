"""BERT: Devlin et al. (2018), BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding."""

from paddle_ft.models.architectures.record import Architecture, is_plain_classifier

ARCHITECTURE = Architecture(
    name="bert",
    order=2,
    config_class="BertConfig",
    model_classes={"sequence_classification": "BertForSequenceClassification", "masked_lm": "BertForMaskedLM"},
    tokenizer_classes=("BertTokenizer",),
    lm_head=lambda model, hidden: model.cls.predictions(hidden),
    reads_first_token=is_plain_classifier,
)
