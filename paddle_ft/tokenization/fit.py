"""Say where a loaded tokenizer does not fit its vocabulary or the texts, which costs scores and raises no error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from paddle_ft.system.formatting import join_some
from paddle_ft.tokenization.encode import Encoded
from paddle_ft.tokenization.load import CONFIG, read_json

WORD_MODELS = ("WordPiece", "WordLevel")  # models whose tokens are pieces of text, not of bytes
FEW = 0.01  # share of a lower-case vocabulary that may have capitals (symbols such as ℝ), and of tokens that may be unknown
SAMPLE = 1000  # rows that are looked at for unknown tokens
READ_ROLES = ("bos_token", "eos_token", "sep_token", "cls_token", "mask_token")  # whose embeddings a model reads; padding is masked


def describe_case(tokenizer: Tokenizer) -> list[str]:
    """Return what is said about a tokenizer that lower-cases texts for a vocabulary with capitals, or does not for one without."""
    if type(tokenizer.model).__name__ not in WORD_MODELS:
        return []
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    words = [token for token in tokenizer.get_vocab() if token not in special and token[:1] + token[-1:] not in ("[]", "<>")]
    few, capitals = FEW * len(words), sum(any(character.isupper() for character in word) for word in words)
    lowers = tokenizer.normalizer is not None and tokenizer.normalizer.normalize_str("A") == "a"
    if lowers and capitals > few:
        return [
            f"the tokenizer lower-cases all texts, although {capitals:,} of the {len(words):,} tokens of its vocabulary have"
            " capitals; if that is wrong, set do_lower_case to false in its tokenizer_config.json"
        ]
    if not lowers and capitals <= few < sum(word.isascii() and word.isalpha() for word in words):
        return [
            "the tokenizer keeps capitals, although its vocabulary has none, so words with capitals become unknown tokens; if that"
            " is wrong, set do_lower_case to true in its tokenizer_config.json"
        ]
    return []


def describe_absent(directory: Path, tokenizer) -> list[str]:
    """Return what is said about special tokens that are in no file of a checkpoint, so that no row of its embedding is theirs.

    PaddleNLP gives them the numbers after the vocabulary. The embedding may have such rows, if it was padded.

    Args:
        directory: the tokenizer's files.
        tokenizer: PaddleNLP's tokenizer of this directory.
    """
    decoder = read_json(directory / CONFIG).get("added_tokens_decoder")
    properties = decoder.values() if isinstance(decoder, dict) else ()
    in_one_file = read_json(directory / "tokenizer.json").get("added_tokens")  # transformers 5 writes no other file with them
    properties = [*properties, *(in_one_file if isinstance(in_one_file, list) else ())]
    declared = {*read_json(directory / "added_tokens.json"), *(str(t.get("content")) for t in properties if isinstance(t, dict))}
    tokens = dict.fromkeys(tokenizer.special_tokens_map.get(role) for role in READ_ROLES)
    absent = [token for token in tokens if token in tokenizer.added_tokens_encoder and token not in declared]
    if not absent:
        return []
    rows = join_some([str(tokenizer.added_tokens_encoder[token]) for token in absent])
    return [
        f"the tokenizer's vocabulary has no {join_some(absent)}: the model reads row {rows} of its embedding instead, which was"
        " probably never trained; if the vocabulary is of another model, set model.tokenizer to the right one"
    ]


def describe_unknown(columns: Mapping[str, Any], rows: int, tokenizer) -> list[str]:
    """Return what is said about training texts many of whose tokens are unknown to the tokenizer.

    Args:
        columns: features by name, as in tasks.base.Dataset. Encoded texts and the column "ids" are looked at.
        rows: number of rows.
        tokenizer: PaddleNLP's tokenizer.
    """
    texts = [column for name, column in columns.items() if name == "ids" or isinstance(column, Encoded)]
    if tokenizer.unk_token_id is None or not texts or not rows:
        return []
    tokens = np.concatenate([np.asarray(column[row]) for column in texts for row in range(min(rows, SAMPLE))])
    share = float((tokens == tokenizer.unk_token_id).mean()) if len(tokens) else 0.0
    if share < FEW:
        return []
    where = f"of the first {SAMPLE:,} training rows" if rows > SAMPLE else "of the training rows"
    return [
        f"{share:.1%} of the tokens {where} are unknown to the tokenizer and read as {tokenizer.unk_token}: its vocabulary may be"
        " for other texts"
    ]
