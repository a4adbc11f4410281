"""Build Rust tokenizers from a tokenizer's own files.

A tokenizer built here gives the ids that PaddleNLP's own (slow) tokenizer gives, in the details too in which PaddleNLP
differs from others: it splits off symbols as well as punctuation, drops unassigned characters, and strips spaces around
added tokens. Text that spells a special token ("[SEP]" in a review) becomes that token, as it does there. One difference
is intended: PaddleNLP, once saved and loaded again, no longer finds added tokens that are not special in a text; here they
are found.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable
from functools import cache as remember
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from paddle_ft.data.text import BERT_CJK
from paddle_ft.system.errors import UserError

ROLES = [f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")]
WORDPIECE_SPECIALS = {f"{name.lower()}_token": f"[{name}]" for name in ("UNK", "SEP", "PAD", "CLS", "MASK")}
BART_SPECIALS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": {"content": "<mask>", "lstrip": True},
}
GPT_SPECIALS = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>")
# what PaddleNLP counts as symbols beyond the Unicode category S
MORE_SYMBOLS = {0x00AD, 0x00B2, 0x00BA, 0x3007, 0x00B5, 0x00D8, 0x014B, 0x01B1}


def fast_tokenizer(directory: str | Path) -> Tokenizer:
    """Return the Rust tokenizer of a directory, without truncation or padding.

    Built from tokenizer.json if there is one; else from vocab.txt (BERT), or vocab.json and merges.txt (BART and RoBERTa,
    which put <s> </s> around a text, or GPT-2, which does not), with tokenizer_config.json, special_tokens_map.json and
    added_tokens.json where they are.

    Raises:
        UserError: there is no tokenizer in the directory, or its files do not fit together.
    """
    directory = Path(directory)
    if (directory / "tokenizer.json").exists():
        tokenizer = _checked(directory, lambda: Tokenizer.from_file(str(directory / "tokenizer.json")))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer
    if (directory / "vocab.txt").exists():
        return _checked(directory, lambda: _wordpiece(directory))
    if (directory / "vocab.json").exists() and (directory / "merges.txt").exists():
        return _checked(directory, lambda: _byte_level(directory))
    raise UserError(f"{directory}: no tokenizer here: neither tokenizer.json, vocab.txt nor vocab.json with merges.txt")


def _checked(directory: Path, build: Callable[[], Tokenizer]) -> Tokenizer:
    """Return what `build` returns; raise UserError with the directory's name if it fails."""
    try:
        return build()
    except UserError:
        raise
    except Exception as error:  # the Rust library raises bare Exception
        raise UserError(f"{directory}: the tokenizer's files cannot be used: {error}") from None


# ---------------------------------------------------------------------------------------------------- settings
def _json(path: Path) -> dict:
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from None


def _settings(directory: Path, defaults: dict) -> tuple[dict, dict[str, dict]]:
    """Return tokenizer_config.json, and the special tokens by role in PaddleNLP's order, each {"content": ..., "lstrip": ...}.

    A token that special_tokens_map.json gives as plain text strips the spaces around it; elsewhere plain text does not.
    """
    config = _json(directory / "tokenizer_config.json")
    mapped = _json(directory / "special_tokens_map.json")
    additional = mapped.pop("additional_special_tokens", None) or config.get("additional_special_tokens") or []
    roles = {role: _token(config.get(role) or token) for role, token in defaults.items()}
    roles |= {role: _token(token, strip=True) for role, token in mapped.items() if token and role in ROLES}
    roles = {role: roles[role] for role in sorted(roles, key=ROLES.index)}
    return config, roles | {f"additional {i}": _token(token, strip=True) for i, token in enumerate(additional)}


def _token(token: dict | str, strip: bool = False) -> dict:
    return token if isinstance(token, dict) else {"content": token, "lstrip": strip, "rstrip": strip}


def _added_ids(directory: Path, config: dict, roles: dict, vocab: dict[str, int]) -> dict[str, int]:
    """Return token -> id of the tokens beside the vocabulary. PaddleNLP may leave gaps between their ids."""
    ids = {token: int(number) for token, number in _json(directory / "added_tokens.json").items()}
    ids |= {_token(token)["content"]: int(number) for number, token in config.get("added_tokens_decoder", {}).items()}
    for token in roles.values():
        if token["content"] not in vocab and token["content"] not in ids:
            ids[token["content"]] = len(vocab) + len(ids)  # as PaddleNLP counts
    return ids


def _filled(vocab: dict[str, int]) -> dict[str, int]:
    """Return the vocabulary with its gaps, which the Rust library refuses, filled by entries that no text contains."""
    used = set(vocab.values())
    return vocab | {f"\ue000{number}": number for number in range(max(used)) if number not in used}


def _add_tokens(tokenizer: Tokenizer, roles: dict, added: dict[str, int], lower: bool) -> None:
    """Let the tokenizer find special and added tokens in a text before anything else. All have their ids already.

    Added tokens that are not special strip the spaces around them; with `lower`, capitals match a lower-case one.
    """
    specials = {}
    for token in roles.values():
        flags = {name: bool(token.get(name, False)) for name in ("lstrip", "rstrip", "single_word")}
        specials.setdefault(token["content"], AddedToken(token["content"], normalized=False, special=True, **flags))
    tokenizer.add_special_tokens(list(specials.values()))
    for token in added:
        if token not in specials:
            normalized = lower and token == token.lower()
            tokenizer.add_tokens([AddedToken(token, lstrip=True, rstrip=True, normalized=normalized)])


# ---------------------------------------------------------------------------------------------------- BERT
@remember
def _character_class(name: str) -> str:
    """Return a regular expression's character class, from Python's own Unicode tables, which PaddleNLP's tokenizers use."""
    tests = {
        "control": lambda code, category: (category[0] == "C" and chr(code) not in "\t\n\r") or code == 0xFFFD,
        "space": lambda code, category: category in ("Zs", "Zl", "Zp") or chr(code) in "\t\n\r",
        "mark": lambda code, category: category == "Mn",
        "split": lambda code, category: category[0] in "PS" or code in MORE_SYMBOLS,
    }
    test, ranges = tests[name], []
    for code in range(sys.maxunicode + 1):
        if 0xD800 <= code <= 0xDFFF or not test(code, unicodedata.category(chr(code))):
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return _regex(ranges)


def _regex(ranges) -> str:
    return "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in ranges)


def _wordpiece(directory: Path) -> Tokenizer:
    config, roles = _settings(directory, WORDPIECE_SPECIALS)
    if config.get("do_basic_tokenize") is False or config.get("never_split"):
        raise UserError(f"{directory}: tokenizers with do_basic_tokenize=false or never_split are not supported")
    lower = config.get("do_lower_case", True)
    strip = config.get("strip_accents")
    lines = (directory / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    vocab = {token: number for number, token in enumerate(lines)}
    special = {role: token["content"] for role, token in roles.items()}
    added = _added_ids(directory, config, roles, vocab)
    tokenizer = Tokenizer(
        models.WordPiece(
            _filled(vocab | added), unk_token=special["unk_token"], max_input_chars_per_word=100, continuing_subword_prefix="##"
        )
    )
    steps = [normalizers.Replace(Regex(f"[{_character_class('control')}]"), "")]
    if lower:
        steps.append(normalizers.Lowercase())
    if strip or (lower and strip is None):
        steps += [normalizers.NFD(), normalizers.Replace(Regex(f"[{_character_class('mark')}]"), "")]
    tokenizer.normalizer = normalizers.Sequence(steps)
    cjk = _regex(BERT_CJK) if config.get("tokenize_chinese_chars", True) else ""
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"[{_character_class('space')}]+"), "removed"),
            pre_tokenizers.Split(Regex(f"[{_character_class('split')}{cjk}]"), "isolated"),
        ]
    )
    _add_tokens(tokenizer, roles, added, lower=lower)
    tokenizer.post_processor = _around(tokenizer, special["cls_token"], special["sep_token"], between=1)
    tokenizer.decoder = decoders.WordPiece("##", cleanup=True)
    return tokenizer


# ---------------------------------------------------------------------------------------------------- BART, RoBERTa, GPT-2
def _byte_level(directory: Path) -> Tokenizer:
    vocab = _json(directory / "vocab.json")
    name = _json(directory / "tokenizer_config.json").get("tokenizer_class")
    gpt = "GPT" in name if name else not {"<s>", "</s>"} <= set(vocab)
    config, roles = _settings(directory, GPT_SPECIALS if gpt else BART_SPECIALS)
    if gpt and config.get("add_prefix_space"):
        raise UserError(f"{directory}: GPT tokenizers with add_prefix_space=true are not supported")
    special = {role: token["content"] for role, token in roles.items()}
    # the first line is the version, the last one empty
    merges = (directory / "merges.txt").read_text(encoding="utf-8").split("\n")[1:-1]
    added = _added_ids(directory, config, roles, vocab)
    pairs = [tuple(merge.split()) for merge in merges]
    tokenizer = Tokenizer(models.BPE(_filled(vocab | added), pairs, unk_token=special["unk_token"]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    _add_tokens(tokenizer, roles, added, lower=False)
    if not gpt:
        tokenizer.post_processor = _around(tokenizer, special["cls_token"], special["sep_token"], between=2)
    elif config.get("add_bos_token"):
        bos = special["bos_token"]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    return tokenizer


def _around(tokenizer: Tokenizer, first: str, last: str, between: int):
    """Return the post-processor that puts `first` and `last` around a text A, and `first` A `last`... B `last` for a pair.

    Args:
        between: how often `last` stands between A and B.
    """
    middle = " ".join([f"{last}:{0 if between == 2 else number}" for number in range(between)])
    segment = 1 if between == 1 else 0
    return processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {middle} $B:{segment} {last}:{segment}",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in dict.fromkeys((first, last))],
    )
