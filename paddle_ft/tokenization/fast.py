"""Build Rust tokenizers from the files of a PaddleNLP tokenizer.

They give the same ids as PaddleNLP's own (slow) tokenizers. This includes the details in which PaddleNLP differs from other
libraries: it splits off symbols as well as punctuation, drops unassigned characters, strips spaces around added tokens, and
turns text that spells a special token ("[SEP]" in a review) into that token. One difference is intended: after saving and
loading, PaddleNLP no longer recognises added tokens that are not special; the tokenizers built here still do.
"""

from __future__ import annotations

import itertools
import sys
import unicodedata
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from paddle_ft.data.text import BERT_CJK
from paddle_ft.system.errors import UserError
from paddle_ft.tokenization.load import read_json

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
# characters outside the Unicode category S that PaddleNLP treats as symbols
EXTRA_SYMBOLS = {0x00AD, 0x00B2, 0x00BA, 0x3007, 0x00B5, 0x00D8, 0x014B, 0x01B1}


def fast_tokenizer(directory: str | Path) -> Tokenizer:
    """Return the Rust tokenizer of a directory, without truncation or padding.

    It is read from tokenizer.json if that file exists. Otherwise it is built from vocab.txt (BERT) or from vocab.json and
    merges.txt (byte-level BPE: BART and RoBERTa put <s> </s> around a text, GPT-2 does not). tokenizer_config.json,
    special_tokens_map.json and added_tokens.json are used if they exist.

    Raises:
        UserError: the directory has no tokenizer, or its files do not fit together.
    """
    directory = Path(directory)
    if (directory / "tokenizer.json").exists():
        tokenizer = _build(directory, lambda: Tokenizer.from_file(str(directory / "tokenizer.json")))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer
    if (directory / "vocab.txt").exists():
        return _build(directory, lambda: _build_wordpiece(directory))
    if (directory / "vocab.json").exists() and (directory / "merges.txt").exists():
        return _build(directory, lambda: _build_byte_level(directory))
    raise UserError(f"{directory}: no tokenizer here: neither tokenizer.json, vocab.txt nor vocab.json with merges.txt")


def _build(directory: Path, builder: Callable[[], Tokenizer]) -> Tokenizer:
    """Call the builder. Raise UserError with the directory's name if it fails."""
    try:
        return builder()
    except (UserError, MemoryError):
        raise
    except Exception as error:  # the Rust library raises bare Exception
        raise UserError(f"{directory}: the tokenizer's files cannot be used: {error}") from None


# ---------------------------------------------------------------------------------------------------- settings
def _read_settings(directory: Path, defaults: dict) -> tuple[dict, dict[str, dict]]:
    """Read tokenizer_config.json and the special tokens.

    Returns:
        The configuration, and role -> token properties ({"content": ..., "lstrip": ..., "rstrip": ...}) in PaddleNLP's order. A
        token written as plain text in special_tokens_map.json strips the spaces around it; a plain text elsewhere does not.
    """
    config = read_json(directory / "tokenizer_config.json")
    special_map = read_json(directory / "special_tokens_map.json")
    additional = special_map.pop("additional_special_tokens", None) or config.get("additional_special_tokens") or []
    roles = {role: _token_properties(config.get(role) or token) for role, token in defaults.items()}
    roles |= {role: _token_properties(token, strip=True) for role, token in special_map.items() if token and role in ROLES}
    roles = {role: roles[role] for role in sorted(roles, key=ROLES.index)}
    return config, roles | {f"additional {i}": _token_properties(token, strip=True) for i, token in enumerate(additional)}


def _token_properties(token: dict | str, strip: bool = False) -> dict:
    return token if isinstance(token, dict) else {"content": token, "lstrip": strip, "rstrip": strip}


def _added_ids(directory: Path, config: dict, roles: dict, vocab: dict[str, int]) -> dict[str, int]:
    """Return token -> id of the tokens outside the vocabulary file. PaddleNLP may leave gaps between their ids."""
    ids = {token: int(number) for token, number in read_json(directory / "added_tokens.json").items()}
    ids |= {_token_properties(token)["content"]: int(number) for number, token in config.get("added_tokens_decoder", {}).items()}
    for token in roles.values():
        if token["content"] not in vocab and token["content"] not in ids:
            ids[token["content"]] = len(vocab) + len(ids)  # as PaddleNLP counts
    return ids


def _fill_gaps(vocab: dict[str, int]) -> dict[str, int]:
    """Give every unused id an entry that no text contains, because the Rust library refuses a vocabulary with gaps."""
    used = set(vocab.values())
    return vocab | {f"\ue000{number}": number for number in range(max(used)) if number not in used}


def _add_tokens(tokenizer: Tokenizer, roles: dict, added: dict[str, int], lower: bool) -> None:
    """Make the tokenizer recognise special and added tokens before it splits a text. All of them have ids already.

    Added tokens that are not special strip the spaces around them. With `lower`, a lower-case token also matches capitals.
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
@cache
def _character_class(name: str) -> str:
    """Return a character class for a regular expression, from Python's Unicode tables, which PaddleNLP's tokenizers use."""
    tests = {
        "control": lambda code, category: (category[0] == "C" and chr(code) not in "\t\n\r") or code == 0xFFFD,
        "space": lambda code, category: category in ("Zs", "Zl", "Zp") or chr(code) in "\t\n\r",
        "mark": lambda code, category: category == "Mn",
        "split": lambda code, category: category[0] in "PS" or code in EXTRA_SYMBOLS,
    }
    test, ranges = tests[name], []
    for first, last, category in _category_ranges():
        if not test(first, category):
            continue
        if ranges and ranges[-1][1] == first - 1:
            ranges[-1][1] = last
        else:
            ranges.append([first, last])
    return _escaped_ranges(ranges)


@cache
def _category_ranges() -> list[tuple[int, int, str]]:
    """Return (first, last, category) of ranges of code points that are treated alike. Surrogates are left out."""
    singles = {ord("\t"), ord("\n"), ord("\r"), 0xFFFD, *EXTRA_SYMBOLS}
    codes = range(sys.maxunicode + 1)
    categories = list(map(unicodedata.category, map(chr, codes)))
    ranges = []
    for (category, _), group in itertools.groupby(codes, lambda code: (categories[code], code if code in singles else None)):
        first, *others = group
        if category != "Cs":
            ranges.append((first, others[-1] if others else first, category))
    return ranges


def _escaped_ranges(ranges) -> str:
    """Return (first, last) code points as ranges for the Rust library's regular expressions."""
    return "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in ranges)


def _build_wordpiece(directory: Path) -> Tokenizer:
    config, roles = _read_settings(directory, WORDPIECE_SPECIALS)
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
            _fill_gaps(vocab | added), unk_token=special["unk_token"], max_input_chars_per_word=100, continuing_subword_prefix="##"
        )
    )
    steps = [normalizers.Replace(Regex(f"[{_character_class('control')}]"), "")]
    if lower:
        steps.append(normalizers.Lowercase())
    if strip or (lower and strip is None):
        steps += [normalizers.NFD(), normalizers.Replace(Regex(f"[{_character_class('mark')}]"), "")]
    tokenizer.normalizer = normalizers.Sequence(steps)
    cjk = _escaped_ranges(BERT_CJK) if config.get("tokenize_chinese_chars", True) else ""
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"[{_character_class('space')}]+"), "removed"),
            pre_tokenizers.Split(Regex(f"[{_character_class('split')}{cjk}]"), "isolated"),
        ]
    )
    _add_tokens(tokenizer, roles, added, lower=lower)
    tokenizer.post_processor = _special_token_template(tokenizer, special["cls_token"], special["sep_token"], separators=1)
    tokenizer.decoder = decoders.WordPiece("##", cleanup=True)
    return tokenizer


# ---------------------------------------------------------------------------------------------------- BART, RoBERTa, GPT-2
def _build_byte_level(directory: Path) -> Tokenizer:
    vocab = read_json(directory / "vocab.json")
    name = read_json(directory / "tokenizer_config.json").get("tokenizer_class")
    gpt = "GPT" in name if name else not {"<s>", "</s>"} <= set(vocab)
    config, roles = _read_settings(directory, GPT_SPECIALS if gpt else BART_SPECIALS)
    if gpt and config.get("add_prefix_space"):
        raise UserError(f"{directory}: GPT tokenizers with add_prefix_space=true are not supported")
    special = {role: token["content"] for role, token in roles.items()}
    # the first line is the version, the last one is empty
    merges = (directory / "merges.txt").read_text(encoding="utf-8").split("\n")[1:-1]
    added = _added_ids(directory, config, roles, vocab)
    pairs = [tuple(merge.split()) for merge in merges]
    tokenizer = Tokenizer(models.BPE(_fill_gaps(vocab | added), pairs, unk_token=special["unk_token"]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    _add_tokens(tokenizer, roles, added, lower=False)
    if not gpt:
        tokenizer.post_processor = _special_token_template(tokenizer, special["cls_token"], special["sep_token"], separators=2)
    elif config.get("add_bos_token"):
        bos = special["bos_token"]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    return tokenizer


def _special_token_template(tokenizer: Tokenizer, first: str, last: str, separators: int):
    """Return the post-processor that adds special tokens: `first A last` to a text, `first A last ... B last` to a pair.

    Args:
        tokenizer: gives the ids of the tokens.
        first, last: the special tokens.
        separators: how many times `last` is put between A and B.
    """
    middle = " ".join([f"{last}:{0 if separators == 2 else number}" for number in range(separators)])
    segment = 1 if separators == 1 else 0
    return processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {middle} $B:{segment} {last}:{segment}",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in dict.fromkeys((first, last))],
    )
