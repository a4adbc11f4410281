"""ERNIE: Sun et al. (2019), ERNIE: Enhanced Representation through Knowledge Integration."""

from paddle_ft.models.architectures.record import Architecture, is_plain_classifier

ARCHITECTURE = Architecture(
    name="ernie",
    order=4,
    config_class="ErnieConfig",
    model_classes={"sequence_classification": "ErnieForSequenceClassification"},
    tokenizer_classes=("ErnieTokenizer",),
    reads_first_token=is_plain_classifier,
)
