"""Which PaddleNLP class serves a task for an architecture: a new architecture is a line here."""

from __future__ import annotations

# What a task asks for -> the class of each architecture that provides it (config.json's model_type).
MODEL_CLASSES = {
    "seq2seq": {"bart": "BartForConditionalGeneration"},
    "sequence_classification": {
        "distilbert": "DistilBertForSequenceClassification",
        "bert": "BertForSequenceClassification",
        "roberta": "RobertaForSequenceClassification",
        "ernie": "ErnieForSequenceClassification",
    },
    "masked_lm": {"distilbert": "DistilBertForMaskedLM", "bert": "BertForMaskedLM", "roberta": "RobertaForMaskedLM"},
    "causal_lm": {"gpt": "GPTLMHeadModel"},
}
CONFIG_CLASSES = {
    "bart": "BartConfig",
    "distilbert": "DistilBertConfig",
    "bert": "BertConfig",
    "roberta": "RobertaConfig",
    "ernie": "ErnieConfig",
    "gpt": "GPTConfig",
}
WEIGHT_FILES = ("model.safetensors", "model_state.pdparams", "model.safetensors.index.json")
