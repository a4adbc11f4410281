"""Make all changes to a loaded model, in the one order in which they work together (CHANGES).

Each change replaces layers or their forward (paddle_compat.replace_forward):

1. LoRA replaces linear layers. It comes first because the other changes look for layers by their type.
2. Attention (sdpa) replaces the forward of attention layers.
3. CPU layers replace the forward of linear layers, layer norms and dropouts, and of attention layers that step 2 did not change.
4. Recompute wraps the forward of each encoder and decoder layer, which contain the layers of steps 1 to 3. With
   train.sharding=stage3, training/distributed/sharded_layers.py later replaces this wrapper by its own, which recomputes too.
5. Compile traces whole stacks of layers as they are then. It excludes recompute (the configuration refuses both together) and CPU
   layers, which cannot be traced.
"""

from __future__ import annotations

from collections.abc import Callable

from paddle_ft.models.bundle import ModelBundle
from paddle_ft.system.errors import UserError
from paddle_ft.system.runtime import on_cpu


def _lora(bundle: ModelBundle, config, for_training: bool) -> None:
    from paddle_ft.models import lora

    if for_training and config.model.lora is not None and not lora.adapted_layers(bundle.model):
        lora.add_adapters(bundle.model, config.model.lora, new_tokens=bundle.has_new_tokens)


def _attention(bundle: ModelBundle, config, for_training: bool) -> None:
    from paddle_ft.models.attention import use_attention

    use_attention(bundle.model, config.model.attention)


def _cpu_layers(bundle: ModelBundle, config, for_training: bool) -> None:
    if on_cpu() and not config.train.compile:
        from paddle_ft.models.cpu_layers import use_cpu_layers

        use_cpu_layers(bundle.model)


def _recompute(bundle: ModelBundle, config, for_training: bool) -> None:
    from paddle_ft.models.recompute import recompute_activations

    if config.train.recompute:
        recompute_activations(bundle.model)


def _compile(bundle: ModelBundle, config, for_training: bool) -> None:
    if for_training and config.train.compile:
        from paddle_ft.models.compile import compile_stacks

        compile_stacks(bundle.model)


# name -> (bundle, config, for_training) changes the model if the configuration asks for it, in the order of the changes
CHANGES: dict[str, Callable[[ModelBundle, object, bool], None]] = {
    "lora": _lora,
    "attention": _attention,
    "cpu_layers": _cpu_layers,
    "recompute": _recompute,
    "compile": _compile,
}


def adapt_model(bundle: ModelBundle, config, *, for_training: bool = False) -> ModelBundle:
    """Change a loaded model as the configuration says, for training and evaluation.

    Args:
        bundle: the model; it is changed in place.
        config: the whole configuration.
        for_training: also make the changes that only training needs: new LoRA adapters, compiled layers.

    Returns:
        The bundle.

    Raises:
        UserError: a setting does not fit the model.
    """
    from paddle_ft.models.vocabulary import freeze_row, input_embedding

    model, record = bundle.model, bundle.architecture
    if problem := record.problem_of_config(model.config):
        raise UserError(problem)
    for change in CHANGES.values():
        change(bundle, config, for_training)
    if record.freezes_padding_row:
        bundle.frozen_rows += freeze_row(input_embedding(model).weight, bundle.tokenizer.pad_token_id)
    return bundle
