"""Every change that is made to a model after it is loaded, in one order.

Each change replaces layers or their forward (paddle_compat.replace_forward). The order matters in four places:

1. LoRA puts other layers in place of linear ones, so it comes before anything looks for layers.
2. Attention: sdpa replaces the forward of attention layers.
3. CPU layers replace the forward of linear layers, layer norms, dropouts, and of those attention layers that 2 left alone.
4. Recompute wraps the forward of each layer of encoder and decoder, in which the layers of 1 to 3 run.
   train.sharding=stage3 (training/distributed/sharded_layers.py) takes that wrapper off and puts its own on, which recomputes too.
5. Compile traces whole stacks of layers as they are by then. It goes neither with recompute, which the configuration refuses,
   nor with CPU layers, which cannot be traced and are left out.
"""

from __future__ import annotations

from paddle_ft.models.bundle import ModelBundle
from paddle_ft.system.errors import UserError
from paddle_ft.system.runtime import on_cpu


def adapt_model(bundle: ModelBundle, config, *, for_training: bool = False) -> ModelBundle:
    """Prepare a loaded model for training and evaluation by the settings of a configuration.

    Args:
        for_training: also make the changes that a finished model does not need: new adapters, compiled layers.

    Returns:
        The bundle, its model changed in place.

    Raises:
        UserError: a setting does not fit the model.
    """
    from paddle_ft.models import lora
    from paddle_ft.models.attention import use_attention
    from paddle_ft.models.recompute import recompute_activations
    from paddle_ft.models.vocabulary import freeze_row, input_embedding

    model, record = bundle.model, bundle.architecture
    if problem := record.problem_of_config(model.config):
        raise UserError(problem)
    if for_training and config.model.lora is not None and not lora.adapted(model):
        lora.add(model, config.model.lora, new_tokens=bundle.has_new_tokens)
    use_attention(model, config.model.attention)
    if on_cpu() and not config.train.compile:
        from paddle_ft.models.cpu_layers import use_cpu_layers

        use_cpu_layers(model)
    if config.train.recompute:
        recompute_activations(model)
    if for_training and config.train.compile:
        from paddle_ft.models.compile import compile_stacks

        compile_stacks(model)
    if record.freezes_padding_row:
        bundle.frozen_rows += freeze_row(input_embedding(model).weight, bundle.tokenizer.pad_token_id)
    return bundle
