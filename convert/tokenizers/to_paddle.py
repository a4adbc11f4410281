"""Write the tokenizer of a Hugging Face checkpoint for PaddleNLP."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from convert.errors import ConvertError
from convert.family import Family
from convert.files import read_json, read_optional_json, write_json
from convert.tokenizers.builders import BUILDERS, DEFAULT_SPECIAL_TOKENS, Unsuitable, token_text, wordpiece_settings
from convert.tokenizers.files import PADDLE_CLASS, SETTINGS, tokenizer_files, tokenizer_kind

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
SHARED_SETTINGS = ("model_max_length", "padding_side", "truncation_side", "clean_up_tokenization_spaces")


def write_paddle_tokenizer(source: Path, target: Path, kept_folder: Path, family: Family) -> tuple[dict, list[str]]:
    """Write tokenizer.json and tokenizer_config.json for PaddleNLP.

    Args:
        source: The Hugging Face checkpoint.
        target: Where Paddle's files and the unchanged vocabulary files are written.
        kept_folder: Where the originals of the changed files are stored for the conversion back.
        family: The architecture.

    Returns:
        The report's entry {"kind", "files"}, and notes for the user.

    Raises:
        ConvertError: A tokenizer file is damaged.
    """
    kind = tokenizer_kind(source, family)
    if kind == "none":
        return {"kind": "none", "files": {}}, ["the source has no tokenizer files that can be converted"]
    config, special_map, added = (read_optional_json(source / name) for name in SETTINGS)
    special = _special_tokens(kind, config, special_map)
    try:
        tokenizer = _load_tokenizer(source, kind, config, special)
        _add_tokens(tokenizer, config, added, special, special_map)
    except ConvertError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:  # values of the wrong type inside valid JSON
        raise ConvertError(f"{source}: the tokenizer's files are not valid ({type(error).__name__}: {error})") from None
    except Unsuitable as problem:
        return {"kind": "none", "files": {}}, [f"tokenizer not converted: {problem}"]
    files = tokenizer_files(source)
    for path in files:
        shutil.copyfile(path, (kept_folder if path.name in (*SETTINGS, "tokenizer.json") else target) / path.name)
    tokenizer.save(str(target / "tokenizer.json"))
    write_json(target / "tokenizer_config.json", _paddle_settings(tokenizer, config, special, special_map, family))
    return {"kind": kind, "files": [path.name for path in files]}, []


def count_tokens(directory: Path) -> int:
    """Return the number of tokens of the tokenizer in a Paddle checkpoint, 0 if it has none."""
    from tokenizers import Tokenizer

    path = directory / "tokenizer.json"
    return Tokenizer.from_file(str(path)).get_vocab_size() if path.is_file() else 0


def _special_tokens(kind: str, config: dict, special_map: dict) -> dict:
    """Return the special tokens by role. tokenizer_config.json overrides special_tokens_map.json, which overrides the defaults."""
    special = {**DEFAULT_SPECIAL_TOKENS.get(kind, {}), **{key: special_map[key] for key in SPECIAL_TOKENS if key in special_map}}
    special.update({key: config[key] for key in SPECIAL_TOKENS if config.get(key) is not None})
    return {key: value for key, value in special.items() if value is not None}


def _load_tokenizer(source: Path, kind: str, config: dict, special: dict):
    """Return the tokenizer as transformers' fast class would set it up, before tokens are added."""
    from tokenizers import Tokenizer

    path = source / "tokenizer.json"
    if not path.is_file():
        if kind not in BUILDERS:
            raise Unsuitable("for this architecture only a tokenizer.json can be used, and there is none")
        try:
            return BUILDERS[kind](source, config, {key: token_text(value) for key, value in special.items()})
        except FileNotFoundError as error:
            raise Unsuitable(f"there is no {Path(error.filename).name}, which this architecture's tokenizer needs") from None
    read_json(path)  # because its error messages are clearer
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise ConvertError(f"{path}: not a tokenizer.json that this version of tokenizers reads ({error})") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    _apply_settings(tokenizer, kind, config)
    return tokenizer


def _apply_settings(tokenizer, kind: str, config: dict) -> None:
    """Let tokenizer_config.json override the tokenizer.json, as transformers' classes do."""
    from tokenizers import normalizers, pre_tokenizers

    if str(config.get("tokenizer_class", "")).removesuffix("Fast") == "PreTrainedTokenizer":
        return
    if kind == "wordpiece" and tokenizer.normalizer is not None:
        state = json.loads(tokenizer.normalizer.__getstate__())
        settings = wordpiece_settings(config)
        if state.get("type") == "BertNormalizer" and any(state.get(key) != value for key, value in settings.items()):
            tokenizer.normalizer = normalizers.BertNormalizer(clean_text=state.get("clean_text", True), **settings)
    if kind.startswith("byte_bpe") and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel):
        tokenizer.pre_tokenizer.add_prefix_space = bool(config.get("add_prefix_space", False))


def _add_tokens(tokenizer, config: dict, added: dict, special: dict, special_map: dict) -> None:
    """Add the special and added tokens that the vocabulary would otherwise treat as ordinary text.

    Raises:
        ConvertError: An added token cannot get the id that it has in the files.
    """
    from tokenizers import AddedToken
    from tokenizers.pre_tokenizers import ByteLevel

    for key, token in special.items():
        properties = dict(token) if isinstance(token, dict) else {"content": token}
        properties = {name: value for name, value in properties.items() if name in ("lstrip", "rstrip", "normalized")}
        if key == "mask_token" and isinstance(token, str) and config.get("tokenizer_class", "Bart") != "BertTokenizer":
            properties.setdefault("lstrip", isinstance(tokenizer.pre_tokenizer, ByteLevel))
        _add_token(tokenizer, AddedToken(token_text(token), special=True, **{"normalized": False, **properties}))
    numbered = [(int(number), dict(token)) for number, token in config.get("added_tokens_decoder", {}).items()]
    numbered += [(int(number), {"content": content, "normalized": True}) for content, number in added.items()]
    for number, token in sorted(numbered, key=lambda item: item[0]):
        token.pop("__type", None)
        _add_token(tokenizer, AddedToken(**token))
        if tokenizer.token_to_id(token["content"]) != number:
            raise ConvertError(f"added token {token['content']!r} should have id {number}; the vocabulary has another token there")
    for token in _additional_special_tokens(config, special_map):
        _add_token(tokenizer, AddedToken(token_text(token), special=True, normalized=False))


def _add_token(tokenizer, token) -> None:
    """Add a token unless the tokenizer already knows it as an added one."""
    if token.content in {known.content for known in tokenizer.get_added_tokens_decoder().values()}:
        return
    if token.special:
        tokenizer.add_special_tokens([token])
    else:
        tokenizer.add_tokens([token])


def _additional_special_tokens(config: dict, special_map: dict) -> list:
    return config.get("additional_special_tokens") or special_map.get("additional_special_tokens") or []


def _paddle_settings(tokenizer, config: dict, special: dict, special_map: dict, family: Family) -> dict:
    """Return the contents of Paddle's tokenizer_config.json."""
    settings = {
        "tokenizer_class": PADDLE_CLASS,
        **{key: _paddle_token(tokenizer, token_text(value)) for key, value in special.items()},
        "model_input_names": ["input_ids", *(["token_type_ids"] if family.token_types else []), "attention_mask"],
        **{key: config[key] for key in SHARED_SETTINGS if key in config},
    }
    additional = [token_text(token) for token in _additional_special_tokens(config, special_map)]
    return settings | ({"additional_special_tokens": additional} if additional else {})


def _paddle_token(tokenizer, content: str) -> str | dict:
    """Return a special token in the form of PaddleNLP's settings: with its properties if it strips neighbouring spaces."""
    token = {token.content: token for token in tokenizer.get_added_tokens_decoder().values()}.get(content)
    if token is None or not (token.lstrip or token.rstrip):
        return content
    properties = {name: getattr(token, name) for name in ("content", "single_word", "lstrip", "rstrip", "normalized", "special")}
    return {"__type": "AddedToken", **properties}
