"""English songs generated from templates, with section headers, ad-libs and page leftovers as scraped songs have them.

The lines of a section rhyme with each other and tell of the same person; what they tell is drawn. So what can be learnt of
the next line is its end (some word that rhymes with this line's), its subject and the words of its genre. Each line belongs to
one split alone, by a checksum of its text: no line of the test songs stands in a training song.
"""

from __future__ import annotations

import random
import zlib

SIZES = {"train": 700, "validation": 40, "test": 40}  # songs
SHARES = {"validation": range(0, 8), "test": range(8, 16), "train": range(16, 100)}  # of 100 checksums

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
    """The songs of a split (train, validation, test), {"lyrics", "genre", "title"}: always the same."""
    draw = random.Random(f"{seed} {split}")
    songs = []
    for _ in range(SIZES[split]):
        genre, title = draw.choice(list(PEOPLE)), draw.choice(TITLES)
        songs.append({"lyrics": _song(genre, title, split, draw), "genre": genre, "title": title})
    return songs


def split_of(line: str) -> str:
    """The one split to which a line (in small letters, without punctuation at its end) belongs."""
    place = zlib.crc32(line.encode()) % 100
    return next(split for split, share in SHARES.items() if place in share)


def _song(genre: str, title: str, split: str, draw: random.Random) -> str:
    """Two verses with a chorus after each, as pages print them."""
    chorus = _section(genre, split, draw)
    parts = [
        ("[Verse 1]", _section(genre, split, draw)),
        ("[Chorus]", chorus),
        ("[Verse 2: The Neighbors]", _section(genre, split, draw)),
        ("[Chorus]", chorus),
    ]
    blocks = ["\n".join([header, *lines]) for header, lines in parts]
    if draw.random() < 0.3:
        blocks[2] = f"You might also like{blocks[2]}"
    text = "\n\n".join(blocks)
    return f"{title} Lyrics{text}{draw.randrange(1, 90)}Embed" if draw.random() < 0.3 else text


def _section(genre: str, split: str, draw: random.Random) -> list[str]:
    """Four lines that rhyme, no rhyming word twice, sometimes with a call between them."""
    ends = draw.sample(draw.choice(RHYMES), 4)
    person = draw.choice(PEOPLE[genre])
    lines = [_line(genre, person, end, split, draw) for end in ends]
    if draw.random() < 0.2:
        lines.insert(draw.randrange(1, 4), draw.choice(CALLS))
    return lines


def _line(genre: str, person: str, end: str, split: str, draw: random.Random) -> str:
    while True:
        opening, verb, adjective = (draw.choice(words[genre]) for words in (OPENINGS, VERBS, ADJECTIVES))
        line = f"{opening} {person} {verb} the {adjective} {end}"
        if split_of(line) == split:
            return line[0].upper() + line[1:] + draw.choice(["", "", ",", "!"])
