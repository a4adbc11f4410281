"""Every change that is made to a model after it is loaded, in one order."""

from __future__ import annotations

from paddle_ft.models.bundle import ModelBundle
from paddle_ft.system.errors import UserError
from paddle_ft.system.runtime import on_cpu


def adapt_model(bundle: ModelBundle, config, head_type: str, for_training: bool = False) -> ModelBundle:
    """Prepare a loaded model for training and evaluation by the settings of a configuration. Return the bundle."""
    from paddle_ft.models.attention import use_attention
    from paddle_ft.models.build import input_embedding
    from paddle_ft.models.lm_heads import freeze_row
    from paddle_ft.models.recompute import recompute_activations

    model = bundle.model
    use_attention(model, config.model.attention)
    if on_cpu() and not config.train.compile:
        from paddle_ft.models.cpu_layers import use_cpu_layers

        use_cpu_layers(model)
    if config.train.recompute:
        recompute_activations(model)
    if head_type == "causal_lm":
        if getattr(model.config, "use_flash_attention", False):
            raise UserError("model.config.use_flash_attention: PaddleNLP's GPT then ignores the attention mask: leave it off.")
        bundle.frozen_rows += freeze_row(input_embedding(model).weight, bundle.tokenizer.pad_token_id)
    if for_training and config.train.compile:
        from paddle_ft.models.compiled import compile_stacks

        compile_stacks(model)
    return bundle
