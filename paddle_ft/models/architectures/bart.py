"""BART: Lewis et al. (2019), BART: Denoising Sequence-to-Sequence Pre-training."""

from paddle_ft.models.architectures.record import Architecture, CausalDecoder


def seq2seq_logits(model, batch):
    """Return the logits [n, v] at the target positions only, because the product with the vocabulary is the largest one.

    Args:
        model: the BartForConditionalGeneration.
        batch: input_ids and attention_mask [b, s], decoder_input_ids [b, t], and target_positions [n], which are indices into the
            flattened decoder_input_ids.
    """
    import paddle

    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "decoder_input_ids")}
    hidden = model.bart(**inputs)[0]
    hidden = hidden.reshape([-1, hidden.shape[-1]]).index_select(batch["target_positions"])
    return paddle.matmul(hidden, model.lm_head_weight, transpose_y=True) + model.final_logits_bias


def tie_head(model, from_scratch: bool) -> bool | None:
    """Make output head and input embedding one parameter, as in the original model. PaddleNLP keeps two."""
    head = getattr(model, "lm_head_weight", None)
    if head is None:
        return None
    embedding = model.get_input_embeddings().weight
    if head is embedding:
        return True
    if not from_scratch and not bool((head == embedding).all()):
        return False
    model.add_parameter("lm_head_weight", embedding)
    return True


def special_ids(tokenizer) -> dict[str, int]:
    """Return the special ids. With a BERT tokenizer, as in the Chinese BART, [CLS] is bos and [SEP] is eos.

    The decoder starts with eos.
    """
    bos = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.cls_token_id
    eos = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    return {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "decoder_start_token_id": eos,
        "forced_eos_token_id": eos,
    }


ARCHITECTURE = Architecture(
    name="bart",
    order=5,
    config_class="BartConfig",
    model_classes={"seq2seq": "BartForConditionalGeneration"},
    tokenizer_classes=("BartTokenizer",),
    seq2seq_logits=seq2seq_logits,
    tie_head=tie_head,
    output_weights=("lm_head_weight",),
    output_biases=("final_logits_bias",),
    special_ids=special_ids,
    causal_decoder=CausalDecoder(lambda model: getattr(model, "bart", model).decoder, absent=("decoder_attention_mask", "cache")),
    generation_adapter="paddle_ft.generation.adapters.bart.BartAdapter",
    export_graphs="paddle_ft.export.graphs.bart.bart_graphs",
)
