"""Tokenizers: every checkpoint gets a tokenizer.json, which PaddleNLP's PretrainedTokenizerFast runs as transformers does.

PaddleNLP's own Python tokenizers split some symbols differently from Hugging Face's, so they are not relied on. Where the
source has only vocabulary files, the tokenizer.json is built the way transformers builds it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from convert.errors import ConvertError
from convert.family import Family
from convert.tensors import read_json
from convert.tokenizer_builders import BUILDERS, DEFAULTS, SENTENCEPIECE_FILES, Unsuitable, text, wordpiece_settings

VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model")
SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
PADDLE_CLASS, HF_CLASS = "PretrainedTokenizerFast", "PreTrainedTokenizerFast"


def files(directory: Path) -> list[Path]:
    """The tokenizer files of a directory."""
    return [directory / name for name in (*VOCABULARIES, *SETTINGS) if (directory / name).is_file()]


def kind(directory: Path, family: Family) -> str:
    """How the directory's tokenizer is built: a name of BUILDERS, "ready_made", or "none".

    The files decide, not the family: Chinese BART and GPT-2 come with BERT's kind of vocabulary.
    """
    ready = directory / "tokenizer.json"
    model = read_json(ready).get("model") if ready.is_file() else None
    model_type = model.get("type") if isinstance(model, dict) else None
    byte_bpe = (directory / "vocab.json").is_file() and (directory / "merges.txt").is_file()
    if model_type == "WordPiece" or (model_type is None and (directory / "vocab.txt").is_file() and not byte_bpe):
        return "wordpiece"
    if byte_bpe and model_type in (None, "BPE"):
        return "byte_bpe" if family.tokenizer == "byte_bpe" else "byte_bpe_with_ends"
    if ready.is_file() or any((directory / name).is_file() for name in SENTENCEPIECE_FILES):
        return family.tokenizer
    return "none"


def write_paddle_tokenizer(source: Path, target: Path, kept: Path, model_config: dict, family: Family) -> dict:
    """Writes the tokenizer's files into `target`, the originals of those that change into `kept`.

    Returns: what the report says: {"kind", "files", "notes"}.
    Raises: ConvertError where a tokenizer file is damaged.
    """
    built = kind(source, family)
    found = files(source)
    if built == "none":
        return {"kind": "none", "files": {}, "notes": ["the source has no tokenizer files that can be converted"]}
    settings = {name: read_json(source / name) if (source / name).is_file() else {} for name in SETTINGS}
    config, special_map = settings["tokenizer_config.json"], settings["special_tokens_map.json"]
    special = {**DEFAULTS.get(built, {}), **{key: special_map[key] for key in SPECIAL if key in special_map}}
    special.update({key: config[key] for key in SPECIAL if config.get(key) is not None})
    special = {key: value for key, value in special.items() if value is not None}
    try:
        tokenizer = _tokenizer(source, built, config, special)
        _add_tokens(tokenizer, config, settings["added_tokens.json"], special, special_map)
    except ConvertError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:  # values of the wrong kind inside valid JSON
        raise ConvertError(f"{source}: the tokenizer's files do not make sense ({type(error).__name__}: {error})") from None
    except Unsuitable as problem:
        return {"kind": "none", "files": {}, "notes": [f"tokenizer not converted: {problem}"]}
    for path in found:
        shutil.copyfile(path, (kept if path.name in SETTINGS or path.name == "tokenizer.json" else target) / path.name)
    tokenizer.save(str(target / "tokenizer.json"))
    paddle_config = {
        "tokenizer_class": PADDLE_CLASS,
        **{key: _described(tokenizer, text(value)) for key, value in special.items()},
        "model_input_names": ["input_ids", *(["token_type_ids"] if family.token_types else []), "attention_mask"],
    }
    for key in ("model_max_length", "padding_side", "truncation_side", "clean_up_tokenization_spaces"):
        if key in config:
            paddle_config[key] = config[key]
    extra = [text(token) for token in _additional(config, special_map)]
    if extra:
        paddle_config["additional_special_tokens"] = extra
    (target / "tokenizer_config.json").write_text(json.dumps(paddle_config, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return {"kind": built, "files": [path.name for path in found]}


def _described(tokenizer, content: str) -> str | dict:
    """A special token as PaddleNLP's settings spell it: with its properties where it takes in a neighbouring space."""
    known = {token.content: token for token in tokenizer.get_added_tokens_decoder().values()}
    token = known.get(content)
    if token is None or not (token.lstrip or token.rstrip):
        return content
    properties = {name: getattr(token, name) for name in ("content", "single_word", "lstrip", "rstrip", "normalized", "special")}
    return {"__type": "AddedToken", **properties}


def write_hf_tokenizer(source: Path, target: Path, kept: Path) -> dict:
    """Writes the tokenizer's files for transformers: the originals where the conversion kept them, else Paddle's translated.

    Returns: what the report says: {"kind", "files"}.
    """
    found = {path.name: path for path in files(source)}
    originals = {path.name: path for path in files(kept)} if kept.is_dir() else {}
    if originals:
        # what the conversion itself wrote gives way to what was there before, or to nothing
        found = {name: path for name, path in found.items() if name not in (*SETTINGS, "tokenizer.json")} | originals
    elif kept.is_dir() and any(name in found for name in ("vocab.txt", "vocab.json", "spiece.model")):
        found = {name: path for name, path in found.items() if name in VOCABULARIES and name != "tokenizer.json"}
    for name, path in found.items():
        shutil.copyfile(path, target / name)
    settings = target / "tokenizer_config.json"
    if settings.is_file():
        config = read_json(settings)
        if config.get("tokenizer_class") == PADDLE_CLASS:
            config["tokenizer_class"] = HF_CLASS
            settings.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    names = ", ".join(name for name in sorted(found) if name in VOCABULARIES)
    return {"kind": "as in the original" if originals else names or "none", "files": sorted(found)}


def _additional(config: dict, special_map: dict) -> list:
    return config.get("additional_special_tokens") or special_map.get("additional_special_tokens") or []


def _tokenizer(source: Path, built: str, config: dict, special: dict):
    """The tokenizer as transformers' fast class would set it up."""
    from tokenizers import Tokenizer

    path = source / "tokenizer.json"
    if path.is_file():
        read_json(path)
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise ConvertError(f"{path}: not a tokenizer.json that this version of tokenizers reads ({error})") from None
        tokenizer.no_padding()
        tokenizer.no_truncation()
        _apply_settings(tokenizer, built, config)
        return tokenizer
    if built not in BUILDERS:
        raise Unsuitable("for this architecture only a tokenizer.json can be taken over, and there is none")
    return BUILDERS[built](source, config, {key: text(value) for key, value in special.items()})


def _apply_settings(tokenizer, built: str, config: dict) -> None:
    """transformers' classes let tokenizer_config.json (or their own default) overrule the tokenizer.json."""
    from tokenizers import normalizers, pre_tokenizers

    class_name = str(config.get("tokenizer_class", "")).removesuffix("Fast")
    if class_name == "PreTrainedTokenizer":
        return
    if built == "wordpiece" and tokenizer.normalizer is not None:
        state = json.loads(tokenizer.normalizer.__getstate__())
        wanted = wordpiece_settings(config)
        if state.get("type") == "BertNormalizer" and any(state.get(key) != value for key, value in wanted.items()):
            tokenizer.normalizer = normalizers.BertNormalizer(clean_text=state.get("clean_text", True), **wanted)
    if built.startswith("byte_bpe") and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel):
        tokenizer.pre_tokenizer.add_prefix_space = bool(config.get("add_prefix_space", False))


def _add_tokens(tokenizer, config: dict, added: dict, special: dict, special_map: dict) -> None:
    """Special and added tokens that the vocabulary treats as ordinary text so far.

    Raises: ConvertError where an added token cannot get the id the files give it.
    """
    from tokenizers import AddedToken

    for key, token in special.items():
        properties = dict(token) if isinstance(token, dict) else {"content": token}
        properties = {name: value for name, value in properties.items() if name in ("lstrip", "rstrip", "normalized")}
        if key == "mask_token" and isinstance(token, str) and config.get("tokenizer_class", "Bart") not in ("BertTokenizer",):
            properties.setdefault("lstrip", isinstance(tokenizer.pre_tokenizer, _byte_level()))
        _add(tokenizer, AddedToken(text(token), special=True, **{"normalized": False, **properties}))
    wanted = [(int(number), dict(token)) for number, token in config.get("added_tokens_decoder", {}).items()]
    wanted += [(int(number), {"content": content, "normalized": True}) for content, number in added.items()]
    for number, token in sorted(wanted, key=lambda item: item[0]):
        token.pop("__type", None)
        _add(tokenizer, AddedToken(**token))
        if tokenizer.token_to_id(token["content"]) != number:
            raise ConvertError(f"added token {token['content']!r} should have id {number}; the vocabulary has another one there")
    for token in _additional(config, special_map):
        _add(tokenizer, AddedToken(text(token), special=True, normalized=False))


def _byte_level() -> type:
    from tokenizers import pre_tokenizers

    return pre_tokenizers.ByteLevel


def _add(tokenizer, token) -> None:
    """Adds a token unless the tokenizer already splits it off."""
    if token.content in {known.content for known in tokenizer.get_added_tokens_decoder().values()}:
        return
    if token.special:
        tokenizer.add_special_tokens([token])
    else:
        tokenizer.add_tokens([token])
