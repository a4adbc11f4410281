"""Songs to pairs of lines: the line (or lines) before and the line after, and noise on the words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from paddle_ft.data.song_text import clean, key
from paddle_ft.metrics.rhyme import without_asides
from paddle_ft.metrics.text import word_spans
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

SEPARATOR = "<line>"  # between the lines of a source of several
SPLIT_SEED = 2022
COUNTS = (
    "lines", "section_headers", "leftovers", "adlib_lines", "wordless_lines", "repeated_lines", "sections", "pairs_found",
    "repeated_pairs",
)  # fmt: skip


def pairs(sections: list[list[str]], context_lines: int) -> Iterator[tuple[list[str], str]]:
    """(the up to `context_lines` lines before, the line) for every line of a section but its first."""
    for section in sections:
        for place in range(1, len(section)):
            yield section[max(0, place - context_lines) : place], section[place]


def unrepeated(found: Iterator[tuple[list[str], str]], seen: set, counts: Counter) -> Iterator[tuple[list[str], str]]:
    """The pairs not in `seen` yet, by their words; puts them there and counts the others."""
    for context, line in found:
        counts["pairs_found"] += 1
        pair = (*map(key, context), key(line))
        if pair in seen:
            counts["repeated_pairs"] += 1
        else:
            seen.add(pair)
            yield context, line


# ---------------------------------------------------------------------------------------------------- noise
def _maskable(line: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The words of a line but its last, and the last before asides at its end."""
    end = len(without_asides(line))
    before = [span for span in spans if span[1] <= end]
    return [span for span in spans if span not in (*spans[-1:], *before[-1:])]


def mask_words(lines: list[str], share: float, mask: str, rng: np.random.Generator) -> list[str]:
    """The lines with `share` of all their words (see word_spans) replaced by `mask`, one for one.

    The last word of a line, which rhymes, is never replaced, whatever punctuation follows it, nor is the one before an ad-lib
    in parentheses at the line's end; the punctuation around a replaced word stays. Where the share is no whole number of
    words, chance decides between the two nearest, so that the share is right on average.
    """
    words = [word_spans(line) for line in lines]
    free = [(number, span) for number, line in enumerate(lines) for span in _maskable(line, words[number])]
    count = min(len(free), int(share * sum(map(len, words)) + rng.random()))
    out = list(lines)
    for place in sorted(rng.choice(len(free), count, replace=False) if count else [], reverse=True):
        number, (start, end) = free[place]
        out[number] = out[number][:start] + mask + out[number][end:]
    return out


# ---------------------------------------------------------------------------------------------------- songs to rows
def prefix_token(label: str) -> str:
    """ "Hip Hop" -> "<style:hip-hop>": the token that tells a genre or artist before the source."""
    return f"<style:{'-'.join(label.lower().split())}>"


def join(lines: list[str], prefix: str = "") -> str:
    """A source as the model reads it."""
    return prefix + SEPARATOR.join(lines)


def parts(source: str, separator: str = SEPARATOR) -> tuple[str, list[str]]:
    """(prefix token or "", lines): what `join` has joined."""
    prefix, end, rest = source.partition(">") if source.startswith("<style:") else ("", "", source)
    return prefix + end, rest.strip().split(separator)


def split_songs(songs: list[dict], shares: tuple[float, float]) -> dict[str, list[dict]]:
    """Train, validation and test by song, at random with a seed of its own, so that runs with other seeds are comparable.

    shares: of validation and test; each gets at least one song where its share is above 0.
    Raises UserError where nothing would be left to train on.
    """
    order = np.random.default_rng(SPLIT_SEED).permutation(len(songs))
    sizes = [max(1, round(share * len(songs))) if share else 0 for share in shares]
    if len(songs) <= sum(sizes):
        raise UserError(
            f"data: {len(songs)} song{'s' * (len(songs) != 1)} cannot be split into train, validation and test. Songs are split"
            " whole, and a .txt file is one song: give more, or name data.validation and data.test."
        )
    parts = np.split(order, np.cumsum(sizes))
    return {split: [songs[i] for i in sorted(part)] for split, part in zip(("validation", "test", "train"), parts, strict=True)}


@dataclass
class Pairing:
    """Turns songs into pairs and remembers what it has seen, for as many splits as must not share a pair.

    `lines`: every line of the cleaned songs of the latest call, each once.
    """

    context_lines: int
    songs: set[int] = field(default_factory=set)
    pairs: set[tuple[str, ...]] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    def __call__(self, songs: list[dict], label: str) -> tuple[list[dict[str, str]], dict[str, int]]:
        """Rows {"source", "target"} of songs {"lyrics", "prefix"}, and the counts of what was done (COUNTS and more)."""
        counts: Counter = Counter(songs=len(songs))
        rows, lines = [], {}
        with Progress(len(songs), label, unit="song") as progress:
            for song in songs:
                progress.update()
                text = hash(key(song["lyrics"]))
                if text in self.songs:
                    counts["repeated_songs"] += 1
                    continue
                self.songs.add(text)
                sections, found = clean(song["lyrics"])
                counts.update(found)
                lines.update((key(line), line) for section in sections for line in section)
                for context, target in unrepeated(pairs(sections, self.context_lines), self.pairs, counts):
                    rows.append({"source": join(context, song["prefix"]), "target": target})
        self.lines = list(lines.values())
        return rows, {name: counts[name] for name in ("songs", "repeated_songs", *COUNTS)}


def describe(counts: dict[str, int], rows: int) -> str:
    """What cleaning and pairing did, for the terminal."""
    names = {
        "repeated_songs": "repeated songs removed",
        "section_headers": "section headers removed",
        "leftovers": "lines cleaned of page leftovers",
        "adlib_lines": "ad-lib lines removed",
        "wordless_lines": "lines without words removed",
        "repeated_lines": "lines removed that repeat the one before",
    }
    steps = [f"{counts[name]:,} {what}" for name, what in names.items() if counts[name]]
    return (
        ", ".join([f"{counts['songs']:,} songs", f"{counts['lines']:,} lines", *steps, f"{counts['sections']:,} sections"])
        + f": {counts['pairs_found']:,} pairs, {counts['repeated_pairs']:,} of them repeated and removed, {rows:,} left"
    )


def why_none(counts: dict[str, int]) -> str:
    """Why there are songs and not one pair of lines, for the error."""
    songs = counts["songs"]
    if counts["pairs_found"] or counts["repeated_songs"] == songs:
        what = f"all pairs of its {songs} songs are" if counts["pairs_found"] else f"its {songs} songs are all"
        return f"{what} repeated: each stands twice, here or in a split before. Take repeated songs out, or give more."
    return f"its {songs} songs have no two lines that follow each other in a section."
