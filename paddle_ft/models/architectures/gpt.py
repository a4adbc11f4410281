"""GPT-2: Radford et al. (2019), Language Models are Unsupervised Multitask Learners. PaddleNLP calls it gpt."""

from paddle_ft.models.architectures.record import Architecture, CausalDecoder

MODELING = "paddlenlp.transformers.gpt.modeling"


def lm_head(model, hidden):
    """Return logits [n, v] of hidden states [n, d]."""
    import paddle

    return paddle.matmul(hidden, model.lm_head.weight, transpose_y=True)


def packed_states(model, input_ids, visible, position_ids):
    """Return the hidden states [p, s, d] of packed sequences. The model joins an int mask with its causal one."""
    return model(input_ids=input_ids, attention_mask=visible.astype("int64"), position_ids=position_ids)


def special_ids(tokenizer) -> dict[str, int]:
    """Return the ids of the padding, bos and eos tokens."""
    return {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }


def problem_of_checkpoint(config: dict) -> str | None:
    """Return why a checkpoint that the converter wrote as another class cannot be used. Return None for others."""
    if "GPTForTokenClassification" in (config.get("architectures") or []):
        return (
            "its output head differs from its input embedding, and PaddleNLP's GPT-2 has only one of the two: this model cannot"
            " be trained here."
        )
    return None


def problem_of_config(config) -> str | None:
    """Return why PaddleNLP's flash attention cannot be used, if the configuration turns it on."""
    if getattr(config, "use_flash_attention", False):
        return "model.config.use_flash_attention: PaddleNLP's GPT then ignores the attention mask: leave it off."
    return None


ARCHITECTURE = Architecture(
    name="gpt",
    order=6,
    config_class="GPTConfig",
    model_classes={"causal_lm": "GPTLMHeadModel"},
    tokenizer_classes=("GPTTokenizer",),
    lm_head=lm_head,
    packed_states=packed_states,
    freezes_padding_row=True,
    special_ids=special_ids,
    new_tokenizer="byte_level",
    problem_of_checkpoint=problem_of_checkpoint,
    problem_of_config=problem_of_config,
    layers=(f"{MODELING}.GPTDecoderLayer",),
    stacks={f"{MODELING}.TransformerDecoder": ("hidden_states", "attention_mask")},
    attention={f"{MODELING}.MultiHeadAttention": "paddle_ft.models.gpt_attention.gpt_sdpa_forward"},
    cpu_attention={f"{MODELING}.MultiHeadAttention": "paddle_ft.models.gpt_attention.gpt_cpu_forward"},
    causal_decoder=CausalDecoder(lambda model: getattr(model, "gpt", model), absent=("attention_mask", "past_key_values")),
    generation_adapter="paddle_ft.generation.adapters.gpt.GPTAdapter",
    export_graphs="paddle_ft.export.graphs.gpt.gpt_graphs",
)
