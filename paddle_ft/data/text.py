"""Character classes of Chinese, Japanese and Korean text, and the tokenizer for scores.

All classes of the toolkit are defined here. They differ on purpose: each has its own use, and a wider or narrower class would
change the vocabularies, masks, scores or generated texts of existing runs. A class is a tuple of (first, last) code points, both
inclusive. `regex_class` turns it into the inside of [...] in a regular expression.
"""

from __future__ import annotations

import re
import unicodedata

CharacterClass = tuple[tuple[int, int], ...]

# Characters that ROUGE, BLEU, distinct-n and language detection treat as words: Han with 々 and 〇, all extensions and the
# compatibility block, kana without the middle dot, bopomofo and Hangul syllables.
CJK_CHARACTERS: CharacterClass = (
    (0x3005, 0x3005), (0x3007, 0x3007),
    (0x3041, 0x3096), (0x309D, 0x309F), (0x30A1, 0x30FA), (0x30FC, 0x30FF),  # kana
    (0x3105, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF),  # bopomofo, more kana
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0x20000, 0x323AF),
)  # fmt: skip

# Han characters of the basic plane. A vocabulary built from texts has no ## form of them, and whole-word masking groups them into
# words with jieba. The range includes the hexagrams between U+4DC0 and U+4DFF, because existing vocabularies and masks do.
HAN_BASIC: CharacterClass = ((0x3400, 0x9FFF), (0xF900, 0xFAFF))

# Han characters of all planes. They are compared by pinyin when the toolkit looks for rhymes.
HAN: CharacterClass = (*HAN_BASIC, (0x20000, 0x323AF))

# The characters of nearly all modern Chinese texts. If bytes that are not UTF-8 decode to one of them as GBK, the text is probably
# GBK. Rare characters are left out, because random bytes decode to them too.
HAN_COMMON: CharacterClass = ((0x4E00, 0x9FFF),)

# Characters that PaddleNLP's BERT tokenizer puts spaces around (BasicTokenizer._is_chinese_char). The fast tokenizer must return
# the same ids, so the extensions between U+2CEB0 and U+2F7FF are missing here as they are there.
BERT_CJK: CharacterClass = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip

# Characters that have no space before or after them in a decoded text: Han, kana, radicals, full-width letters and punctuation.
SPACELESS: CharacterClass = (
    (0x2E80, 0x303F), (0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF00, 0xFFEF),
)  # fmt: skip

# Full-width punctuation, which separates words as a space does.
WIDE_PUNCTUATION: CharacterClass = ((0x3001, 0x3003), (0x3008, 0x3011), (0xFF01, 0xFF0F), (0xFF1A, 0xFF20))


def regex_class(characters: CharacterClass) -> str:
    """Return a character class as text for the brackets of a regular expression: f"[{regex_class(HAN)}]"."""
    return "".join(chr(first) if first == last else f"{chr(first)}-{chr(last)}" for first, last in characters)


_CJK = regex_class(CJK_CHARACTERS)
_TOKEN = re.compile(
    f"[{_CJK}]"  # one character
    r"|\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?%?"  # 1,234,567.5
    r"|\d+(?:\.\d+)+%?"  # 3.5, 3.5%, and dates or versions written with dots
    r"|\d+%"  # 40%
    f"|[^\\W_{_CJK}]+"  # words, whole numbers, mixtures such as iphone6
)


class CharacterWordTokenizer:
    """Split Chinese, Japanese and Korean text into characters, and everything else into words.

    It can be passed to `RougeScorer(tokenizer=...)`. The text is normalised (Unicode NFKC, which turns full-width digits and
    letters into ASCII) and lower-cased. A number with a decimal point, thousands separators or a percent sign is one token.
    Punctuation and symbols are dropped. English words become the same tokens as with rouge_score's own tokenizer without stemming,
    so the scores are comparable.
    """

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        return _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())
