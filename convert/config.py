"""Translate config.json and generation_config.json in both directions, with one table of fields per family and task.

The whole original is stored inside Paddle's config.json under `ORIGINAL_KEY`, so fields that PaddleNLP does not know are not lost.
It stays there when PaddleNLP trains and saves the model, and the conversion back starts from it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

from convert.config_checks import check_names, check_types, check_value, unknown_fields
from convert.errors import ConvertError
from convert.fields import (
    GENERATION,
    GENERATION_IDS,
    PADDLE_DEFAULTS,
    Approximate,
    Entry,
    Field,
    Fixed,
    HfOnly,
    MergedDropout,
    PaddleConstant,
)
from convert.labels import labels

ORIGINAL_KEY = "huggingface"  # field of Paddle's config.json that holds {"task", "untied", "config", "generation"}


@dataclass
class PaddleConfig:
    """A configuration translated to Paddle.

    Attributes:
        config: Fields of Paddle's config.json.
        generation: Contents of Paddle's generation_config.json.
        sizes: The complete Hugging Face configuration, from which the rules take their sizes.
        kept_aside: Names of the fields that Paddle does not know. They are only stored.
        notes: What the user should know about the translation.
    """

    config: dict
    generation: dict
    sizes: dict
    kept_aside: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def config_to_paddle(
    config: dict, generation: dict, entries: Sequence[Entry], harmless: Sequence[str], where: str, label_count: int | None = None
) -> PaddleConfig:
    """Translate a Hugging Face configuration to Paddle.

    Args:
        config: Contents of config.json.
        generation: Contents of generation_config.json, {} if there is none. It overrides config.json.
        entries: The table of the family and task.
        harmless: Fields that do not change what the model computes, according to the family or the user.
        where: The file, for messages.
        label_count: Number of labels that the tensors show, if num_labels and id2label contradict each other.

    Raises:
        ConvertError: A value has the wrong type, or changes the computation in a way that PaddleNLP cannot express.
    """
    check_types(config, entries, where)
    result = PaddleConfig({}, {}, sizes=complete(config, entries, label_count))
    if label_count is not None:
        result.notes.append(
            f"num_labels = {config['num_labels']} and an id2label of {len(config['id2label'])} contradict each other; the "
            f"classifier has {label_count} rows, so there are {label_count} labels"
        )
    for entry in entries:
        _translate_entry(entry, config, result, where)
    result.config.update({key: result.sizes[key] for key in ("id2label", "label2id")})
    settings = {**config, **generation}
    result.config.update({key: settings[key] for key, value in GENERATION.items() if settings.get(key, value) != value})
    result.generation = {key: settings[key] for key in (*GENERATION, *GENERATION_IDS) if settings.get(key) is not None}
    result.kept_aside = unknown_fields(config, entries, harmless, where)
    return result


def _translate_entry(entry: Entry, config: dict, result: PaddleConfig, where: str) -> None:
    """Add what one entry contributes to Paddle's configuration and to the notes."""
    if isinstance(entry, Field):
        result.config[entry.paddle_name] = entry.to_paddle(config, where)
    elif isinstance(entry, PaddleConstant):
        result.config[entry.paddle] = entry.value
    elif isinstance(entry, Fixed) and config.get(entry.hf, entry.allowed[0]) not in entry.allowed:
        allowed = " or ".join(repr(value) for value in entry.allowed)
        raise ConvertError(
            f"{where}: {entry.hf} = {config[entry.hf]!r} changes what the model computes, and PaddleNLP's computes only {allowed}"
        )
    elif isinstance(entry, Approximate):
        result.notes += approximations(result.sizes, [entry])
    elif isinstance(entry, MergedDropout):
        value, paddle_value = result.sizes[entry.hf], result.sizes[entry.into]
        if value != paddle_value:
            result.notes.append(f"{entry.hf} = {value} is trained with {entry.into} = {paddle_value}: PaddleNLP has one for both")


def approximations(sizes: dict, entries: Sequence[Entry]) -> list[str]:
    """Return notes on what PaddleNLP computes nearly as transformers does, for a complete Hugging Face configuration."""
    found = [entry for entry in entries if isinstance(entry, Approximate) and sizes[entry.hf] != entry.paddle_computes]
    return [f"{entry.hf} = {sizes[entry.hf]}: {entry.note}" for entry in found]


def complete(config: dict, entries: Sequence[Entry], label_count: int | None = None) -> dict:
    """Return a Hugging Face configuration with the defaults of all fields that it leaves out. For `label_count` see `labels`."""
    result = {entry.hf: entry.default for entry in entries if isinstance(entry, Field | MergedDropout | HfOnly)}
    result |= {entry.hf: entry.allowed[0] for entry in entries if isinstance(entry, Fixed)}
    result |= {**config, **labels(config, entries, label_count)}
    derived = [entry for entry in entries if isinstance(entry, Field) and result[entry.hf] is None]
    return result | {entry.hf: entry.if_none(result) for entry in derived if entry.if_none}


def config_to_hf(config: dict, generation: dict, entries: Sequence[Entry], where: str, *, has_labels: bool) -> tuple[dict, dict]:
    """Translate a Paddle configuration to Hugging Face.

    If the file has the original configuration, only fields whose meaning has changed since are replaced in it. Otherwise every
    field is written.

    Args:
        config: Contents of Paddle's config.json.
        generation: Contents of Paddle's generation_config.json, {} if there is none.
        entries: The table of the family and task.
        where: The file, for messages.
        has_labels: Whether Paddle's labels are labels for transformers too.

    Returns:
        Contents of Hugging Face's config.json and generation_config.json. The latter is {} if there is none to write.

    Raises:
        ConvertError: A field is missing in Paddle's file, or has a value that Hugging Face's model cannot express.
    """
    check_names(config, where)
    stored = config.get(ORIGINAL_KEY, {})
    original, result = stored.get("config", {}), copy.deepcopy(stored.get("config", {}))
    original_settings = {name: value for name, value in stored.get("generation", {}).items() if name in GENERATION}
    before = {**original, **original_settings}  # config_to_paddle lets generation_config.json override config.json
    for entry in entries:
        if isinstance(entry, PaddleConstant) and config.get(entry.paddle, entry.value) != entry.value:
            raise ConvertError(
                f"{where}: {entry.paddle} = {config[entry.paddle]!r} has no counterpart in transformers, which computes "
                f"{entry.value!r}"
            )
        if not isinstance(entry, Field):
            continue
        value = _paddle_value(entry, config, where)
        check_value(entry, entry.to_hf(value), entry.paddle_name, where)
        stated = config.get(entry.paddle_name, value)  # null in both files is no change, also where it means another field's value
        if not original or entry.to_paddle(before, where) not in (value, stated):
            result[entry.hf] = entry.to_hf(value)
        if not original:
            result.update({e.hf: value for e in entries if isinstance(e, MergedDropout) and e.into == entry.hf})
    now = labels(config)
    if has_labels and (not original or now["id2label"] != labels(original, entries, now["num_labels"])["id2label"]):
        result.update({"id2label": now["id2label"], "label2id": now["label2id"]})
        result.pop("num_labels", None)
    translated = {entry.hf for entry in entries if isinstance(entry, Field)}
    return result, _generation_to_hf(config, generation, result, translated)


def _paddle_value(entry: Field, config: dict, where: str) -> object:
    """Return the value of a field for Paddle's model, also if the file leaves it out."""
    if entry.paddle_name not in config and entry.paddle_name not in PADDLE_DEFAULTS:
        raise ConvertError(f"{where}: {entry.paddle_name} is missing, so the model's {entry.hf} is not known")
    value = config.get(entry.paddle_name, PADDLE_DEFAULTS.get(entry.paddle_name))
    if value is None and entry.none_is:
        value = config.get(entry.none_is)
    return value


def _generation_to_hf(config: dict, generation: dict, result: dict, translated: set[str]) -> dict:
    """Return the contents of Hugging Face's generation_config.json, and write changed settings into `result` too.

    Args:
        config: Contents of Paddle's config.json.
        generation: Contents of Paddle's generation_config.json.
        result: Hugging Face's config.json so far.
        translated: Fields that the family's table has translated already.
    """
    stored = config.get(ORIGINAL_KEY, {})
    before = {**stored.get("config", {}), **stored.get("generation", {})}
    settings = copy.deepcopy(stored.get("generation", {}))
    for name, default in GENERATION.items():
        value = config.get(name, generation.get(name, default))
        if name not in translated and value != before.get(name, default):
            result[name] = value
            if settings:
                settings[name] = value
    return settings
