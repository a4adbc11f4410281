"""Pairs of English questions and whether they ask the same, generated from templates.

Duplicates ask the same in other words. Different questions differ in the topic or in the thing and otherwise look alike. So
neither the first question alone nor the number of shared words gives the label away. The splits differ in the combinations of
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
    """Return [{"text", "text_pair", "label"}], label "duplicate" or "different"; a little less than half are duplicates."""
    rng = random.Random(f"{seed} {split}")
    parts = [(topic, thing) for topic in TOPICS for thing in THINGS if split_by_checksum(f"{topic} {thing}") == split]
    made = []
    for _ in range(SIZES[split]):
        topic, thing = rng.choice(parts)
        same = rng.random() < DUPLICATE_SHARE
        other = (topic, thing) if same else _other(rng, topic, thing)
        forms = rng.sample((0, 1), 2) if same or rng.random() < 0.5 else [rng.randrange(2)] * 2
        pair = [_question(rng, *what, form) for what, form in zip(((topic, thing), other), forms, strict=True)]
        made.append({"text": pair[0], "text_pair": pair[1], "label": "duplicate" if same else "different"})
    return made


def _other(rng: random.Random, topic: str, thing: str) -> tuple[str, str]:
    """Return another topic about the same thing in most cases, else the same topic about another thing."""
    if rng.random() < 0.7:
        return rng.choice([one for one in TOPICS if one != topic]), thing
    return topic, rng.choice([one for one in THINGS if one != thing])


def _question(rng: random.Random, topic: str, thing: str, form: int) -> str:
    return TOPICS[topic][form].format(thing=thing) + rng.choice(ENDINGS)
