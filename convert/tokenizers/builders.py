"""Build a tokenizer.json from vocabulary files as transformers' converters do (transformers/convert_slow_tokenizer.py)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from convert.errors import ConvertError
from convert.files import read_json
from convert.formats import sentencepiece
from convert.tokenizers.files import SENTENCEPIECE

# The special tokens of transformers' tokenizer classes, by the kind of tokenizer.
DEFAULT_SPECIAL_TOKENS = {
    "wordpiece": {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"},
    "byte_bpe": {"unk_token": "<|endoftext|>", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
    "byte_bpe_with_ends": {
        "bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>",
        "pad_token": "<pad>", "mask_token": "<mask>",
    },
    "t5_unigram": {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
    "albert_unigram": {
        "bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "<unk>", "sep_token": "[SEP]", "pad_token": "<pad>",
        "cls_token": "[CLS]", "mask_token": "[MASK]",
    },
}  # fmt: skip


class Unsuitable(Exception):
    """The vocabulary files are not of the kind that the family's tokenizer needs."""


def token_text(token: object) -> str | None:
    """Return a special token as text. Files write it either as plain text or as an object with properties."""
    return token.get("content") if isinstance(token, dict) else token


def wordpiece_settings(config: dict) -> dict:
    """Return the settings of BERT's normalizer from a tokenizer_config.json."""
    return {
        "lowercase": config.get("do_lower_case", True),
        "strip_accents": config.get("strip_accents"),
        "handle_chinese_chars": config.get("tokenize_chinese_chars", True),
    }


def _wordpiece(source: Path, config: dict, special: dict[str, str]):
    """Build BERT's tokenizer from vocab.txt."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    try:
        words = (source / "vocab.txt").read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ConvertError(f"{source / 'vocab.txt'}: not UTF-8 text ({error})") from None
    words = words[:-1] if words and not words[-1] else words
    vocabulary = {word.rstrip("\r"): number for number, word in enumerate(words)}
    missing = [special[key] for key in ("unk_token", "cls_token", "sep_token") if special.get(key) not in vocabulary]
    if missing:
        raise Unsuitable(f"vocab.txt lacks {', '.join(map(str, missing))}, so it is not a WordPiece vocabulary")
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=special["unk_token"], max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(clean_text=True, **wordpiece_settings(config))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    first, last = special["cls_token"], special["sep_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first}:0 $A:0 {last}:0",
        pair=f"{first}:0 $A:0 {last}:0 $B:1 {last}:1",
        special_tokens=[(first, vocabulary[first]), (last, vocabulary[last])],
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def _byte_bpe(source: Path, config: dict, special: dict[str, str]):
    """Build GPT-2's tokenizer from vocab.json and merges.txt."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    read_json(source / "vocab.json")
    try:
        model = models.BPE.from_file(str(source / "vocab.json"), str(source / "merges.txt"), fuse_unk=False)
    except Exception as error:  # the library raises bare Exception
        raise ConvertError(f"{source}: vocab.json and merges.txt do not make a BPE vocabulary ({error})") from None
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=bool(config.get("add_prefix_space", False)))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def _byte_bpe_with_ends(source: Path, config: dict, special: dict[str, str]):
    """Build the tokenizer of RoBERTa and BART: GPT-2's, with a special token at each end of the text."""
    from tokenizers import processors

    tokenizer = _byte_bpe(source, config, special)
    ends = {name: (special[key], tokenizer.token_to_id(special[key])) for name, key in (("cls", "cls_token"), ("sep", "sep_token"))}
    missing = [token for token, number in ends.values() if number is None]
    if missing:
        raise Unsuitable(f"vocab.json lacks {', '.join(missing)}")
    prefix_space = bool(config.get("add_prefix_space", False))
    tokenizer.post_processor = processors.RobertaProcessing(**ends, trim_offsets=True, add_prefix_space=prefix_space)
    return tokenizer


def _unigram(source: Path, scores: list[tuple[str, float]], model: sentencepiece.Model, normalizers: list, scheme: str):
    """Build a tokenizer from a sentencepiece unigram model.

    Args:
        source: The checkpoint, for messages.
        scores: (piece, score) in the order of their ids.
        model: The sentencepiece model.
        normalizers: Normalization steps, in order.
        scheme: When a space is put in front of the text: "always" or "first".
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from tokenizers.normalizers import Sequence

    if model.kind != "unigram":
        raise Unsuitable(f"{source / SENTENCEPIECE} is a {model.kind} model, where this architecture has unigram ones")
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=model.unknown, byte_fallback=False))
    for piece in model.pieces:
        if piece.kind in ("control", "user-defined"):
            tokenizer.add_tokens([AddedToken(piece.text, normalized=False, special=piece.kind == "control")])
    tokenizer.normalizer = Sequence(normalizers)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme=scheme)
    tokenizer.decoder = decoders.Metaspace(replacement="\u2581", prepend_scheme=scheme)
    return tokenizer


def _t5_unigram(source: Path, config: dict, special: dict[str, str]):
    """Build the tokenizer of T5, with its `<extra_id_...>` tokens."""
    from tokenizers import AddedToken, Regex, normalizers, processors

    model = sentencepiece.read(source / SENTENCEPIECE)
    extra = int(config.get("extra_ids", 100))
    scores = [(piece.text, piece.score) for piece in model.pieces]
    scores += [(f"<extra_id_{number}>", 0.0) for number in reversed(range(extra))]
    steps = [normalizers.Precompiled(model.charsmap)] if model.charsmap else []
    steps += [normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "\u2581")]
    tokenizer = _unigram(source, scores, model, steps, "always" if config.get("legacy", True) else "first")
    end = (special["eos_token"], tokenizer.token_to_id(special["eos_token"]))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=["$A", end[0]], pair=["$A", end[0], "$B", end[0]], special_tokens=[end]
    )
    tokenizer.add_special_tokens([AddedToken(f"<extra_id_{number}>", normalized=False) for number in range(extra)])
    return tokenizer


def _albert_unigram(source: Path, config: dict, special: dict[str, str]):
    """Build the tokenizer of ALBERT."""
    from tokenizers import Regex, normalizers, processors

    model = sentencepiece.read(source / SENTENCEPIECE)
    # transformers splits the comma off pieces such as "9,", so a low score prevents their use
    scores = [(p.text, p.score - 100 if len(p.text) > 1 and p.text[-1] == "," and p.text[-2].isdigit() else p.score)
              for p in model.pieces]  # fmt: skip
    steps = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if not config.get("keep_accents", False):
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if config.get("do_lower_case", True):
        steps.append(normalizers.Lowercase())
    if model.charsmap:
        steps.append(normalizers.Precompiled(model.charsmap))
    steps.append(normalizers.Replace(Regex(" {2,}"), " "))
    tokenizer = _unigram(source, scores, model, steps, "always")
    first, last = ((special[key], tokenizer.token_to_id(special[key])) for key in ("cls_token", "sep_token"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first[0]}:0 $A:0 {last[0]}:0",
        pair=f"{first[0]}:0 $A:0 {last[0]}:0 $B:1 {last[0]}:1",
        special_tokens=[first, last],
    )
    return tokenizer


# Kind of tokenizer -> function(directory, tokenizer_config.json, special tokens by role) that builds it.
BUILDERS: dict[str, Callable] = {
    "wordpiece": _wordpiece,
    "byte_bpe": _byte_bpe,
    "byte_bpe_with_ends": _byte_bpe_with_ends,
    "t5_unigram": _t5_unigram,
    "albert_unigram": _albert_unigram,
}
