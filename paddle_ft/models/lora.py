"""Train low-rank adapters (LoRA) next to frozen layers, and merge them into the weights when a model is saved.

Source: Hu et al. (2021), LoRA: Low-Rank Adaptation of Large Language Models. A layer computes y = x W + (alpha / rank) x A B, with
A random and B zero at the start. The adapter layers are PaddleNLP's (paddlenlp.peft). They replace layers of the model, whose
class does not change. Shapes: A [in, rank], B [rank, out], W [in, out].
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import paddle

from paddle_ft.models.architectures import Architecture, architecture_of
from paddle_ft.models.vocabulary import input_embedding
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import counted
from paddle_ft.system.progress import print_info

ADAPTERS_FILE = "adapters.safetensors"  # in the folder trainer/ of a checkpoint


def adapted_layers(model) -> dict:
    """Return the layers that have an adapter: name in the model -> layer."""
    return {name: layer for name, layer in model.named_sublayers() if hasattr(layer, "lora_A")}


def add_adapters(model, section, new_tokens: bool) -> None:
    """Add adapters to the encoder's and decoder's layers named in model.lora.targets, and freeze their other parameters.

    Parameters outside encoder and decoder (classifier, pooling, the layers of a language model's head) stay trainable, as does a
    pooler that the head reads.

    Args:
        model: the model; it is changed in place.
        section: the configuration's model.lora.
        new_tokens: whether the vocabulary has tokens that the model has not been trained on. Then the embedding and the output
            matrix are trained, because their new rows must be learned; otherwise they are frozen.

    Raises:
        UserError: no layer has the name of a target, or the architecture's default targets do not exist.
    """
    record = architecture_of(model)
    names = _target_names(model, record, section.targets)
    _wrap_layers(model, names, section.rank, section.alpha, section.dropout)
    embedding, prefix = input_embedding(model).weight, f"{model.base_model_prefix}."
    trains_pooler = record.reads_pooler(model)
    for name, parameter in model.named_parameters():
        if parameter is embedding or (embedding.shape[0] in parameter.shape and len(parameter.shape) == 2):
            trained = new_tokens
        elif name.startswith(prefix):
            trained = trains_pooler and name.startswith(f"{prefix}{record.pooler}.")
        else:
            trained = True
        parameter.stop_gradient = not (trained or _is_adapter(name))
    _print_summary(model)


def _target_names(model, record: Architecture, targets: list[str] | None) -> list[str]:
    """Return the full names of the layers that get an adapter. Raise UserError for a target that matches no layer."""
    base = getattr(model, model.base_model_prefix)
    linear = [name for name, layer in base.named_sublayers() if isinstance(layer, paddle.nn.Linear)]
    linear = [name for name in linear if not f"{name}.".startswith(f"{record.pooler}.")]
    known = sorted({_own_name(name) for name in linear})
    for target in targets or []:
        if target not in known:
            raise UserError(
                f"model.lora.targets: {target!r} is no layer of this model ({type(model).__name__}); it has {', '.join(known)}."
            )
    names = [name for name in linear if _own_name(name) in (targets or record.attention_projections)]
    if not names:
        raise UserError(
            f"model.lora.targets: a model of type {record.name!r} has no layers named {', '.join(record.attention_projections)},"
            f" which get adapters by default. Set it to some of its linear layers: {', '.join(known)}."
        )
    return [f"{model.base_model_prefix}.{name}" for name in names]


def _own_name(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _is_adapter(name: str) -> bool:
    return _own_name(name) in ("lora_A", "lora_B")


def _wrap_layers(model, names: list[str], rank: int, alpha: int, dropout: float) -> None:
    """Replace the named layers by layers with an adapter that keep the same weights."""
    from paddlenlp.peft import LoRAConfig, LoRAModel

    pattern = "|".join(re.escape(name) for name in names)
    settings = {"r": rank, "lora_alpha": alpha, "lora_dropout": dropout}
    LoRAModel(model, LoRAConfig(target_modules=pattern, tensor_parallel_degree=model.config.tensor_parallel_degree, **settings))


def _print_summary(model) -> None:
    layers = adapted_layers(model)
    rank = next(iter(layers.values())).r
    names = ", ".join(sorted({_own_name(name) for name in layers}))
    total, trained = count_parameters(model)
    print_info(
        f"LoRA: adapters of rank {rank} on {counted(len(layers), 'layers')} ({names}); {trained:,} of {total:,} parameters are"
        f" trained ({trained / total:.2%})"
    )


def count_parameters(model) -> tuple[int, int]:
    """Return the number of the model's parameters, and how many of them are trained."""
    sizes = [(parameter.size, parameter.stop_gradient) for parameter in model.parameters()]
    return sum(size for size, _ in sizes), sum(size for size, frozen in sizes if not frozen)


# ---------------------------------------------------------------------------------------------------- saving
@paddle.no_grad()
def merged_state(model) -> dict:
    """Return the state dict of the model without adapters, with each adapter added to its layer's weight.

    The model itself does not change.
    """
    state = {name: value for name, value in model.state_dict().items() if not _is_adapter(name)}
    for name, layer in adapted_layers(model).items():
        a, b, weight = (value.astype("float32") for value in (layer.lora_A, layer.lora_B, layer.weight))
        state[f"{name}.weight"] = (weight + paddle.matmul(a, b) * layer.scaling).astype(layer.weight.dtype)
    return state


def save_adapters(model, folder: Path) -> None:
    """Write the adapters and the weights of their layers, which cannot be recovered from the merged weights.

    Nothing is written for a model without adapters.
    """
    import numpy as np
    from safetensors.numpy import save_file

    layers = adapted_layers(model)
    if not layers:
        return
    first = next(iter(layers.values()))
    settings = {
        "rank": first.r, "alpha": first.lora_alpha, "dropout": getattr(first.lora_dropout, "p", 0.0), "layers": list(layers),
        "trained": [name for name, parameter in model.named_parameters() if not parameter.stop_gradient],
    }  # fmt: skip
    arrays = {
        f"{name}.{part}": np.ascontiguousarray(getattr(layer, part).astype("float32").numpy())
        for name, layer in layers.items()
        for part in ("weight", "lora_A", "lora_B")
    }
    save_file(arrays, str(folder / ADAPTERS_FILE), metadata={"lora": json.dumps(settings)})


def restore_adapters(model, path: Path) -> None:
    """Add the adapters that save_adapters wrote to a model that was loaded from the checkpoint's merged weights."""
    from safetensors import safe_open

    with safe_open(str(path), framework="numpy") as file:
        settings = json.loads(file.metadata()["lora"])
        _wrap_layers(model, settings["layers"], settings["rank"], settings["alpha"], settings["dropout"])
        for name, layer in adapted_layers(model).items():
            for part in ("weight", "lora_A", "lora_B"):
                parameter = getattr(layer, part)
                parameter.set_value(paddle.to_tensor(file.get_tensor(f"{name}.{part}")).astype(parameter.dtype))
    for name, parameter in model.named_parameters():
        parameter.stop_gradient = name not in settings["trained"]
    _print_summary(model)
