"""DistilBERT: Sanh et al. (2019), DistilBERT, a distilled version of BERT."""

from paddle_ft.models.architectures.record import Architecture, is_plain_classifier


def input_embedding(model):
    """Return the word embedding layer. PaddleNLP's DistilBERT has no get_input_embeddings()."""
    return getattr(model, model.base_model_prefix, model).embeddings.word_embeddings


def lm_head(model, hidden):
    """Return logits [n, v] of hidden states [n, d]."""
    return model.vocab_projector(model.vocab_layer_norm(model.activation(model.vocab_transform(hidden))))


def packed_states(model, input_ids, visible, position_ids):
    """Return the hidden states [p, s, d] of packed sequences. PaddleNLP's model itself takes no positions."""
    mask = (1.0 - visible.astype("float32")) * -1e4
    return model.encoder(model.embeddings(input_ids=input_ids, position_ids=position_ids), mask)


def tie_head(model, from_scratch: bool) -> bool | None:
    """Make the output projection the transposed input embedding, as in the original model."""
    if not hasattr(model, "vocab_projector"):
        return None
    from paddle_ft.models.tied_projector import tie_projector

    return tie_projector(model, "vocab_projector", input_embedding(model), from_scratch)


ARCHITECTURE = Architecture(
    name="distilbert",
    order=1,
    config_class="DistilBertConfig",
    model_classes={"sequence_classification": "DistilBertForSequenceClassification", "masked_lm": "DistilBertForMaskedLM"},
    tokenizer_classes=("DistilBertTokenizer",),
    input_embedding=input_embedding,
    lm_head=lm_head,
    packed_states=packed_states,
    tie_head=tie_head,
    pooled_layers=("pre_classifier",),
    reads_first_token=is_plain_classifier,
)
