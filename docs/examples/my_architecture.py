"""An architecture of your own: PaddleNLP's ELECTRA as a classifier and as a masked language model.

python -m paddle_ft train --import my_architecture --config distilbert_sst2 --sample model.config.model_type=electra
"""

from paddle_ft.models.architectures import Architecture


def lm_head(model, hidden):
    """Return logits [n, v] of hidden states [n, d], through the word embeddings."""
    import paddle  # here, so that --help and usage errors need not wait for it

    words = model.get_input_embeddings().weight
    return paddle.matmul(model.generator_predictions(hidden), words, transpose_y=True) + model.generator_lm_head_bias


ARCHITECTURE = Architecture(
    name="electra",  # model_type in config.json
    config_class="ElectraConfig",  # of paddlenlp.transformers; "my_module.MyConfig" is a class of your own
    model_classes={"sequence_classification": "ElectraForSequenceClassification", "masked_lm": "ElectraForMaskedLM"},
    tokenizer_classes=("ElectraTokenizer",),
    lm_head=lm_head,
)
