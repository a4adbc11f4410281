"""Sentences of English film reviews with a verdict, generated from templates. Titles and names are made up.

No single word decides the verdict: praise may be negated ("not a gripping story"), and many sentences say something good and
something bad, where the clause after "but" decides. Each split has its own films. All other words are the same.
"""

from __future__ import annotations

import random

from paddle_ft.data.samples import split_by_position, words

SIZES = {"train": 3000, "validation": 300, "test": 300}

GOOD = words(
    "gripping moving clever charming honest warm brilliant tender witty fresh graceful thrilling bold delightful powerful "
    "touching inventive radiant wise superb"
)
BAD = words(
    "dull clumsy shallow tedious lifeless predictable hollow bland messy tiresome lazy wooden noisy confused cold flat stale "
    "pointless awkward dreary"
)
NOUNS = words("story script film plot ending opening comedy drama romance thriller soundtrack dialogue cast performance finale")
PEOPLE = ["director", "lead actor", "young cast", "writer", "cameraman", "composer", "whole crew", "editor"]
FIRST = words("Silver Paper Winter Hidden Golden Broken Silent Northern Crimson Distant Hollow Summer Midnight Glass")
LAST = words("River Garden Letters Station Harbour Mirror Promise Mountain Orchard Shadows Bridge Lanterns Voyage House")
TIMES = ["in two hours", "from the first scene on", "after the break", "to the very end", "this year", "for most of its length"]
PRAISE = ("i loved it", "it stays with you", "it is worth every minute", "i would watch it again", "you leave the cinema smiling")
BLAME = ("i nearly fell asleep", "it wastes your evening", "i wanted my money back", "i would not watch it again",
         "you leave the cinema annoyed")  # fmt: skip
NEUTRAL = ("we saw it on a tuesday", "it runs for two hours", "it was filmed by the sea", "the book came first",
           "the tickets were sold out")  # fmt: skip

PLAIN = (
    "{title} is a {word} {noun} .",
    "the {noun} is {word} {time} .",
    "a {word} {noun} from a {word2} {person} .",
    "{neutral} , and the {noun} is {word} .",
    "{verdict} : what a {word} {noun} .",
    "the {person} makes {title} a {word} {noun} .",
    "{title} , {neutral} , turns out {word} and {word2} .",
)
DENIED = (
    "{title} is not a {other} {noun} .",
    "nothing about the {noun} is {other} .",
    "the {noun} is never {other} {time} .",
    "the {person} does not give us a {other} {noun} .",
)
TURNED = (
    "the {noun2} is {other} , but the {noun} is {word} and {verdict} .",
    "{title} starts {other} but grows {word} {time} .",
    "though the {noun2} is {other} , {verdict} .",
    "{neutral} , the {noun2} is {other} , but {verdict} .",
)


def rows(split: str, seed: int = 2022) -> list[dict[str, str]]:
    """Return [{"text", "label"}]. Half of the labels are "negative", half are "positive". No sentence occurs twice."""
    rng = random.Random(f"{seed} {split}")
    titles = titles_of(split)
    labels: dict[str, str] = {}
    while len(labels) < SIZES[split]:
        positive = len(labels) % 2 == 1
        labels.setdefault(sentence(rng, positive, titles), "positive" if positive else "negative")
    return [{"text": text, "label": label} for text, label in labels.items()]


def titles_of(split: str) -> list[str]:
    """Return the titles of the films of a split. No title is in two splits."""
    return split_by_position([f"{first} {last}" for first in FIRST for last in LAST], split)


def sentence(rng: random.Random, positive: bool, titles: list[str]) -> str:
    """Return one sentence about one of the films, with a positive or negative verdict."""
    same, opposite = (GOOD, BAD) if positive else (BAD, GOOD)
    template = rng.choice(rng.choices((PLAIN, DENIED, TURNED), weights=(50, 20, 30))[0])
    word, word2 = rng.sample(same, 2)
    noun, noun2 = rng.sample(NOUNS, 2)
    return template.format(
        title=rng.choice(titles), word=word, word2=word2, other=rng.choice(opposite), noun=noun, noun2=noun2,
        person=rng.choice(PEOPLE), time=rng.choice(TIMES), neutral=rng.choice(NEUTRAL),
        verdict=rng.choice(PRAISE if positive else BLAME),
    )  # fmt: skip
