"""Test which words of a source are masked. Each case fails without the rule that it tests."""

import numpy as np
import pytest

from paddle_ft.tasks.lyrics.noise import mask_words


def masked(lines, share, seed):
    return mask_words(lines, share, "<mask>", np.random.default_rng(seed))


@pytest.mark.parametrize(
    "line", ["I came to the party, dancin' all night", "I came to the party, dancin' all night!?", "night", "我爱夜晚的星空。",
             "we call it rock ’n’ roll...", "I came to the party (dancin' all night) …"],
)  # fmt: skip
def test_the_last_word_is_never_masked(line):
    last = line.rstrip("!?.… )。").split()[-1][-1:] if line.startswith("我") else line.rstrip("!?.… )").split()[-1]
    for seed in range(100):
        assert last in masked([line], 0.9, seed)[0]


def test_an_adlib_at_the_end_does_not_hide_the_last_word():
    assert masked(["I came in the night (yeah)"], 0.99, 0) == ["<mask> <mask> <mask> <mask> night (yeah)"]
    assert masked(["I came (all night)"], 0.99, 0) == ["<mask> came (<mask> night)"]


def test_all_but_the_last_word_can_be_masked():
    text = "I came to the party, dancin' all night!"
    assert masked([text], 0.99, 0) == ["<mask> <mask> <mask> <mask> <mask>, <mask> <mask> night!"]
    assert masked(["我爱星空。"], 0.99, 0) == ["<mask><mask><mask>空。"]
    assert masked(["say y'all don't re-do it"], 0.99, 0) == ["<mask> <mask> <mask> <mask> it"]


@pytest.mark.parametrize(
    "last", ["n***a", "f**k", "f***", "24/7", "A$AP", "AC/DC", "sh!t", "Ke$ha", "a.m", "****", "O'Shea", "twenty-four/seven"]
)
def test_a_last_word_with_symbols_is_one_word(last):
    for end in ("", "!", " (yeah)", '..."'):
        assert masked([f"what a stupid {last}{end}"], 0.99, 0) == [f"<mask> <mask> <mask> {last}{end}"]
        assert masked([f"what a stupid {last}{end}"], 0.9, 1)[0].endswith(f"{last}{end}")


def test_words_with_symbols_are_masked_whole_and_their_punctuation_stays():
    line = "“f**k!” he said, (24/7) it's AC/DC night"
    assert masked([line], 0.99, 0) == ["“<mask>!” <mask> <mask>, (<mask>) <mask> <mask> night"]
    assert masked(["看A$AP，f***你"], 0.99, 0) == ["<mask><mask>，<mask>你"]


def test_a_word_with_symbols_counts_as_one_word():
    counts = [masked(["n***a a/b c-d e$f g*h i j k"], 0.25, seed)[0].count("<mask>") for seed in range(50)]
    assert set(counts) == {2}


def test_every_line_of_a_context_keeps_its_last_word():
    assert masked(["red fish", "blue fish", "fish"], 0.9, 0) == ["<mask> fish", "<mask> fish", "fish"]


@pytest.mark.parametrize("words", [5, 8, 10, 13])
def test_a_quarter_of_all_words_is_masked(words):
    line = [" ".join(f"w{i}" for i in range(words))]
    counts = [masked(line, 0.25, seed)[0].count("<mask>") for seed in range(2000)]
    assert set(counts) <= {int(words / 4), -(-words // 4)}
    assert sum(counts) / 2000 == pytest.approx(words / 4, abs=0.05)


def test_all_words_but_the_last_are_masked_equally_often():
    times_masked = np.zeros(8)
    for seed in range(4000):
        times_masked += [word == "<mask>" for word in masked(["a b c d e f g h"], 0.25, seed)[0].split()]
    assert times_masked[-1] == 0
    np.testing.assert_allclose(times_masked[:-1] / 4000, 2 / 7, atol=0.04)


def test_noise_depends_on_the_generator_alone():
    text = ["one two three four five six seven eight"]
    assert masked(text, 0.25, 1) == masked(text, 0.25, 1)
    assert len({masked(text, 0.25, seed)[0] for seed in range(50)}) > 10
