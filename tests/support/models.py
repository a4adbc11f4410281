"""What an architecture's record computes, called on a model alone."""

from paddle_ft.models.architectures import architecture_of


def masked_lm_logits(model, input_ids, attention_mask, positions):
    return architecture_of(model).masked_lm_logits(model, input_ids, attention_mask, positions)


def causal_lm_logits(model, input_ids, positions):
    return architecture_of(model).causal_lm_logits(model, input_ids, positions)
