"""Songs line by line: each line is written from the ones before it, with noise on them. No task of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from paddle_ft.data.song_text import key
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import say
from paddle_ft.tasks.lyrics import pairs as lyrics

ATTEMPTS = 10  # at a line that is not there yet


class SongWriter:
    """Writes songs with a lyrics task's model.

    search: keywords of GenerationOptions, without lengths. noise: share of words masked in the lines that are fed back.
    prefix: the genre's token, or "".
    """

    def __init__(self, task, search: dict[str, Any], noise: float, prefix: str, seed: int):
        self.task, self.noise, self.prefix, self.seed = task, noise, prefix, seed
        self.search = dict(search)
        self.songs = self.search.pop("num_return_sequences", 1)
        self.search.pop("seed", None)
        self.beams = self.search.get("num_beams", 1)
        self.chance = bool(noise or self.search.get("do_sample"))
        if not self.chance and self.songs > self.beams:
            raise UserError(
                f"--num-return: without noise and sampling {self.songs} songs differ by their first line alone, one beam each:"
                f" set --beams to {self.songs} or more, or --noise, or --top-p."
            )

    def write(self, seed_line: str, count: int, show: Callable[[str], None] | None) -> Iterator[list[str]]:
        """Yields each song's lines, `count` of them or fewer where no new one is found; each goes to `show` as it is written.

        No line stands twice in a song, in other case or punctuation neither, and none repeats the seed line.
        """
        for number in range(self.songs):
            rng = np.random.default_rng([self.seed, number])
            song = [seed_line]
            if show:
                show(f"{seed_line}\n")
            while len(song) <= count:
                first = number if len(song) == 1 and not self.chance else 0
                line = self._next(song, rng, first)
                if line is None:
                    say(f"song {number + 1}: no line was found that is not there yet; it ends after {len(song) - 1}")
                    break
                song.append(line)
                if show:
                    show(f"{line}\n")
            yield song[1:]

    def _next(self, song: list[str], rng: np.random.Generator, first: int) -> str | None:
        """A new line: by the search asked for, with noise drawn afresh in every attempt; if that gives none, by sampling.

        first: how many candidates to leave out, so that songs without chance in them differ.
        """
        there = {key(line) for line in song} | {""}
        for attempt in range(2 * ATTEMPTS):
            if attempt >= ATTEMPTS:
                search, first = {"do_sample": True, "top_k": 50}, 0  # chance tells songs apart now
            elif attempt and not self.chance:
                continue
            else:
                search = self.search
            new = [line for line in self._candidates(song, search, rng) if key(line) not in there]
            if new[first:]:
                return new[first]
        return None

    def _candidates(self, song: list[str], search: dict[str, Any], rng: np.random.Generator) -> list[str]:
        """What the search finds, best first: all beams, or one sample."""
        from paddle_ft.generation import generate_all

        task = self.task
        lines = song[-task.options.context_lines :]
        if self.noise:
            lines = lyrics.mask_words(lines, self.noise, task.tokenizer.mask_token, rng)
        if search.get("do_sample"):
            search = {**search, "seed": int(rng.integers(2**31))}
        options = task.generation_options(**search, num_return_sequences=search.get("num_beams", 1))
        (ids,) = task.source_ids([lyrics.join(lines, self.prefix)])
        (rows,) = generate_all(task.model, [ids], options, batch_size=1, label="")
        return task.texts(rows)
