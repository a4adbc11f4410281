"""Translation of config.json and generation_config.json, both ways, from one table of fields.

A family lists its fields with Hugging Face's name, Paddle's name and Hugging Face's default (files leave defaults out, and
Paddle's differ). A field that changes the computation and that PaddleNLP cannot express is `Fixed` to the values it can. Every
other field travels along untouched: the whole original is kept inside Paddle's file under `KEPT`, also through a training.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from convert.errors import ConvertError

KEPT = "huggingface"


@dataclass(frozen=True)
class Field:
    """A field both libraries have.

    hf, paddle: its names (paddle None: the same); default: Hugging Face's value where the file has none.
    values: Hugging Face's value -> Paddle's, where they differ or only some can be expressed; of several that mean the same,
        the way back writes the first.
    if_none: computes the value from the configuration where Hugging Face's is null.
    none_is: Paddle's field whose value counts where Paddle's own is null.
    """

    hf: str
    paddle: str | None = None
    default: object = None
    values: Mapping[object, object] | None = None
    if_none: Callable[[dict], object] | None = None
    none_is: str | None = None

    @property
    def target(self) -> str:
        return self.paddle or self.hf

    def to_paddle(self, config: dict, where: str) -> object:
        """Paddle's value. Raises: ConvertError where PaddleNLP cannot express it."""
        value = config.get(self.hf, self.default)
        if value is None and self.if_none:
            return self.if_none(config)
        if self.values is None:
            return value
        if value not in self.values:
            known = ", ".join(repr(key) for key in self.values)
            raise ConvertError(f"{where}: {self.hf} = {value!r} cannot be expressed in PaddleNLP; what can: {known}")
        return self.values[value]

    def to_hf(self, value: object) -> object:
        """The inverse of `to_paddle`."""
        if self.values is None:
            return value
        return next((key for key, translated in self.values.items() if translated == value), value)


@dataclass(frozen=True)
class Fixed:
    """A field of Hugging Face's that changes the computation, with the only values PaddleNLP computes (first: the default)."""

    hf: str
    allowed: tuple


@dataclass(frozen=True)
class Constant:
    """A field of Paddle's that must have this value for Hugging Face's model to be the same one."""

    paddle: str
    value: object


@dataclass(frozen=True)
class Near:
    """A value that PaddleNLP fixes at one that is near but not the same: converted, with a note that says so."""

    hf: str
    paddle_computes: float
    default: float
    note: str


@dataclass(frozen=True)
class TrainedLike:
    """A dropout of Hugging Face's for which Paddle uses the one of another field; it matters in training only."""

    hf: str
    like: str
    default: float


@dataclass(frozen=True)
class Kept:
    """A field of Hugging Face's that Paddle's class has no use for."""

    hf: str
    default: object = None


Entry = Field | Fixed | Constant | TrainedLike | Kept | Near

COMMON: tuple[Entry, ...] = (
    *(Field(f"{name}_token_id") for name in ("pad", "bos", "eos", "sep", "decoder_start")),
    Field("problem_type"),
    Field("tie_word_embeddings", default=True),
    Field("is_encoder_decoder", default=False),
    Fixed("is_decoder", (False,)),
    Fixed("add_cross_attention", (False,)),
    Fixed("tie_encoder_decoder", (False,)),
    Fixed("cross_attention_hidden_size", (None,)),
    Fixed("pruned_heads", ({}, None)),
    Fixed("quantization_config", (None,)),
    Fixed("auto_map", (None,)),
)

# What PaddleNLP's save_pretrained leaves out of config.json when it has the value of its base class.
LEFT_OUT = {entry.hf: entry.default for entry in COMMON if isinstance(entry, Field)}
LEFT_OUT |= {"classifier_dropout": None, "num_choices": None}

# Settings of generation with the defaults of both libraries.
GENERATION = {
    "max_length": 20,
    "min_length": 0,
    "do_sample": False,
    "early_stopping": False,
    "num_beams": 1,
    "num_beam_groups": 1,
    "diversity_penalty": 0.0,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    "repetition_penalty": 1.0,
    "length_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "bad_words_ids": None,
    "num_return_sequences": 1,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
}
GENERATION_IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")

# Fields that no computation depends on, though their names sound like it.
HARMLESS = {
    "output_hidden_states", "output_attentions", "chunk_size_feed_forward", "attn_implementation", "_attn_implementation",
    "_attn_implementation_autoset", "_attn_implementation_internal", "pooler_fc_size", "pooler_num_attention_heads",
    "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type", "directionality", "model_max_length",
}  # fmt: skip
MOST, MOST_LAYERS, MOST_LABELS = 2**31, 1000, 10**6  # sizes beyond these are damage, not models
MOST_EPSILON = 0.001
TELLING = re.compile(
    r"(^|_)(attn|attention|rope|rotary|alibi|norms?|layernorm|rmsnorm|scale|scaling|positions?|positional|act|activation|gelu"
    r"|hidden|layers?|heads?|embed|embeddings?|ffn|mlp|experts?|moe|router|window|bias|conv|kernel|adapters?|lora|rank|softmax"
    r"|softcap|logits?|residual|sparse|dim|size)(_|$)"
)


@dataclass
class Translated:
    """Paddle's configuration, what was not translated, and the sizes the rules need (Hugging Face's names)."""

    config: dict
    generation: dict
    sizes: dict
    kept_aside: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def merged(*tables: Sequence[Entry]) -> list[Entry]:
    """The entries of all tables; a later one replaces an earlier one of the same Hugging Face name."""
    result: dict[str, Entry] = {}
    for entry in (entry for table in tables for entry in table):
        kind = "near" if isinstance(entry, Near) else ""
        result[kind + (getattr(entry, "hf", None) or f"paddle:{entry.paddle}")] = entry
    return list(result.values())


def to_paddle(config: dict, generation: dict, entries: Sequence[Entry], harmless: Sequence[str], where: str) -> Translated:
    """Hugging Face's configuration in Paddle's terms.

    generation: the contents of generation_config.json, {} where there is none; it overrides config.json.
    harmless: fields the family or the user knows to change nothing.
    Raises: ConvertError for a field that changes the computation in a way PaddleNLP cannot.
    """
    check_types(config, generation, entries, where)
    result = Translated({}, {}, sizes=complete(config, entries))
    for entry in entries:
        if isinstance(entry, Field):
            result.config[entry.target] = entry.to_paddle(config, where)
        elif isinstance(entry, Constant):
            result.config[entry.paddle] = entry.value
        elif isinstance(entry, Fixed) and config.get(entry.hf, entry.allowed[0]) not in entry.allowed:
            allowed = " or ".join(repr(value) for value in entry.allowed)
            raise ConvertError(
                f"{where}: {entry.hf} = {config[entry.hf]!r} changes what the model computes, and PaddleNLP's computes "
                f"only {allowed}"
            )
        elif isinstance(entry, Near) and result.sizes[entry.hf] != entry.paddle_computes:
            result.notes.append(f"{entry.hf} = {result.sizes[entry.hf]}: {entry.note}")
        elif isinstance(entry, TrainedLike):
            ours, theirs = result.sizes[entry.hf], result.sizes[entry.like]
            if ours != theirs:
                result.notes.append(f"{entry.hf} = {ours} is trained with {entry.like} = {theirs}: PaddleNLP has one for both")
    result.config.update({key: result.sizes[key] for key in ("id2label", "label2id")})
    settings = {**config, **generation}
    result.config.update({key: settings[key] for key, value in GENERATION.items() if settings.get(key, value) != value})
    result.generation = {key: settings[key] for key in (*GENERATION, *GENERATION_IDS) if settings.get(key) is not None}
    result.kept_aside = _kept_aside(config, entries, harmless, where)
    return result


def check_types(config: dict, generation: dict, entries: Sequence[Entry], where: str) -> None:
    """Numbers are numbers, sizes have a size, lists are lists.

    Raises: ConvertError naming the first field that is something else.
    """

    def complain(name: str, value: object, wanted: str) -> None:
        raise ConvertError(f"{where}: {name} = {value!r} must be {wanted}")

    for entry in entries:
        if not isinstance(entry, Field | TrainedLike):
            continue
        value = config.get(entry.hf, entry.default)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is None:
            if _is_number(entry) and not (getattr(entry, "if_none", None) or getattr(entry, "none_is", None)):
                complain(entry.hf, value, "a number")
            continue
        if isinstance(entry.default, bool):
            if not isinstance(value, bool):
                complain(entry.hf, value, "true or false")
        elif entry.hf.endswith("_id"):
            if not all(isinstance(number, int) for number in (value if isinstance(value, list) else [value])):
                complain(entry.hf, value, "a number")
        elif isinstance(entry.default, int) or getattr(entry, "if_none", None):
            if not number or not 0 <= value < MOST or (value != int(value) and entry.default != 0):
                complain(entry.hf, value, f"a number from 0 to {MOST - 1}")
            if "layer" in entry.hf and value > MOST_LAYERS:
                complain(entry.hf, value, f"at most {MOST_LAYERS}")
        elif isinstance(entry.default, float) or "dropout" in entry.hf:
            if not number:
                complain(entry.hf, value, "a number")
            if entry.hf == "layer_norm_eps" and not 0 <= value <= MOST_EPSILON:
                complain(entry.hf, value, f"from 0 to {MOST_EPSILON}, which is what Paddle's layer norm takes")
        elif not isinstance(value, str | int | float):
            complain(entry.hf, value, "a text or a number")
    architectures = config.get("architectures")
    if architectures is not None and not (isinstance(architectures, list) and all(isinstance(a, str) for a in architectures)):
        complain("architectures", architectures, "a list of names")
    for name in ("id2label", "label2id"):
        if not isinstance(config.get(name, {}), dict | type(None)):
            complain(name, config[name], "an object")
    count = config.get("num_labels", 0)
    if not isinstance(count, int) or not 0 <= count <= MOST_LABELS:
        complain("num_labels", count, f"a number from 0 to {MOST_LABELS}")
    if not all(isinstance(label, str | int | float | None) for label in (config.get("id2label") or {}).values()):
        complain("id2label", config["id2label"], "a map from numbers to texts")
    keys = [*(config.get("id2label") or {}), *(config.get("label2id") or {}).values()]
    if not all(re.fullmatch(r"\d+", str(key)) for key in keys):
        complain("id2label", config.get("id2label"), "a map from numbers, and label2id one to numbers")


def _is_number(entry: Field | TrainedLike) -> bool:
    return isinstance(entry.default, int | float) and not isinstance(entry.default, bool) and not entry.hf.endswith("_id")


def complete(config: dict, entries: Sequence[Entry]) -> dict:
    """A Hugging Face configuration with the defaults it leaves out: what the rules take their sizes from."""
    result = {entry.hf: entry.default for entry in entries if isinstance(entry, Field | TrainedLike | Kept)}
    result |= {entry.hf: entry.allowed[0] for entry in entries if isinstance(entry, Fixed)}
    result |= {**config, **labels(config, entries)}
    derived = [entry for entry in entries if isinstance(entry, Field) and entry.if_none and result[entry.hf] is None]
    return result | {entry.hf: entry.if_none(result) for entry in derived}


def labels(config: dict, entries: Sequence[Entry] = ()) -> dict:
    """num_labels, id2label (ids as strings, as in a JSON file) and label2id of a configuration of either library."""
    if config.get("id2label"):
        id2label = {str(key): value for key, value in config["id2label"].items()}
    else:
        count = config.get("num_labels", next((e.default for e in entries if getattr(e, "hf", "") == "num_labels"), 2))
        id2label = {str(number): f"LABEL_{number}" for number in range(count)}
    label2id = config.get("label2id") or {value: int(key) for key, value in id2label.items()}
    return {"num_labels": len(id2label), "id2label": id2label, "label2id": label2id}


def _kept_aside(config: dict, entries: Sequence[Entry], harmless: Sequence[str], where: str) -> list[str]:
    """Names of the fields that only travel along.

    Raises: ConvertError for those that sound as if the computation depended on them.
    """
    known = {getattr(entry, "hf", None) for entry in entries} | set(GENERATION) | {"id2label", "label2id", "num_labels"}
    unknown = [name for name in config if name not in known]
    doubtful = [
        name
        for name in unknown
        if TELLING.search(name) and name not in HARMLESS and name not in harmless and config[name]  # switched off: nothing
    ]
    if doubtful:
        listed = ", ".join(f"{name} = {config[name]!r}" for name in doubtful)
        raise ConvertError(
            f"{where}: unknown to this architecture, and it may change what the model computes: {listed}. "
            "If you know that it does not, say --keep-field NAME"
        )
    return sorted(unknown)


def to_hf(config: dict, generation: dict, entries: Sequence[Entry], where: str, *, labelled: bool = True) -> tuple[dict, dict]:
    """The way back: (config.json, generation_config.json) of Hugging Face from Paddle's.

    Starts from the kept originals and changes only what now means something else; without originals everything is written.
    labelled: Paddle's labels are labels for transformers too.
    Raises: ConvertError where Paddle's file lacks a field, or has a value that Hugging Face's model cannot express.
    """
    kept = config.get(KEPT, {})
    original, result = kept.get("config", {}), copy.deepcopy(kept.get("config", {}))
    original_settings = {name: value for name, value in kept.get("generation", {}).items() if name in GENERATION}
    before = {**original, **original_settings}  # to_paddle lets generation_config.json overrule config.json
    for entry in entries:
        if isinstance(entry, Constant) and config.get(entry.paddle, entry.value) != entry.value:
            raise ConvertError(
                f"{where}: {entry.paddle} = {config[entry.paddle]!r} has no counterpart in transformers, which computes "
                f"{entry.value!r}"
            )
        if not isinstance(entry, Field):
            continue
        if entry.target not in config and entry.target not in LEFT_OUT:
            raise ConvertError(f"{where}: {entry.target} is missing, so the model's {entry.hf} is not known")
        value = config.get(entry.target, LEFT_OUT.get(entry.target))
        if value is None and entry.none_is:
            value = config.get(entry.none_is)
        if not original or entry.to_paddle(before, where) != value:
            result[entry.hf] = entry.to_hf(value)
        if not original:
            result.update({e.hf: value for e in entries if isinstance(e, TrainedLike) and e.like == entry.hf})
    now = labels(config)
    if labelled and (not original or now["id2label"] != labels(original, entries)["id2label"]):
        result.update({"id2label": now["id2label"], "label2id": now["label2id"]})
        result.pop("num_labels", None)
    known = {entry.hf for entry in entries if isinstance(entry, Field)}
    return result, _generation_to_hf(config, generation, kept, result, known)


def _generation_to_hf(config: dict, generation: dict, kept: dict, result: dict, known: set[str]) -> dict:
    """Writes settings that were changed since into `result`; returns generation_config.json ({}: there is none).

    known: fields that the family's table translates already.
    """
    before = {**kept.get("config", {}), **kept.get("generation", {})}
    settings = copy.deepcopy(kept.get("generation", {}))
    for name, default in GENERATION.items():
        value = config.get(name, generation.get(name, default))
        if name not in known and value != before.get(name, default):
            result[name] = value
            if settings:
                settings[name] = value
    return settings
