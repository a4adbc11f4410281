"""Write songs line by line. Each line is generated from the previous lines, some of whose words are masked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from paddle_ft.data.songs.text import key
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import print_info
from paddle_ft.tasks.lyrics.noise import mask_words
from paddle_ft.tasks.lyrics.pairs import join_source

ATTEMPTS = 10  # attempts to find a line that the song does not have yet; then sampling has as many attempts


class SongWriter:
    """Write songs with the model of a lyrics task."""

    def __init__(
        self,
        task,
        search: dict[str, Any],
        noise: float,
        prefix: str,
        seed: int,
        on_step: Callable[[], None] | None = None,
    ):
        """Check and store how songs are written.

        Args:
            task: a Lyrics task with a model.
            search: keywords of GenerationOptions, without lengths. num_return_sequences is the number of songs.
            noise: share of the words that are masked in the previous lines.
            prefix: the genre's token, or "".
            seed: seed of the noise and of sampling.
            on_step: called after each token. An exception that it raises stops the writing.

        Raises:
            UserError: the songs would not differ, because there is no noise, no sampling, and fewer beams than songs.
        """
        self.task, self.noise, self.prefix, self.seed, self.on_step = task, noise, prefix, seed, on_step
        self.search = dict(search)
        self.num_songs = self.search.pop("num_return_sequences", 1)
        self.search.pop("seed", None)
        num_beams = self.search.get("num_beams", 1)
        self.is_random = bool(noise or self.search.get("do_sample"))
        if not self.is_random and self.num_songs > num_beams:
            raise UserError(
                f"--num-return: without noise and sampling, {self.num_songs} songs can differ only in their first line, which"
                f" needs one beam for each song. Set --beams to {self.num_songs} or more, or use --noise or --top-p."
            )

    def write(self, seed_line: str, count: int, show: Callable[[str], None] | None) -> Iterator[list[str]]:
        """Yield the lines of each song, without the seed line.

        A song never has the same line twice, not even with other case or punctuation, and never repeats the seed line.

        Args:
            seed_line: the first line of the song.
            count: number of lines to write. A song has fewer if no new line can be generated.
            show: called with each line as it is written, or None.
        """
        for number in range(self.num_songs):
            rng = np.random.default_rng([self.seed, number])
            song = [seed_line]
            if show:
                show(f"{seed_line}\n")
            while len(song) <= count:
                rank = number if len(song) == 1 and not self.is_random else 0
                line = self._next_line(song, rng, rank)
                if line is None:
                    print_info(f"song {number + 1}: no further new line could be generated; the song ends after {len(song) - 1}")
                    break
                song.append(line)
                if show:
                    show(f"{line}\n")
            yield song[1:]

    def _next_line(self, song: list[str], rng: np.random.Generator, rank: int) -> str | None:
        """Return a line that the song does not have yet, or None.

        The chosen search is tried first, with new noise in every attempt. If it gives no new line, sampling is tried.

        Args:
            song: the lines so far.
            rng: the random generator of the noise and of the seeds for sampling.
            rank: take the candidate of this rank, 0 being the best. Without randomness this makes the songs differ.
        """
        existing = {key(line) for line in song} | {""}
        for attempt in range(2 * ATTEMPTS):
            if attempt >= ATTEMPTS:
                search, rank = {"do_sample": True, "top_k": 50}, 0  # sampling makes the songs differ from here on
            elif attempt and not self.is_random:
                continue  # the same search would give the same candidates
            else:
                search = self.search
            candidates = [line for line in self._candidates(song, search, rng) if key(line) not in existing]
            if candidates[rank:]:
                return candidates[rank]
        return None

    def _candidates(self, song: list[str], search: dict[str, Any], rng: np.random.Generator) -> list[str]:
        """Return the lines that a search generates, best first: all beams, or one sample."""
        from paddle_ft.generation import generate_all

        task = self.task
        lines = song[-task.options.context_lines :]
        if self.noise:
            lines = mask_words(lines, self.noise, task.tokenizer.mask_token, rng)
        if search.get("do_sample"):
            search = {**search, "seed": int(rng.integers(2**31))}
        options = task.generation_options(**search, num_return_sequences=search.get("num_beams", 1))
        (ids,) = task.source_ids([join_source(lines, self.prefix)])
        (rows,) = generate_all(task.model, [ids], options, batch_size=1, label="", on_step=self.on_step)
        return task.texts(rows)
