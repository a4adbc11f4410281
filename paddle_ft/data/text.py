"""Character classes of Chinese, Japanese and Korean text, and the tokenizer that counts their characters.

Every class that the toolkit uses is defined here. They differ on purpose: each has its own task, and a wider or
narrower class would change vocabularies, masks, scores or generated texts of existing runs. A class is a tuple of
(first, last) code points, both inclusive; `regex_class` turns it into the inside of [...] in a regular expression.
"""

from __future__ import annotations

import re
import unicodedata

CharacterClass = tuple[tuple[int, int], ...]

# Characters that ROUGE, BLEU, distinct-n and language detection count one by one, as other languages count words: Han with 々
# and 〇, all extensions and the compatibility block, kana without the middle dot, bopomofo and Hangul syllables.
CJK_CHARACTERS: CharacterClass = (
    (0x3005, 0x3005), (0x3007, 0x3007),
    (0x3041, 0x3096), (0x309D, 0x309F), (0x30A1, 0x30FA), (0x30FC, 0x30FF),  # kana
    (0x3105, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF),  # bopomofo, more kana
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0x20000, 0x323AF),
)  # fmt: skip

# Han characters of the basic plane. A vocabulary built from texts holds them without a ## form, and whole-word masking joins
# them with jieba. The range also spans the hexagrams between U+4DC0 and U+4DFF, which a narrower one would treat differently.
HAN_BASIC: CharacterClass = ((0x3400, 0x9FFF), (0xF900, 0xFAFF))

# Han characters of all planes, whose rhyme is the final of their pinyin.
HAN: CharacterClass = (*HAN_BASIC, (0x20000, 0x323AF))

# The characters that nearly all modern Chinese texts consist of. Bytes that decode to one of them are taken for GBK. Rare
# characters stay out: random bytes decode to them too.
HAN_COMMON: CharacterClass = ((0x4E00, 0x9FFF),)

# What PaddleNLP's BERT tokenizer puts spaces around (BasicTokenizer._is_chinese_char). Our fast tokenizer must give
# the same ids, so the extensions between U+2CEB0 and U+2F7FF are missing here too.
BERT_CJK: CharacterClass = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip

# Characters next to which a decoded text has no spaces: Han, kana, radicals, and full-width letters and punctuation.
SPACELESS: CharacterClass = (
    (0x2E80, 0x303F), (0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF00, 0xFFEF),
)  # fmt: skip

# Full-width punctuation, which ends a word as a space does.
WIDE_PUNCTUATION: CharacterClass = ((0x3001, 0x3003), (0x3008, 0x3011), (0xFF01, 0xFF0F), (0xFF1A, 0xFF20))


def regex_class(characters: CharacterClass) -> str:
    """Return the class as it stands between the brackets of a regular expression, as in f"[{regex_class(HAN)}]"."""
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
    """Split Chinese, Japanese and Korean into characters and everything else into words.

    Meant for `RougeScorer(tokenizer=...)`. The text is normalised first (Unicode NFKC, which turns full-width digits and letters
    into ASCII) and lower-cased. Numbers with a decimal point, thousands commas or a percent sign are one token. Punctuation and
    symbols are dropped. Plain English words give the same tokens as rouge_score's own tokenizer without stemming, so scores stay
    comparable.
    """

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        return _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())
