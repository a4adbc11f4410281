"""A name becomes a model and a tokenizer: the one room that imports PaddleNLP's model classes.

Names are resolved in this order: a directory, a PaddleNLP built-in name (bart-base), a Hugging Face id (org/name), which the
converter turns into a Paddle checkpoint once. From scratch, `model.config` gives the sizes and the tokenizer the vocabulary.
"""

from __future__ import annotations

import difflib
import json
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddle_ft.data.download import Wanted, ensure, home
from paddle_ft.errors import UserError

# What a task asks for -> the class of each architecture that provides it (config.json's model_type).
MODEL_CLASSES = {
    "seq2seq": {"bart": "BartForConditionalGeneration"},
    "sequence_classification": {
        "distilbert": "DistilBertForSequenceClassification",
        "bert": "BertForSequenceClassification",
        "roberta": "RobertaForSequenceClassification",
        "ernie": "ErnieForSequenceClassification",
    },
    "masked_lm": {"distilbert": "DistilBertForMaskedLM", "bert": "BertForMaskedLM", "roberta": "RobertaForMaskedLM"},
    "causal_lm": {"gpt": "GPTLMHeadModel"},
}
CONFIG_CLASSES = {
    "bart": "BartConfig",
    "distilbert": "DistilBertConfig",
    "bert": "BertConfig",
    "roberta": "RobertaConfig",
    "ernie": "ErnieConfig",
    "gpt": "GPTConfig",
}
WEIGHT_FILES = ("model.safetensors", "model_state.pdparams", "model.safetensors.index.json")


@dataclass
class Loaded:
    """A model, its PaddleNLP tokenizer, the same tokenizer in Rust for whole data sets, and its files.

    The files are kept in memory, name -> bytes: PaddleNLP's own save copies them from where they were loaded, which fails
    hours later if that folder has gone.
    """

    model: Any
    tokenizer: Any
    fast_tokenizer: Any
    tokenizer_files: dict[str, bytes]


def load(
    kind: str,
    section,
    folder: Path,
    texts: Callable[[], Iterable[str]],
    special_tokens: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
) -> Loaded:
    """Loads or builds what the `model` section names.

    Args:
        kind: what the task needs, a key of MODEL_CLASSES.
        section: the configuration's model section.
        folder: a directory of this run where a tokenizer built from texts is written.
        texts: called for the training texts, if a tokenizer has to be built from them.
        special_tokens: what is added to the vocabulary, as the tokenizer's add_special_tokens takes it.
        settings: what the task sets in the model's configuration (classes, head of a classifier).

    Raises: UserError if there is no such model or it does not fit the task.
    """
    if section.pretrained is not None:
        directory = resolve(section.pretrained, kind)
        tokenizer_directory = directory if section.tokenizer is None else resolve(section.tokenizer, kind, weights=False)
        tokenizer = load_tokenizer(tokenizer_directory)
        model = load_pretrained(kind, directory, settings)
        _check_vocabulary(model, tokenizer, section.pretrained)
        tie_head(model)
        if special_tokens:
            known = len(tokenizer)
            tokenizer.add_special_tokens(special_tokens)
            resize_vocabulary(model, len(tokenizer), known)
    else:
        if section.tokenizer is not None:
            tokenizer = load_tokenizer(resolve(section.tokenizer, kind, weights=False))
        else:
            tokenizer = new_tokenizer(kind, texts(), folder, section.new_vocabulary)
        if special_tokens:
            tokenizer.add_special_tokens(special_tokens)
        model = from_scratch(kind, section.config, tokenizer, settings)
        tie_head(model, from_scratch=True)
    return _with_fast_tokenizer(model, tokenizer, folder)


def reload(kind: str, directory: Path) -> Loaded:
    """Loads what `save` wrote. Raises UserError if the directory holds no model."""
    model = load_pretrained(kind, directory)
    tie_head(model)
    with tempfile.TemporaryDirectory() as folder:
        return _with_fast_tokenizer(model, load_tokenizer(directory), Path(folder))


def _with_fast_tokenizer(model, tokenizer, folder: Path) -> Loaded:
    from paddle_ft.data.tokenization import fast_tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(str(folder))
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    return Loaded(model, tokenizer, fast_tokenizer(folder), files)


def save(loaded: Loaded, directory: Path) -> None:
    """Writes a directory that plain PaddleNLP loads: weights as safetensors, configuration, tokenizer."""
    loaded.model.save_pretrained(str(directory), safe_serialization=True)
    for name, content in loaded.tokenizer_files.items():
        (directory / name).write_bytes(content)


# ---------------------------------------------------------------------------------------------------- names
def resolve(name: str, kind: str, weights: bool = True) -> Path:
    """The directory of a model in Paddle layout. Downloads and converts where needed. Raises UserError."""
    path = Path(os.path.expanduser(name))
    if path.is_dir():
        return _paddle_layout(path, kind) if weights else path
    if wanted := builtin_files(name, kind):
        ensure(wanted)
        return builtin_directory(name, kind)
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        import convert

        try:
            return convert.cached(name, task=kind) if weights else convert.resolve(name)
        except convert.ConvertError as error:
            raise UserError(f"model.pretrained: {name}: {error}") from None
    raise UserError(
        f"model.pretrained: {name}: no such directory, and not the name of a model. Use a directory, a PaddleNLP name"
        f" ({_some_names(name, kind)}) or a Hugging Face id (org/name)."
    )


def _paddle_layout(path: Path, kind: str) -> Path:
    """The directory itself, or a converted copy if it is in Hugging Face's layout."""
    config = read_config(path)
    if "paddlenlp_version" in config or (path / "model_state.pdparams").exists():
        if not any((path / name).exists() for name in WEIGHT_FILES):
            raise UserError(f"{path}: there are no weights in this directory (looked for {', '.join(WEIGHT_FILES)}).")
        return path
    import convert

    try:
        return convert.cached(str(path), task=kind)
    except convert.ConvertError as error:
        raise UserError(f"model.pretrained: {path}: {error}") from None


def read_config(directory: Path) -> dict:
    """config.json of a model. Raises UserError if it is missing or is not JSON."""
    path = directory / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{directory}: there is no config.json, so this is not a model's directory.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(config, dict):
        raise UserError(f"{path}: a model's configuration is a JSON object, this is a {type(config).__name__}.")
    return config


# ---------------------------------------------------------------------------------------------------- PaddleNLP's own names
def _builtin_classes(kind: str) -> list:
    import paddlenlp.transformers as library

    return [getattr(library, name) for name in MODEL_CLASSES[kind].values()]


def _names_of(cls) -> list[str]:
    """Built-ins of which PaddleNLP knows the sizes, the weights and a tokenizer; of some it lacks one of the three."""
    names = set(cls.pretrained_init_configuration) & set(cls.pretrained_resource_files_map["model_state"])
    return [name for name in names if _default_tokenizer_class(cls.config_class.model_type, name)]


def builtin_names(kind: str) -> list[str]:
    return sorted({name for cls in _builtin_classes(kind) for name in _names_of(cls)})


def _some_names(name: str, kind: str, most: int = 12) -> str:
    """All built-in names where they are few, else those like `name`, else the first."""
    names = builtin_names(kind)
    if len(names) <= most:
        return ", ".join(names)
    return ", ".join(difflib.get_close_matches(name, names, n=most) or names[:most]) + ", ..."


def builtin_directory(name: str, kind: str) -> Path:
    return home() / "models" / name


def builtin_files(name: str, kind: str) -> list[Wanted]:
    """The files of a PaddleNLP built-in, and where they are kept; empty if the name is none of theirs."""
    for cls in _builtin_classes(kind):
        if name not in _names_of(cls):
            continue
        directory = builtin_directory(name, kind)
        urls = {"model_state.pdparams": cls.pretrained_resource_files_map["model_state"][name]}
        tokenizer_class = _default_tokenizer_class(cls.config_class.model_type, name)
        for resource, file_name in tokenizer_class.resource_files_names.items():
            urls[file_name] = tokenizer_class.pretrained_resource_files_map[resource][name]
        _write_builtin_config(cls, tokenizer_class, name, directory)
        return [Wanted(url, directory / file, what=f"{name}: {file}") for file, url in urls.items()]
    return []


def _write_builtin_config(cls, tokenizer_class, name: str, directory: Path) -> None:
    """What PaddleNLP knows about a built-in beside its files: the sizes, and whether capitals count."""
    if (directory / "config.json").exists() and (directory / "tokenizer_config.json").exists():
        return
    config = cls.config_class(**cls.pretrained_init_configuration[name])
    settings = {"tokenizer_class": tokenizer_class.__name__, **tokenizer_class.pretrained_init_configuration.get(name, {})}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{directory} cannot be made: {error.strerror}. Set PADDLE_FT_HOME to another folder.") from None
    config.save_pretrained(str(directory))


# ---------------------------------------------------------------------------------------------------- tokenizers
TOKENIZER_CLASSES = {
    "bart": ("BartTokenizer",),
    "distilbert": ("DistilBertTokenizer",),
    "bert": ("BertTokenizer",),
    "ernie": ("ErnieTokenizer",),
    "roberta": ("RobertaBPETokenizer", "RobertaChineseTokenizer"),
    "gpt": ("GPTTokenizer",),
}


def _default_tokenizer_class(model_type: str, name: str):
    """The class that has the files of a built-in's tokenizer, None if none has."""
    import paddlenlp.transformers as library

    classes = [getattr(library, one) for one in TOKENIZER_CLASSES[model_type]]
    return next((cls for cls in classes if all(name in files for files in cls.pretrained_resource_files_map.values())), None)


def load_tokenizer(directory: Path):
    """PaddleNLP's tokenizer of a directory: the class its tokenizer_config.json names, else the one its files fit."""
    import paddlenlp.transformers as library

    directory = Path(directory)
    settings = {}
    path = directory / "tokenizer_config.json"
    if path.exists():
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise UserError(f"{path}: not valid JSON: {error}") from None
    name = str(settings.get("tokenizer_class") or "")
    if not name:
        if (directory / "vocab.txt").exists():
            name = "BertTokenizer"
        elif (directory / "merges.txt").exists():
            name = "BartTokenizer"
        else:
            raise UserError(f"{directory}: there is no tokenizer here (no vocab.txt, no vocab.json with merges.txt).")
    cls = getattr(library, name, None) or getattr(library, name.removesuffix("Fast"), None)
    if cls is None:
        raise UserError(f"{path}: PaddleNLP has no tokenizer class {name}.")
    return cls.from_pretrained(str(directory))


def new_tokenizer(kind: str, texts: Iterable[str], folder: Path, size: int | None):
    """A tokenizer made from the texts: BERT's of their characters, or with `size` of their words and pieces of words; for
    causal language models GPT-2's, of bytes, or with `size` bytes and pieces."""
    if kind == "causal_lm":
        return byte_level_tokenizer(texts, folder, size or 0)
    return character_tokenizer(texts, folder) if size is None else wordpiece_tokenizer(texts, folder, size)


def wordpiece_tokenizer(texts: Iterable[str], folder: Path, size: int):
    """A lower-case BERT tokenizer with a WordPiece vocabulary of about `size` entries, written to folder/vocab.txt.

    Every character of the texts is in it, so nothing of them becomes [UNK]. The same texts give the same vocabulary.
    """
    from paddlenlp.transformers import BertTokenizer
    from tokenizers import BertWordPieceTokenizer

    from paddle_ft.data.samples import character_vocab

    trainer = BertWordPieceTokenizer(lowercase=True)
    texts = list(texts)
    # numbered beforehand: the trainer meets the ##characters in random order, and breaks ties between merges by their numbers
    base = character_vocab(trainer.normalizer.normalize_str(text) for text in texts)
    trainer.train_from_iterator(texts, vocab_size=size, min_frequency=2, special_tokens=base, show_progress=False)
    entries = sorted(trainer.get_vocab().items(), key=lambda entry: entry[1])
    folder.mkdir(parents=True, exist_ok=True)
    vocab = folder / "vocab.txt"
    vocab.write_text("".join(f"{token}\n" for token, _ in entries), encoding="utf-8")
    return BertTokenizer(str(vocab), do_lower_case=True)


def byte_level_tokenizer(texts: Iterable[str], folder: Path, size: int):
    """A GPT-2 tokenizer: the 256 bytes, <|endoftext|>, and pieces made from the texts up to `size` entries in all.

    Written to folder/vocab.json and folder/merges.txt.
    """
    from paddlenlp.transformers import GPTTokenizer
    from tokenizers import ByteLevelBPETokenizer

    trainer = ByteLevelBPETokenizer()
    trainer.train_from_iterator(texts, vocab_size=max(size, 257), min_frequency=2, special_tokens=["<|endoftext|>"],
                                show_progress=False)  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    trainer.save_model(str(folder))
    return GPTTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


def character_tokenizer(texts: Iterable[str], folder: Path):
    """A BERT tokenizer whose vocabulary is the characters of the texts, written to folder/vocab.txt."""
    from paddlenlp.transformers import BertTokenizer

    from paddle_ft.data.samples import character_vocab

    folder.mkdir(parents=True, exist_ok=True)
    vocab = folder / "vocab.txt"
    vocab.write_text("\n".join(character_vocab(texts)) + "\n", encoding="utf-8")
    return BertTokenizer(str(vocab), do_lower_case=True)


# ---------------------------------------------------------------------------------------------------- models
def load_pretrained(kind: str, directory: Path, settings: dict[str, Any] | None = None):
    """The model in a directory in Paddle layout. Raises UserError if its type does not fit the task.

    settings: what the task changes in the model's configuration; None takes the directory as it is.
    """
    config = read_config(Path(directory))
    model_type, classes = config.get("model_type"), MODEL_CLASSES[kind]
    if model_type not in classes:
        raise UserError(f"{directory}: a model of type {model_type!r} cannot be used here; {kind} knows {', '.join(classes)}.")
    cls = _model_class(kind, model_type, {**config, **(settings or {})})
    try:
        if settings is None:
            return cls.from_pretrained(str(directory))
        from paddle_ft.heads import load_with_head

        return load_with_head(cls, Path(directory), config, settings)
    except (OSError, ValueError, RuntimeError, EOFError) as error:
        raise UserError(f"{directory}: the model cannot be loaded: {error}") from None


def _model_class(kind: str, model_type: str, settings: dict):
    """PaddleNLP's class, with our own head on it where the configuration asks for that."""
    import paddlenlp.transformers as library

    cls = getattr(library, MODEL_CLASSES[kind][model_type])
    if settings.get("classifier_head") == "lstm_attention":
        from paddle_ft.heads import with_lstm_attention

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


def _check_sizes(sizes: dict, config_class) -> None:
    import inspect

    known = set(inspect.signature(config_class.__init__).parameters) - {"self", "kwargs"}
    known |= set(config_class().to_dict()) | set(config_class.attribute_map)
    for key, value in sizes.items():
        if key not in known:
            near = difflib.get_close_matches(key, sorted(known), n=1)
            hint = f" Did you mean {near[0]}?" if near else f" Known: {', '.join(sorted(known))}."
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


def _check_vocabulary(model, tokenizer, name: str) -> None:
    size = input_embedding(model).weight.shape[0]
    if len(tokenizer) > size:
        raise UserError(
            f"model.pretrained: {name}: the tokenizer has {len(tokenizer)} tokens, but the model's embedding only {size} rows:"
            " they do not belong together. Set model.tokenizer to the right one."
        )


def tie_head(model, from_scratch: bool = False) -> bool:
    """Makes the language model head and the input embedding one parameter, as the original BART and DistilBERT have it.

    PaddleNLP keeps them apart as two parameters (BERT's, RoBERTa's and GPT-2's it ties itself). A loaded head that differs
    from the embedding was trained apart: it is left so. Returns whether they are tied.
    """
    if "vocab_projector" in model._sub_layers:
        from paddle_ft.lm_heads import tie_projector

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
    from paddle_ft.progress import say

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
