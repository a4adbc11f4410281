"""Test that each character class matches the characters that its callers need, and no similar ones."""

import re

import pytest

from paddle_ft.data import text
from paddle_ft.data.text import CharacterWordTokenizer, regex_class

HEXAGRAM, EXTENSION_G, KANA, HANGUL, COMMA, WIDE_A = "\u4dc0", "\U00030000", "カ", "한", "，", "Ａ"
CLASSES = {
    "CJK_CHARACTERS": ("中々〇" + KANA + HANGUL + EXTENSION_G, "a" + COMMA + WIDE_A + HEXAGRAM + "・"),
    "HAN_BASIC": ("中" + HEXAGRAM, KANA + HANGUL + EXTENSION_G + COMMA),
    "HAN": ("中" + HEXAGRAM + EXTENSION_G, KANA + HANGUL + COMMA),
    "HAN_COMMON": ("中", "\u3400" + HEXAGRAM + EXTENSION_G + KANA),
    "BERT_CJK": ("中\u3400\U0002f800", HEXAGRAM + EXTENSION_G + "\U0002ceb0" + KANA + HANGUL),
    "SPACELESS": ("中" + KANA + COMMA + WIDE_A + "\u2e80", "a" + HEXAGRAM + HANGUL + EXTENSION_G),
    "WIDE_PUNCTUATION": ("，。（：", "中" + WIDE_A + "々," + "０"),
}


@pytest.mark.parametrize("name", CLASSES)
def test_what_is_in_a_class(name):
    inside, outside = CLASSES[name]
    pattern = re.compile(f"[{regex_class(getattr(text, name))}]")
    assert [character for character in inside if not pattern.fullmatch(character)] == []
    assert [character for character in outside if pattern.fullmatch(character)] == []


def test_the_tokenizer_counts_characters_and_words():
    assert CharacterWordTokenizer().tokenize("iPhone６售价5,288元，约3.5%") == [
        "iphone6", "售", "价", "5,288", "元", "约", "3.5%",
    ]  # fmt: skip
