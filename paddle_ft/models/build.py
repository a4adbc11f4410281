"""Models themselves: loaded from a directory, made from sizes, heads tied to embeddings, vocabularies enlarged."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

from convert.errors import ConvertError
from convert.loading import read_weights, with_weights
from paddle_ft.models.classes import CONFIG_CLASSES, MODEL_CLASSES
from paddle_ft.models.resolve import read_config
from paddle_ft.system.errors import UserError


def load_pretrained(kind: str, directory: Path, settings: dict[str, Any] | None = None):
    """The model in a directory in Paddle layout. Raises UserError if its type does not fit the task.

    settings: what the task changes in the model's configuration; None takes the directory as it is.
    """
    directory = Path(directory)
    config = read_config(directory)
    model_type, classes = config.get("model_type"), MODEL_CLASSES[kind]
    if model_type not in classes:
        raise UserError(f"{directory}: a model of type {model_type!r} cannot be used here; {kind} knows {', '.join(classes)}.")
    if kind == "causal_lm" and "GPTForTokenClassification" in (config.get("architectures") or []):
        raise UserError(
            f"model.pretrained: {directory}: its output head differs from its input embedding, and PaddleNLP's GPT-2 has only"
            " one of the two: this model cannot be trained here."
        )
    cls = _model_class(kind, model_type, {**config, **(settings or {})})
    try:
        if settings is None:
            return with_weights(cls, directory, read_weights(directory))
        from paddle_ft.models.heads import load_with_head

        return load_with_head(cls, directory, config, settings)
    except ConvertError as error:
        raise UserError(f"the model cannot be loaded: {error}") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{directory}: the model cannot be loaded: {error}") from None


def _model_class(kind: str, model_type: str, settings: dict):
    """PaddleNLP's class, with our own head on it where the configuration asks for that."""
    import paddlenlp.transformers as library

    cls = getattr(library, MODEL_CLASSES[kind][model_type])
    if settings.get("classifier_head") == "lstm_attention":
        from paddle_ft.models.heads import with_lstm_attention

        return with_lstm_attention(cls)
    return cls


def from_scratch(kind: str, sizes: dict, tokenizer, settings: dict[str, Any] | None = None):
    """A new model. `sizes` are PaddleNLP configuration names; vocabulary and special ids come from the tokenizer."""
    import paddlenlp.transformers as library

    sizes = dict(sizes)
    model_type = sizes.pop("model_type", next(iter(MODEL_CLASSES[kind])))
    if model_type not in MODEL_CLASSES[kind]:
        raise UserError(f"model.config.model_type: {model_type!r}: {kind} knows {', '.join(MODEL_CLASSES[kind])}.")
    config_class = getattr(library, CONFIG_CLASSES[model_type])
    _check_sizes(sizes, config_class)
    sizes = {config_class.attribute_map.get(key, key): value for key, value in sizes.items()}  # PaddleNLP passes aliases over
    special = _special_ids(tokenizer) if kind == "seq2seq" else {"pad_token_id": tokenizer.pad_token_id}
    if kind == "causal_lm":
        special |= {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    sizes.setdefault("vocab_size", len(tokenizer))
    if sizes["vocab_size"] < len(tokenizer):
        raise UserError(
            f"model.config.vocab_size: {sizes['vocab_size']} is not allowed: the tokenizer has {len(tokenizer)} tokens."
        )
    for key, value in {**special, **sizes}.items():
        if key.endswith("_token_id") and value is not None and not 0 <= value < sizes["vocab_size"]:
            raise UserError(f"model.config.{key}: {value} is not allowed: the vocabulary has {sizes['vocab_size']} tokens.")
    config = config_class(**{**special, **sizes, **(settings or {})})
    try:
        return _model_class(kind, model_type, settings or {})(config)
    except MemoryError:
        raise UserError("model.config: there is not enough memory for a model of these sizes.") from None
    except Exception as error:  # whatever PaddleNLP's classes raise about sizes they cannot use
        raise UserError(f"model.config: these sizes do not make a model: {error}") from None


def _special_ids(tokenizer) -> dict:
    """As in the Chinese BART: [CLS] begins a text, [SEP] ends it and starts the decoder."""
    bos = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.cls_token_id
    eos = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    return {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "decoder_start_token_id": eos,
        "forced_eos_token_id": eos,
    }


_SIZE = re.compile("size|layers|heads|dim|d_model|position_embeddings|dropout")  # what of a configuration people set


def _check_sizes(sizes: dict, config_class) -> None:
    import inspect

    own = [name for name in inspect.signature(config_class.__init__).parameters if name not in ("self", "kwargs")]
    known = {*own, *config_class().to_dict(), *config_class.attribute_map}
    for key, value in sizes.items():
        if key not in known:
            near = difflib.get_close_matches(key, sorted(known), n=1)
            usual = [name for name in own if _SIZE.search(name)]
            hint = f" Did you mean {near[0]}?" if near else f" It has {', '.join(usual)} and {len(known) - len(usual)} more."
            raise UserError(f"model.config.{key}: {config_class.__name__} has no such setting.{hint}")
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0:
            raise UserError(f"model.config.{key}: {value!r} is not allowed: must not be negative.")
        if "dropout" in key and isinstance(value, (int, float)) and value > 1:
            raise UserError(f"model.config.{key}: {value!r} is not allowed: must be a probability, 0 to 1.")


def input_embedding(model):
    """The layer of word embeddings. PaddleNLP's DistilBERT does not answer get_input_embeddings()."""
    base = getattr(model, model.base_model_prefix, model)
    if type(base).__name__ == "DistilBertModel":
        return base.embeddings.word_embeddings
    return model.get_input_embeddings()


def check_vocabulary(model, tokenizer, name: str) -> None:
    size = input_embedding(model).weight.shape[0]
    if len(tokenizer) > size:
        raise UserError(
            f"model.pretrained: {name}: the tokenizer has {len(tokenizer)} tokens, but the model's embedding only {size} rows:"
            " they do not belong together. Set model.tokenizer to the right one."
        )


# ---------------------------------------------------------------------------------------------------- heads and vocabularies
def tie_head(model, from_scratch: bool = False) -> bool:
    """Makes the language model head and the input embedding one parameter, as the original BART and DistilBERT have it.

    PaddleNLP keeps them apart as two parameters (BERT's, RoBERTa's and GPT-2's it ties itself). A loaded head that differs
    from the embedding was trained apart: it is left so. Returns whether they are tied.
    """
    if "vocab_projector" in model._sub_layers:
        from paddle_ft.models.lm_heads import tie_projector

        return tie_projector(model, input_embedding(model), from_scratch) or _stays_apart()
    if "lm_head_weight" not in model._parameters:
        return False
    embedding = input_embedding(model).weight
    head = model.lm_head_weight
    if head is embedding:
        return True
    if not from_scratch and not bool((head == embedding).all()):
        return _stays_apart()
    model._parameters["lm_head_weight"] = embedding
    return True


def _stays_apart() -> bool:
    from paddle_ft.system.progress import say

    say("The checkpoint's output head differs from its input embedding: they stay two parameters.")
    return False


def resize_vocabulary(model, size: int, known: int | None = None) -> None:
    """Gives the model rows for tokens added to its tokenizer, up to `size` in all.

    known: rows that stand for tokens so far (default: all). A vocabulary padded to a multiple has spare ones behind, random
    or never trained: they are used first.

    New rows of the embedding, and of a head of its own, are the mean of the old ones; new entries of the logits' bias are 0.
    A tied head stays tied.

    Source: Hewitt (2021), Initializing New Word Embeddings for Pretrained Language Models: random rows can get almost all of
    the probability, the mean of the old ones cannot.
    """
    import paddle

    embedding = input_embedding(model).weight
    rows = embedding.shape[0]
    known = rows if known is None else min(known, rows)
    if size <= known:
        return
    larger = {id(embedding): _with_mean_rows(embedding, known, size)}
    for layer in model.sublayers(include_self=True):
        for name, parameter in list(layer._parameters.items()):
            if parameter is embedding or name == "lm_head_weight":
                if id(parameter) not in larger:
                    larger[id(parameter)] = _with_mean_rows(parameter, known, size)
                layer._parameters[name] = larger[id(parameter)]
    more = size - rows
    if more <= 0:
        return
    if "final_logits_bias" in model._buffers:
        bias = model.final_logits_bias
        model._buffers["final_logits_bias"] = paddle.concat([bias, paddle.zeros([1, more], bias.dtype)], axis=1)
    model.config.vocab_size = size


def _with_mean_rows(weight, known: int, size: int):
    """A parameter of at least `size` rows from one of [v, d]: rows known to size are the mean of those before, the rest stays."""
    import paddle

    mean = weight[:known].detach().astype("float64").mean(axis=0, keepdim=True).astype(weight.dtype)
    rows = paddle.concat([weight[:known].detach(), mean.expand([size - known, weight.shape[1]]), weight[size:].detach()])
    return paddle.create_parameter(rows.shape, rows.dtype, default_initializer=paddle.nn.initializer.Assign(rows))
