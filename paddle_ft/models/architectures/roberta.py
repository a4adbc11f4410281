"""RoBERTa: Liu et al. (2019), RoBERTa: A Robustly Optimized BERT Pretraining Approach."""

from paddle_ft.models.architectures.record import Architecture, is_plain_classifier

ARCHITECTURE = Architecture(
    name="roberta",
    order=3,
    config_class="RobertaConfig",
    model_classes={"sequence_classification": "RobertaForSequenceClassification", "masked_lm": "RobertaForMaskedLM"},
    tokenizer_classes=("RobertaBPETokenizer", "RobertaChineseTokenizer"),
    lm_head=lambda model, hidden: model.lm_head(hidden),
    longest_input=lambda config: config.max_position_embeddings - (config.pad_token_id + 1),
    first_position=lambda config: config.pad_token_id + 1,
    reads_first_token=is_plain_classifier,
)
