"""How a text is cut into the units that ROUGE, BLEU and the lead baseline count."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

TOKENIZER_NAME = "chinese-characters+words"

# Han (with 々, 〇, extensions and compatibility blocks), kana without the middle dot, bopomofo, Hangul syllables.
CJK = (
    "\u3005\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U000323af"
)
_CHARACTER = re.compile(f"[{CJK}]")
# Between spaces, full-width punctuation and Chinese characters: a word with what surrounds it; and the word in there. Signs that
# stand for hidden letters (f***, @#$!) are letters, and an apostrophe belongs to its word (runnin', '99).
_CHUNK = re.compile(f"[{CJK}]|[^\\s{CJK}\u3001-\u3003\u3008-\u3011\uff01-\uff0f\uff1a-\uff20]+")
_WORD = re.compile(r"['’]?(?:[^\W_]|[*#$@])(?:.*(?:[^\W_]|[*#$@]))?['’]?")
_TOKEN = re.compile(
    f"[{CJK}]"  # one character
    r"|\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?%?"  # 1,234,567.5
    r"|\d+(?:\.\d+)+%?"  # 3.5, 3.5%, and dates or versions written with dots
    r"|\d+%"  # 40%
    f"|[^\\W_{CJK}]+"  # words, whole numbers, mixtures such as iphone6
)


class CharacterWordTokenizer:
    """Chinese, Japanese and Korean by character, everything else by word; meant for `RougeScorer(tokenizer=...)`.

    The text is normalised first (Unicode NFKC: full-width digits, letters become ASCII) and lower-cased. Numbers with
    a decimal point, thousands commas or a percent sign are one token. Punctuation and symbols are dropped. On plain
    English words the tokens are those of rouge_score's own tokenizer without stemming: figures stay comparable.
    """

    def tokenize(self, text: str) -> list[str]:
        return _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())


def word_spans(line: str) -> list[tuple[int, int]]:
    """(start, end) of each word of a line: what stands between spaces, punctuation around it apart (n***a, 24/7, A$AP, don't are
    one word each); of Chinese, Japanese and Korean each character."""
    spans = []
    for chunk in _CHUNK.finditer(line):
        if word := _WORD.search(chunk[0]):
            spans.append((chunk.start() + word.start(), chunk.start() + word.end()))
    return spans


def detect_language(texts: Sequence[str]) -> str:
    """ "zh" where at least half of the tokens are CJK characters, else "en" (words with spaces between them)."""
    tokenize = CharacterWordTokenizer().tokenize
    characters = words = 0
    for text in texts[:1000]:
        for token in tokenize(text):
            if _CHARACTER.match(token):
                characters += 1
            else:
                words += 1
    return "zh" if characters and characters >= words else "en"


def resolve_language(language: str, texts: Sequence[str]) -> str:
    """`language` itself, or the language of `texts` for "auto". Raises ValueError for anything but zh, en and auto."""
    if language == "auto":
        return detect_language(texts)
    if language not in ("zh", "en"):
        raise ValueError(f"language is {language!r}: expected zh, en or auto")
    return language


def check_pairs(predictions: Sequence[str], references: Sequence[str]) -> None:
    """Raises ValueError where predictions and references do not pair up, or there are none."""
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions but {len(references)} references: they must pair up")
    if not len(references):
        raise ValueError("nothing to score: there are no predictions")
