"""Load a model from a directory in Paddle layout, or build a new one from sizes."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convert.errors import ConvertError
from convert.loading import model_from_weights, read_weights
from paddle_ft.models.architectures import Architecture, architectures_for, find_architecture, import_by_name
from paddle_ft.models.resolve import read_config
from paddle_ft.models.sizes import wrong_values
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import did_you_mean
from paddle_ft.system.plugins import import_hint
from paddle_ft.system.runtime import on_cpu


def load_pretrained(head_type: str, directory: Path, name: str | None = None):
    """Load the model in a directory in Paddle layout as it is.

    Args:
        head_type: which of the architecture's model classes to load.
        directory: the checkpoint.
        name: the model's name in model.pretrained, for messages (default: the directory).

    Raises:
        UserError: the model does not fit the task, or the checkpoint is damaged.
    """
    directory = Path(directory)
    cls = model_class(head_type, directory, name=name)
    with loading_errors(directory):
        config = cls.config_class.from_pretrained(str(directory))
        if on_cpu():
            config.dtype = "float32"  # a CPU has no kernels for the half precision in which a GPU may have trained the model
        weights = read_weights(directory)
        _check_sizes_of_weights(config, weights, directory)
        return model_from_weights(cls, directory, weights, config)


def _check_sizes_of_weights(config, weights: dict[str, Any], directory: Path) -> None:
    """Raise UserError for a size in config.json that no tensor has. A model of it might need more memory than there is."""
    sizes = {size for tensor in weights.values() for size in tensor.shape}
    for key in ("hidden_size", "vocab_size", "intermediate_size", "max_position_embeddings"):
        value = getattr(config, key, None)
        if isinstance(value, int) and not sizes & {value, value + 2}:  # BART's table of positions has two more rows
            raise UserError(
                f"{directory / 'config.json'}: {key}: no tensor of the weights has the size {value}; a file is damaged."
            )


def model_class(head_type: str, directory: Path, settings: dict[str, Any] | None = None, name: str | None = None) -> type:
    """Return the class that loads a checkpoint for a head type.

    Args:
        head_type: which of the architecture's model classes to load.
        directory: the checkpoint.
        settings: what the task sets in the model's configuration. None: nothing.
        name: the model's name in model.pretrained, for messages (default: the directory).

    Raises:
        UserError: the model does not fit the task.
    """
    config = read_config(directory)
    record = find_architecture(config.get("model_type"), head_type)
    if record is None:
        raise UserError(
            f"{directory}: a model of type {config.get('model_type')!r} cannot be used here;"
            f" {head_type} knows {_known_names(head_type)}." + import_hint("an architecture")
        )
    if problem := record.problem_of_checkpoint(config):
        raise UserError(f"model.pretrained: {name or directory}: {problem}")
    for key, value, needed in wrong_values(config, import_by_name(record.config_class)):
        raise UserError(f"{directory / 'config.json'}: {key}: {value!r} is not allowed: {needed}; the file is damaged.")
    return _model_class(record, head_type, {**config, **(settings or {})})


@contextlib.contextmanager
def loading_errors(directory: Path) -> Iterator[None]:
    """Turn what the loading of a damaged checkpoint raises into a UserError."""
    try:
        yield
    except ConvertError as error:
        raise UserError(f"the model cannot be loaded: {error}") from None
    except (UserError, MemoryError):
        raise
    except Exception as error:  # PaddleNLP's classes raise many types for settings that they cannot use
        raise UserError(f"{directory}: the model cannot be loaded: {error}") from None


def build_model(head_type: str, sizes: dict, tokenizer, settings: dict[str, Any] | None = None):
    """Build a new model with random weights.

    Args:
        head_type: which of the architecture's model classes to build.
        sizes: the section model.config: settings of PaddleNLP's configuration class, and model_type.
        tokenizer: gives the size of the vocabulary and the special ids.
        settings: what the task sets in the model's configuration.

    Raises:
        UserError: a setting does not exist, or the sizes do not make a model.
    """
    record = architecture_from_scratch(head_type, sizes)
    sizes = {key: value for key, value in sizes.items() if key != "model_type"}
    config_class = import_by_name(record.config_class)
    _check_sizes(sizes, config_class)
    sizes = {config_class.attribute_map.get(key, key): value for key, value in sizes.items()}  # PaddleNLP ignores aliases
    sizes.setdefault("vocab_size", len(tokenizer))
    if sizes["vocab_size"] < len(tokenizer):
        raise UserError(
            f"model.config.vocab_size: {sizes['vocab_size']} is not allowed: the tokenizer has {len(tokenizer)} tokens."
        )
    special = record.special_ids(tokenizer)
    for key, value in {**special, **sizes}.items():
        if key.endswith("_token_id") and value is not None and not 0 <= value < sizes["vocab_size"]:
            raise UserError(f"model.config.{key}: {value} is not allowed: the vocabulary has {sizes['vocab_size']} tokens.")
    config = config_class(**{**special, **sizes, **(settings or {})})
    try:
        return _model_class(record, head_type, settings or {})(config)
    except MemoryError:
        raise UserError("model.config: there is not enough memory for a model of these sizes.") from None
    except Exception as error:  # PaddleNLP's classes raise many types for sizes that they cannot use
        raise UserError(f"model.config: these sizes do not make a model: {error}") from None


def architecture_from_scratch(head_type: str, sizes: dict) -> Architecture:
    """Return the architecture that model.config names (default: the head type's first). Raise UserError if it is unknown."""
    if "model_type" not in sizes:
        return architectures_for(head_type)[0]
    record = find_architecture(sizes["model_type"], head_type)
    if record is None:
        raise UserError(
            f"model.config.model_type: {sizes['model_type']!r}: {head_type} knows {_known_names(head_type)}."
            + import_hint("an architecture")
        )
    return record


def _known_names(head_type: str) -> str:
    return ", ".join(record.name for record in architectures_for(head_type))


def _model_class(record: Architecture, head_type: str, settings: dict) -> type:
    """Return the architecture's class for a head type, with the LSTM attention head if the configuration asks for it."""
    cls = import_by_name(record.model_classes[head_type])
    if settings.get("classifier_head") == "lstm_attention":
        from paddle_ft.models.heads import with_lstm_attention

        return with_lstm_attention(cls, record)
    return cls


_SIZE = re.compile("size|layers|heads|dim|d_model|position_embeddings|dropout")  # settings that people change most


def _check_sizes(sizes: dict, config_class) -> None:
    """Raise UserError for settings that the configuration class does not have, and for values out of range."""
    own = [name for name in inspect.signature(config_class.__init__).parameters if name not in ("self", "kwargs")]
    known = {*own, *config_class().to_dict(), *config_class.attribute_map}
    for key in sizes:
        if key not in known:
            usual = [name for name in own if _SIZE.search(name)]
            hint = did_you_mean(key, sorted(known)) or f" It has {', '.join(usual)} and {len(known) - len(usual)} more."
            raise UserError(f"model.config.{key}: {config_class.__name__} has no such setting.{hint}")
    for key, value, problem in wrong_values(sizes, config_class):
        raise UserError(f"model.config.{key}: {value!r} is not allowed: {problem}.")
