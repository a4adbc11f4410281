"""English film reviews of several sentences with a verdict, made from the sentences of the sample `reviews`.

Each review is about one film and has one verdict, so the context of a masked word helps to predict the word. A quarter of the
sentences only state a fact. Each split has its own films.
"""

from __future__ import annotations

import random

from paddle_ft.data.samples import reviews

SIZES = {"train": 2500, "validation": 200, "test": 200}
SENTENCES = range(4, 9)
FACTS = (
    "the {person} of {title} also made {other} .",
    "i saw {title} {when} , together with {friend} .",
    "{title} tells of a {job} who returns to {place} .",
    "in {title} a {job} and a {job2} meet in {place} .",
    "my {friend2} had told me about {title} {when} .",
)
WHEN = ("last night", "on a rainy sunday", "at the festival", "in a nearly empty hall", "on a long flight", "at home")
FRIENDS = ("my brother", "two old friends", "my parents", "a class of students", "my neighbour")
JOBS = ["teacher", "sailor", "young doctor", "retired judge", "piano tuner", "baker", "reporter", "farmer"]
PLACES = ("a village by the sea", "the capital", "a mountain hut", "her old school", "a town without name", "the harbour")


def rows(split: str, seed: int = 2022) -> list[dict[str, str]]:
    """Return [{"text", "label"}]. Half of the labels are "negative", half are "positive"."""
    rng = random.Random(f"{seed} {split} film_reviews")
    titles = reviews.titles_of(split)
    film_reviews = []
    for number in range(SIZES[split]):
        positive = number % 2 == 1
        title = rng.choice(titles)
        sentences = [
            _fact(rng, title, titles) if rng.random() < 0.25 else reviews.sentence(rng, positive, [title])
            for _ in range(rng.choice(SENTENCES))
        ]
        film_reviews.append({"text": " ".join(sentences), "label": "positive" if positive else "negative"})
    return film_reviews


def _fact(rng: random.Random, title: str, titles: list[str]) -> str:
    job, job2 = rng.sample(JOBS, 2)
    friend = rng.choice(FRIENDS)
    return rng.choice(FACTS).format(
        title=title, other=rng.choice(titles), person=rng.choice(reviews.PEOPLE), when=rng.choice(WHEN), friend=friend,
        friend2=friend.split()[-1], job=job, job2=job2, place=rng.choice(PLACES),
    )  # fmt: skip
