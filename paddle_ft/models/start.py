"""Load the checkpoint that a training starts from. Every weight that starts anew is named, with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convert.loading import model_from_weights
from paddle_ft.models.architectures import architecture_of
from paddle_ft.models.build import loading_errors, model_class
from paddle_ft.models.classifier_head import KEEP, arrange_head, describe_head, initialise, plan_head, renew_head
from paddle_ft.models.origin import Origin, describe_weights
from paddle_ft.models.vocabulary import input_embedding, tie_head
from paddle_ft.system.errors import UserError


def load_start(head_type: str, directory: Path, section, settings: dict[str, Any] | None) -> tuple[Any, list[str]]:
    """Load the model that a training starts from.

    Args:
        head_type: which of the architecture's model classes to load.
        directory: the checkpoint, in Paddle layout.
        section: the configuration's model section; pretrained (for messages) and head are used.
        settings: what the task sets in a classifier's configuration: id2label, label2id, classifier_head. None for another model.

    Returns:
        The model, and the decisions about its weights.

    Raises:
        UserError: the checkpoint is damaged, lacks weights of the encoder or decoder, or does not fit the task or model.head.
    """
    cls = model_class(head_type, directory, settings, section.pretrained)
    with loading_errors(directory):
        origin = Origin.open(directory)
        if settings is not None:
            model, missing, decisions = _load_classifier(cls, origin, section, settings)
        else:
            model, missing, decisions = _load_with_its_head(cls, origin, section)
    record = architecture_of(model)
    pooler = [name for name in missing if name.startswith(f"{model.base_model_prefix}.{record.pooler}.")]
    if pooler and record.reads_pooler(model):
        _draw(model, pooler)
        decisions.append(f"the pooler ({describe_weights(pooler)}) starts anew: {_class_of(origin)} has none")
    return model, [*decisions, *_unused(model, origin), *_conversion_notes(origin)]


def _load_classifier(cls: type, origin: Origin, section, settings: dict[str, Any]) -> tuple[Any, list[str], list[str]]:
    """Return a classifier with the head of the checkpoint as far as it fits, the missing weights, and the decisions."""
    config, decisions = _read_config(cls, origin)
    saved = [str(name) for _, name in sorted((int(number), name) for number, name in config.id2label.items())]
    plan = plan_head(cls, origin, saved, list(settings["id2label"].values()), section.head)
    config.classifier_head = settings["classifier_head"]
    with_its_classes = not plan.reason
    if not with_its_classes:
        _set_classes(config, settings)
    model = model_from_weights(cls, origin.directory, origin.weights, config, ignore_mismatched_sizes=True)
    missing = _check_encoder(model, origin)
    if with_its_classes and (unfit := _outside_encoder(model, missing)):
        absent = [name for name in unfit if name not in origin.shapes]
        problem = f"has no {describe_weights(absent)}" if absent else f"has a head of another size than its {len(saved)} classes"
        plan.renew(f"the checkpoint {problem}")
        if section.head == KEEP:
            raise UserError(f"model.head=keep: the trained head would be thrown away: {plan.reason}.")
    if with_its_classes:
        arrange_head(model, plan)
    names = renew_head(model) if plan.reason else _outside_encoder(model, [name for name, _ in model.named_parameters()])
    _set_classes(model.config, settings)
    return model, missing, [*decisions, *describe_head(plan, names, origin.multi_label)]


def _read_config(cls: type, origin: Origin) -> tuple[Any, list[str]]:
    """Return the checkpoint's configuration for a training, which is in float32 unless train.use_amp is set, and the decisions."""
    config = cls.config_class.from_pretrained(str(origin.directory))
    dtype, config.dtype = str(getattr(config, "dtype", None) or "float32"), "float32"
    said = f"the checkpoint's weights are {dtype} and are trained in float32 (train.use_amp)"
    return config, [said] if dtype != "float32" else []


def _set_classes(config, settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        setattr(config, name, value)


def _load_with_its_head(cls: type, origin: Origin, section) -> tuple[Any, list[str], list[str]]:
    """Return a language model with the checkpoint's head, or with a new one if it has none, missing weights, and decisions.

    An output matrix that the checkpoint lacks is the input embedding, as in the original models.
    """
    config, decisions = _read_config(cls, origin)
    model = model_from_weights(cls, origin.directory, origin.weights, config, ignore_mismatched_sizes=True)
    missing = _check_encoder(model, origin)
    shapes, size = {name: parameter.shape for name, parameter in model.named_parameters()}, input_embedding(model).weight.shape[0]
    new = _outside_encoder(model, missing)
    untied = [name for name in new if len(shapes[name]) == 2 and size in shapes[name]]
    if untied and tie_head(model, from_scratch=True):
        new = [name for name in new if name not in untied]
    if not new:
        return model, missing, decisions
    reason = f"{_class_of(origin)} has none"
    if section.head == KEEP:
        raise UserError(f"model.head=keep: there is no trained head to keep: {reason}. With model.head=auto it is trained anew.")
    _draw(model, new)
    return model, missing, [*decisions, f"the model's head ({describe_weights(new)}) starts anew: {reason}"]


def _draw(model, names: list[str]) -> None:
    """Initialise the layers of missing weights with the training's seed. The converter has written the same ones for every seed."""
    layers = dict(model.named_sublayers())
    for path in dict.fromkeys(name.rpartition(".")[0] for name in names):
        if path in layers:
            initialise(layers[path], getattr(model.config, "initializer_range", 0.02))


def _outside_encoder(model, names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith(f"{model.base_model_prefix}.")]


def _check_encoder(model, origin: Origin) -> list[str]:
    """Return the missing weights. Raise UserError if one of the encoder or decoder is missing; a pooler may be."""
    prefix, pooler = f"{model.base_model_prefix}.", f"{model.base_model_prefix}.{architecture_of(model).pooler}."
    missing = origin.missing_weights(model)
    needed = [name for name in missing if name.startswith(prefix) and not name.startswith(pooler)]
    if needed:
        total = sum(name.startswith(prefix) for name, _ in model.named_parameters())
        raise UserError(
            f"{origin.directory}: {len(needed)} of {total} weights of the encoder are not in this checkpoint, or have another"
            f" shape there: {', '.join(name.removeprefix(prefix) for name in needed[:3])}{' ...' if len(needed) > 3 else ''}"
        )
    return missing


def _class_of(origin: Origin) -> str:
    return f"the checkpoint, a {origin.class_name}," if origin.class_name else "the checkpoint"


def _unused(model, origin: Origin) -> list[str]:
    """Return what is said about the weights of the checkpoint that the model has no place for."""
    names = origin.unused_weights(model)
    return [f"weights of the checkpoint that are not used: {describe_weights(names)} ({len(names)} in all)"] if names else []


def _conversion_notes(origin: Origin) -> list[str]:
    """Return what the conversion from Hugging Face's format changed in the model, from its report."""
    notes = [str(note) for note in origin.conversion.get("notes") or []]
    without_effect = ("no output of this task depends", "tokenizer")  # a tokenizer that is missing is an error or another one's
    return [f"conversion from Hugging Face's format: {note}" for note in notes if not any(text in note for text in without_effect)]
