"""English songs generated from templates, with the section headers, ad-libs and page remains of scraped songs.

The lines of a section rhyme and are about the same person. Everything else is random. So a model can learn that the next line ends
on a word that rhymes, has the same subject and uses the words of its genre. A checksum assigns each line to a split, so no line of
the test songs is in a training song.
"""

from __future__ import annotations

import random

from paddle_ft.data.samples import split_by_checksum

SIZES = {"train": 700, "validation": 40, "test": 40}  # songs

RHYMES = [
    group.split()
    for group in (
        "light night fight flight kite sight knight",
        "day bay way clay play tray subway",
        "rain train chain lane pain plane crane",
        "stone phone throne bone zone loan tone",
        "street beat seat heat fleet sheet feet",
        "sound ground pound hound mound round",
        "wall hall ball call fall mall waterfall",
        "car star bar guitar jar scar",
        "snow show row flow glow crow",
        "king ring string spring wing swing",
        "lake cake snake break mistake steak",
        "chair stair bear square prayer fair",
        "door floor store shore score war",
        "name game flame fame frame",
        "ride tide side bride pride guide",
        "dream team stream steam beam scheme",
        "cold gold fold hold",
        "sun gun run son ton",
    )
]
PEOPLE = {
    "rap": ["my brother", "the rapper", "my city", "the driver", "my crew", "the boxer"],
    "country": ["my father", "the farmer", "my darling", "the cowboy", "my neighbor", "the singer"],
}
VERBS = {
    "rap": ["rapped about", "ran from", "paid for", "hustled for", "never feared", "came back for", "bet on", "drove past"],
    "country": ["sang about", "rode to", "prayed for", "worked for", "never left", "walked home past", "waited for", "cried about"],
}
ADJECTIVES = {
    "rap": ["concrete", "golden", "broken", "crazy", "midnight", "hungry", "neon", "stolen"],
    "country": ["lonesome", "dusty", "wooden", "quiet", "silver", "summer", "faded", "gentle"],
}
OPENINGS = {
    "rap": ["last friday", "after school", "every weekend", "on the corner", "back in march", "at the party"],
    "country": ["one sunday", "after harvest", "every evening", "by the river", "back in autumn", "at the market"],
}
CALLS = ["(Yeah, yeah)", "(Uh)", "Oh, oh, oh", "(Let's go)", "Hey, hey"]
TITLES = ["Second Wind", "Long Way Up", "Paper Moon", "Low Tide", "Nobody Else", "Ten Miles", "Open Window", "Old News"]


def rows(split: str, seed: int = 2022) -> list[dict[str, str]]:
    """Return the songs {"lyrics", "genre", "title"} of a split."""
    rng = random.Random(f"{seed} {split}")
    songs = []
    for _ in range(SIZES[split]):
        genre, title = rng.choice(list(PEOPLE)), rng.choice(TITLES)
        songs.append({"lyrics": _song(genre, title, split, rng), "genre": genre, "title": title})
    return songs


def _song(genre: str, title: str, split: str, rng: random.Random) -> str:
    """Return two verses, each followed by the chorus, in the form of lyrics pages."""
    chorus = _section(genre, split, rng)
    parts = [
        ("[Verse 1]", _section(genre, split, rng)),
        ("[Chorus]", chorus),
        ("[Verse 2: The Neighbors]", _section(genre, split, rng)),
        ("[Chorus]", chorus),
    ]
    blocks = ["\n".join([header, *lines]) for header, lines in parts]
    if rng.random() < 0.3:
        blocks[2] = f"You might also like{blocks[2]}"
    text = "\n\n".join(blocks)
    return f"{title} Lyrics{text}{rng.randrange(1, 90)}Embed" if rng.random() < 0.3 else text


def _section(genre: str, split: str, rng: random.Random) -> list[str]:
    """Return four lines that rhyme on different words, sometimes with an ad-lib between them."""
    ends = rng.sample(rng.choice(RHYMES), 4)
    person = rng.choice(PEOPLE[genre])
    lines = [_line(genre, person, end, split, rng) for end in ends]
    if rng.random() < 0.2:
        lines.insert(rng.randrange(1, 4), rng.choice(CALLS))
    return lines


def _line(genre: str, person: str, end: str, split: str, rng: random.Random) -> str:
    while True:
        opening, verb, adjective = (rng.choice(words[genre]) for words in (OPENINGS, VERBS, ADJECTIVES))
        line = f"{opening} {person} {verb} the {adjective} {end}"
        if split_by_checksum(line) == split:
            return line[0].upper() + line[1:] + rng.choice(["", "", ",", "!"])
