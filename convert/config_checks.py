"""Check a Hugging Face configuration before it is translated: types of values, plausible sizes, unknown fields."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NoReturn

from convert.errors import ConvertError
from convert.fields import GENERATION, Entry, Field, MergedDropout

MAX_SIZE, MAX_LAYERS, MAX_LABELS = 2**31, 1000, 10**6  # a file with larger sizes is damaged
MAX_EPSILON = 0.001  # limit of Paddle's layer norm

# Number of attention heads -> width that they divide among them. (The heads of T5 have a width of their own.)
DIVIDED = {
    "num_attention_heads": "hidden_size", "n_head": "n_embd", "n_heads": "dim", "encoder_attention_heads": "d_model",
    "decoder_attention_heads": "d_model",
}  # fmt: skip

# An unknown field whose name has one of these words may change what the model computes.
COMPUTATION_WORDS = re.compile(
    r"(^|_)(attn|attention|rope|rotary|alibi|norms?|layernorm|rmsnorm|scale|scaling|positions?|positional|act|activation|gelu"
    r"|hidden|layers?|heads?|embed|embeddings?|ffn|mlp|experts?|moe|router|window|bias|conv|kernel|adapters?|lora|rank|softmax"
    r"|softcap|logits?|residual|sparse|dim|size)(_|$)"
)
# Fields that have such a word and do not change the computation.
HARMLESS = {
    "output_hidden_states", "output_attentions", "chunk_size_feed_forward", "attn_implementation", "_attn_implementation",
    "_attn_implementation_autoset", "_attn_implementation_internal", "pooler_fc_size", "pooler_num_attention_heads",
    "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type", "directionality", "model_max_length",
}  # fmt: skip


def check_types(config: dict, entries: Sequence[Entry], where: str) -> None:
    """Check the types of all values, and that sizes are plausible.

    Raises:
        ConvertError: A value is wrong; the message names the first such field.
    """
    for entry in entries:
        if isinstance(entry, Field | MergedDropout):
            check_value(entry, config.get(entry.hf, entry.default), entry.hf, where)
    defaults = {entry.hf: entry.default for entry in entries if isinstance(entry, Field)}
    for heads, width in DIVIDED.items():
        if heads in defaults and width in defaults:
            count, size = (config.get(name, defaults[name]) for name in (heads, width))
            if not count or size % count:
                raise ConvertError(f"{where}: {heads} = {count} does not divide {width} = {size}, so there is no such model")
    check_names(config, where)


def check_names(config: dict, where: str) -> None:
    """Check the names of classes and labels in a configuration of either library.

    Raises:
        ConvertError: A value is wrong; the message names the first such field.
    """
    architectures = config.get("architectures")
    if architectures is not None and not (isinstance(architectures, list) and all(isinstance(a, str) for a in architectures)):
        _refuse(where, "architectures", architectures, "a list of names")
    _check_labels(config, where)


def _refuse(where: str, name: str, value: object, expected: str) -> NoReturn:
    raise ConvertError(f"{where}: {name} = {value!r} must be {expected}")


def check_value(entry: Field | MergedDropout, value: Any, name: str, where: str) -> None:
    """Check one value. The expected type follows from the field's default and name.

    Args:
        entry: The field.
        value: Hugging Face's value.
        name: The field's name in the file, for the message.
        where: The file.

    Raises:
        ConvertError: The value is wrong.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None:
        if _default_is_number(entry) and not (getattr(entry, "if_none", None) or getattr(entry, "none_is", None)):
            _refuse(where, name, value, "a number")
    elif isinstance(entry.default, bool):
        if not isinstance(value, bool):
            _refuse(where, name, value, "true or false")
    elif entry.hf.endswith("_id"):
        if not all(isinstance(number, int) for number in (value if isinstance(value, list) else [value])):
            _refuse(where, name, value, "a number")
    elif isinstance(entry.default, int) or getattr(entry, "if_none", None):
        if not is_number or not 0 <= value < MAX_SIZE or (value != int(value) and entry.default != 0):
            _refuse(where, name, value, f"a number from 0 to {MAX_SIZE - 1}")
        if "layer" in entry.hf and value > MAX_LAYERS:
            _refuse(where, name, value, f"at most {MAX_LAYERS}")
    elif isinstance(entry.default, float) or "dropout" in entry.hf:
        if not is_number:
            _refuse(where, name, value, "a number")
        if entry.hf == "layer_norm_eps" and not 0 <= value <= MAX_EPSILON:
            _refuse(where, name, value, f"from 0 to {MAX_EPSILON}, the range of Paddle's layer norm")
    elif not isinstance(value, str | int | float):
        _refuse(where, name, value, "a text or a number")


def _default_is_number(entry: Field | MergedDropout) -> bool:
    return isinstance(entry.default, int | float) and not isinstance(entry.default, bool) and not entry.hf.endswith("_id")


def _check_labels(config: dict, where: str) -> None:
    """Check id2label, label2id and num_labels."""
    for name in ("id2label", "label2id"):
        if not isinstance(config.get(name, {}), dict | type(None)):
            _refuse(where, name, config[name], "an object")
    count = config.get("num_labels", 0)
    if not isinstance(count, int) or not 0 <= count <= MAX_LABELS:
        _refuse(where, "num_labels", count, f"a number from 0 to {MAX_LABELS}")
    if not all(isinstance(label, str | int | float | None) for label in (config.get("id2label") or {}).values()):
        _refuse(where, "id2label", config["id2label"], "a map from numbers to texts")
    numbers = [*(config.get("id2label") or {}), *(config.get("label2id") or {}).values()]
    if not all(re.fullmatch(r"\d+", str(number)) for number in numbers):
        _refuse(where, "id2label", config.get("id2label"), "a map from numbers, and label2id one to numbers")


def unknown_fields(config: dict, entries: Sequence[Entry], harmless: Sequence[str], where: str) -> list[str]:
    """Return the names of the fields that no entry translates, sorted.

    Args:
        config: Hugging Face's configuration.
        entries: The table of the family and task.
        harmless: Fields that do not change what the model computes, according to the family or the user.
        where: The file, for messages.

    Raises:
        ConvertError: Some of them are set and, by their names, may change what the model computes.
    """
    known = {getattr(entry, "hf", None) for entry in entries} | set(GENERATION) | {"id2label", "label2id", "num_labels"}
    unknown = [name for name in config if name not in known]
    suspicious = [
        name
        for name in unknown
        if COMPUTATION_WORDS.search(name) and name not in HARMLESS and name not in harmless and config[name]  # falsy: switched off
    ]
    if suspicious:
        fields_and_values = ", ".join(f"{name} = {config[name]!r}" for name in suspicious)
        raise ConvertError(
            f"{where}: unknown to this architecture, and it may change what the model computes: {fields_and_values}. "
            "If you know that it does not, use --keep-field NAME",
            " ".join(f"--keep-field {name}" for name in suspicious),
        )
    return sorted(unknown)
