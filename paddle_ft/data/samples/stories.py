"""Summaries of books that do not exist, with title, author and genres, generated from templates.

Each book has one hero and one genre. The genre determines the possible places, things, enemies and endings. The title fits the
summary. Each split has its own heroes, by their full names. Everything else is the same.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass

from paddle_ft.data.samples import split_by_position, words

SIZES = {"train": 1400, "validation": 200, "test": 200}


@dataclass(frozen=True)
class Genre:
    """The words and sentences for the books of a genre."""

    heroes: tuple[str, ...]  # the hero's role
    places: tuple[str, ...]
    things: tuple[str, ...]  # the thing that the story is about
    enemies: tuple[str, ...]
    turns: tuple[str, ...]
    ends: tuple[str, ...]


GENRES = {
    "Fantasy": Genre(
        ("a blacksmith's apprentice", "an exiled princess", "a young witch", "the last of the dragon riders"),
        ("the kingdom of Arven", "the northern mountains", "the Forest of Glass", "a city under the lake"),
        ("crown", "sword", "dragon's egg", "book of spells"),
        ("the Frost King", "a council of sorcerers", "her own shadow", "the queen of the marsh"),
        (
            "a talking raven shows the way through the mountains",
            "an old spell turns friends into stone",
            "the dragon speaks for the first time in a hundred years",
        ),
        ("Magic returns to the land.", "The throne stays empty, and the people rule themselves.", "The curse is broken at dawn."),
    ),
    "Crime": Genre(
        ("a tired inspector", "a young reporter", "a retired judge", "a private detective"),
        ("the old harbour", "a hotel in the Alps", "the suburbs of Lyon", "a night train"),
        ("necklace", "ledger", "photograph", "stolen painting"),
        ("a respected banker", "the chief of police", "a forger of passports", "the widow"),
        (
            "a second body is found in the same room",
            "the only witness takes back every word",
            "a letter proves that the victim knew the murderer",
        ),
        (
            "The murderer confesses in the last chapter.",
            "The case is closed, but nobody is convicted.",
            "The evidence burns, and only the reader knows the truth.",
        ),
    ),
    "Science Fiction": Genre(
        ("a ship's engineer", "a colonist's daughter", "a doctor of robots", "the pilot of a supply ship"),
        ("the moons of Saturn", "a station beyond Neptune", "the red deserts of Mars", "a ship that left Earth long ago"),
        ("signal", "engine", "seed bank", "map of the stars"),
        ("the ship's computer", "a mining company", "a swarm of machines", "the governor of the colony"),
        (
            "the crew learns that the voyage has lasted two hundred years",
            "a message arrives that was sent from the future",
            "the air in the northern dome begins to fail",
        ),
        ("The colony survives, cut off from Earth.", "The machines are left in peace.", "A new world is given a name."),
    ),
    "Romance": Genre(
        ("a shy librarian", "a baker from the south", "a violinist", "a teacher of French"),
        ("a village in Provence", "a seaside hotel", "the opera house", "a vineyard"),
        ("letter", "recipe", "ring", "song"),
        ("a jealous cousin", "a rich rival", "her proud family", "an old promise"),
        (
            "a letter arrives ten years too late",
            "a storm keeps them on the island for three days",
            "an old friend reveals what really happened that summer",
        ),
        ("They marry in spring.", "They part as friends.", "He stays, and the house is sold to nobody."),
    ),
}
FIRST = words("Anna Jonas Mira Tobias Elsa Victor Clara Henrik Lena Oscar Ruth Samuel Nora Emil Ida Felix Greta Hugo Vera")
LAST = words("Berg Holm Castell Marlow Finch Varga Lindqvist Moreau Quill Sand Thorne Weiss")
OPENINGS = (
    "{hero}, {role}, lives in {place}.",
    "The story is set in {place}, where {hero} is {role}.",
    "{hero} is {role} in {place}.",
)
CALLS = (
    "One day {hero} finds a {thing} that {enemy} has been looking for.",
    "When a {thing} disappears, everybody suspects {hero}.",
    "{hero} inherits a {thing} and soon learns that {enemy} wants it too.",
)
ROADS = (
    "{first} sets out to find the truth about the {thing}.",
    "Together with {friend}, {first} hides the {thing} and leaves {place}.",
    "{first} trusts {friend}, who secretly works for {enemy}.",
)
FIGHTS = (
    "In the end {first} faces {enemy} alone.",
    "{friend} gives up everything so that {first} can escape from {enemy}.",
    "{first} offers the {thing} to {enemy} in exchange for {friend}'s life.",
)
TITLES = ("The {thing} of {place}", "{first} and the {thing}", "The Last {thing}", "A {thing} for {friend}")


def rows(split: str, seed: int = 2022) -> list[dict[str, str]]:
    """Return [{"text" (the summary), "title", "author", "genres"}]."""
    rng = random.Random(f"{seed} {split} stories")
    heroes = split_by_position([(first, last) for first in FIRST for last in LAST], split)
    return [_book(rng, heroes) for _ in range(SIZES[split])]


def _book(rng: random.Random, heroes: list[tuple[str, str]]) -> dict[str, str]:
    """Return one row about one of the heroes (first name, last name)."""
    name = rng.choice(list(GENRES))
    genre = GENRES[name]
    first, last = rng.choice(heroes)
    friend = rng.choice([other for other in FIRST if other != first])
    slots = {
        "first": first, "friend": friend, "hero": f"{first} {last}", "role": rng.choice(genre.heroes),
        "place": rng.choice(genre.places), "thing": rng.choice(genre.things), "enemy": rng.choice(genre.enemies),
    }  # fmt: skip
    sentences = [rng.choice(templates).format(**slots) for templates in (OPENINGS, CALLS, ROADS)]
    if rng.random() < 0.7:
        sentences.append(f"Then {rng.choice(genre.turns)}.")
    sentences += [rng.choice(FIGHTS).format(**slots), rng.choice(genre.ends)]
    title_slots = {**slots, "thing": string.capwords(slots["thing"]), "place": slots["place"].removeprefix("a ")}
    title = rng.choice(TITLES).format(**title_slots)
    genres = name if rng.random() < 0.5 else f"{name}, Fiction"
    author = f"{rng.choice(FIRST)} {rng.choice(LAST)}"
    text = " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)
    return {"text": text, "title": title, "author": author, "genres": genres}
