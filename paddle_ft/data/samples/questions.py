"""Pairs of English questions and whether they ask the same, generated from templates.

Duplicates ask the same question in other words. Different questions have another topic or another thing and otherwise look alike.
So neither the first question nor the number of shared words is enough to guess the label. Each split has its own combinations of
topic and thing.
"""

from __future__ import annotations

import random

from paddle_ft.data.samples import split_by_checksum

SIZES = {"train": 5000, "validation": 300, "test": 300}
DUPLICATE_SHARE = 0.45

THINGS = ("guitar", "bicycle", "laptop", "garden", "camera", "boat", "piano", "telescope", "tent", "violin", "drone", "loom")
TOPICS = {
    "learn": ("how can i learn to use a {thing}", "what is the best way to get started with a {thing}"),
    "price": ("how much does a {thing} cost", "what is the usual price of a {thing}"),
    "repair": ("how do i repair a broken {thing}", "what can be done when my {thing} no longer works"),
    "buy": ("where should i buy a {thing}", "which shop is the right place to get a {thing}"),
    "sell": ("how can i sell my old {thing}", "what is a good way to get rid of a used {thing} for money"),
    "clean": ("how often should i clean my {thing}", "is it necessary to wash a {thing} every week"),
    "history": ("who invented the {thing}", "where does the {thing} come from"),
    "own": ("is it worth having a {thing}", "should everybody have a {thing}"),
}
ENDINGS = ("?", " ?", " these days ?", " in a small town ?", " as a beginner ?")


def rows(split: str, seed: int = 2022) -> list[dict[str, str]]:
    """Return [{"text", "text_pair", "label"}]. The label is "duplicate" (45 % of the pairs) or "different"."""
    rng = random.Random(f"{seed} {split}")
    subjects = [(topic, thing) for topic in TOPICS for thing in THINGS if split_by_checksum(f"{topic} {thing}") == split]
    pairs = []
    for _ in range(SIZES[split]):
        first = rng.choice(subjects)
        is_duplicate = rng.random() < DUPLICATE_SHARE
        second = first if is_duplicate else _different_subject(rng, *first)
        forms = rng.sample((0, 1), 2) if is_duplicate or rng.random() < 0.5 else [rng.randrange(2)] * 2
        text, text_pair = [_question(rng, *subject, form) for subject, form in zip((first, second), forms, strict=True)]
        pairs.append({"text": text, "text_pair": text_pair, "label": "duplicate" if is_duplicate else "different"})
    return pairs


def _different_subject(rng: random.Random, topic: str, thing: str) -> tuple[str, str]:
    """Return (topic, thing) with either another topic (in most cases) or another thing."""
    if rng.random() < 0.7:
        return rng.choice([other_topic for other_topic in TOPICS if other_topic != topic]), thing
    return topic, rng.choice([other_thing for other_thing in THINGS if other_thing != thing])


def _question(rng: random.Random, topic: str, thing: str, form: int) -> str:
    return TOPICS[topic][form].format(thing=thing) + rng.choice(ENDINGS)
