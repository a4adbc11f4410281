"""Make pairs of lines of the songs of all splits. Many songs are on disk in every step, and their pairs are kept for the next run.

Songs are found in the rows and cleaned, equal ones are found by hashes, and then the pairs of each split are written. An entry of
the cache belongs to the rows as read, the options, and the code that makes the pairs.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convert.files import cache_folder
from paddle_ft.data import rows as data_rows
from paddle_ft.data.arrays import ArrayWriter, create_file, load_arrays
from paddle_ft.data.row_table import RowTable, RowWriter
from paddle_ft.data.rows import Rows
from paddle_ft.data.splits import SPLITS
from paddle_ft.data.table_files import describe_table, load_table
from paddle_ft.metrics import text as metrics_text
from paddle_ft.system.cache import CacheEntry, code_digest, write_progress
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import WriteError, to_json, write_atomically
from paddle_ft.system.progress import Progress, print_info
from paddle_ft.tasks.lyrics import duplicates, pairs
from paddle_ft.tasks.lyrics.chosen import Chosen, choose, write_line_places
from paddle_ft.tasks.lyrics.rows import select_songs
from paddle_ft.tasks.lyrics.songs import find_songs, part_of
from paddle_ft.tasks.lyrics.store import TYPES, SongCleaner, SongStore, StoredLines, split_sections

FIELDS = ("lyrics", "genre", "artist", "title")  # of a song as read; all but the first are optional
LARGE = 2**20  # characters; fewer are cleaned at every start
FORMAT = 1  # version of the cache: entries of another version are not read
DESCRIPTION, SONGS, LINES, SCRATCH = "pairs.json", "songs.arrow", "lines", "scratch"
PLACES = {"places": "int64", "lines_of_song": "int32"}


@dataclass
class Prepared:
    """The pairs of lines of all splits.

    Attributes:
        rows: {"source", "target"} of each pair of a split, and in its info the counts of Chosen.count.
        styles: the prefix tokens of the training songs.
        songs_by: split as it was read -> by what its songs were told apart.
        training_lines: the lines of the training songs without repetitions; None without training songs.
    """

    rows: dict[str, Rows]
    styles: list[str]
    songs_by: dict[str, str]
    training_lines: StoredLines | None


def prepare_songs(rows: dict[str, Rows], options, data, alone: bool = False) -> Prepared:
    """Turn songs into pairs of lines. If there is only train, its songs are split, and no song or pair is in two splits.

    Args:
        rows: the rows of each split as read.
        options: the lyrics task's options.
        data: the data section; its limits are used.
        alone: whether this is one split whose other splits are not available. It is not split, and not kept in the cache.

    Raises:
        UserError: a split has no pair of lines, or task.only does not fit its songs.
    """
    builder = _Builder(rows, options, {split: getattr(data, f"limit_{split}") for split in rows}, alone)
    if alone or not data.cache or not _are_many(rows):
        return builder.build(None)
    entry = CacheEntry(cache_folder() / "songs", builder.key(), "The table of the pairs", "pair lines")
    builder.warn = entry.warn
    prepared = entry.load_or_build(builder.load, builder.build_or_keep)
    for loaded in prepared.rows.values():
        if isinstance(loaded.rows, RowTable):
            loaded.rows.cache = cache_folder() / "rows"
    return prepared


def _are_many(rows: dict[str, Rows]) -> bool:
    """Return whether it takes seconds to clean these songs."""
    tables = any(isinstance(loaded.rows, RowTable) for loaded in rows.values())
    return tables or sum(len(row["lyrics"]) for loaded in rows.values() for row in loaded.rows) >= LARGE


@dataclass
class _Builder:
    """Make the pairs in a folder of the cache, or in memory. The attributes are the arguments of `prepare_songs`."""

    rows: dict[str, Rows]
    options: Any
    limits: dict[str, int | None]
    alone: bool
    warn: Any = None
    said: list[str] = field(default_factory=list)

    def key(self) -> dict[str, Any]:
        """Return everything that the pairs depend on."""
        options = {name: getattr(self.options, name) for name in
                   ("context_lines", "style", "only", "prefix", "validation_share", "test_share")}  # fmt: skip
        rows = {
            split: {"rows": loaded.rows.identity if isinstance(loaded.rows, RowTable) else loaded.digest(), "info": loaded.info}
            for split, loaded in self.rows.items()
        }
        code = code_digest(Path(data_rows.__file__).parent, Path(__file__).parent, metrics_text.__file__)
        return {"format": FORMAT, "code": code, "options": options, "limits": self.limits, "rows": rows}

    # -------------------------------------------------------------------------------- the cache
    def build_or_keep(self, folder: Path | None) -> Prepared | None:
        """Make the pairs in a folder and return None, or return them if they cannot be written."""
        if folder is None:
            return self.build(None)
        is_kept = False
        try:
            shutil.rmtree(folder, ignore_errors=True)  # what a killed process has left cannot be continued
            with contextlib.suppress(OSError):  # the first writer says what is wrong
                folder.mkdir()
            self.said = []
            prepared = self.build(folder)
            is_kept = self._describe(folder, prepared)
            return None if is_kept else prepared
        finally:
            if not is_kept:
                shutil.rmtree(folder, ignore_errors=True)

    def _describe(self, folder: Path, prepared: Prepared) -> bool:
        """Write what belongs to the tables beside them. Return whether all is on disk."""
        files = {f"{split}.arrow": writer for split, writer in self._pair_writers.items()} | {SONGS: self._song_writer}
        if any(writer.file is None for writer in files.values()) or not (folder / LINES).exists():
            return False
        shutil.rmtree(folder / SCRATCH, ignore_errors=True)
        try:
            description = {
                "tables": {name: describe_table(writer) for name, writer in files.items()},
                "info": {split: loaded.info for split, loaded in prepared.rows.items()},
                "styles": prepared.styles,
                "songs_by": prepared.songs_by,
                "said": self.said,
            }
            write_atomically(folder / DESCRIPTION, to_json(description))
        except (OSError, WriteError) as error:
            self.warn(error)
            return False
        return True

    def load(self, folder: Path) -> Prepared:
        """Return the pairs in a complete folder, and print what was said when they were made."""
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        tables = {name: load_table(folder / name, facts) for name, facts in description["tables"].items()}
        lines, _ = load_arrays(folder / LINES, PLACES)
        rows = {split: replace(self._part(split), rows=tables[f"{split}.arrow"], info=info)
                for split, info in description["info"].items()}  # fmt: skip
        if not self.said:
            for message in description["said"]:
                print_info(message)
        places = StoredLines(tables[SONGS], lines["lines_of_song"][:], lines["places"])
        return Prepared(rows, description["styles"], description["songs_by"], places)

    def _part(self, split: str) -> Rows:
        """Return the rows as read of which the pairs of a split are made."""
        return self.rows[split] if split in self.rows else part_of(self.rows["train"], split)

    # -------------------------------------------------------------------------------- songs
    def build(self, folder: Path | None) -> Prepared:
        """Make the pairs, with tables and arrays in a folder of the cache, or in memory."""
        self._folder = folder
        found, by = self._find()
        store, sizes = self._clean(found)
        member = np.repeat(np.arange(len(sizes), dtype=np.int8), list(sizes.values()))
        is_only_train = not self.alone and list(found) == ["train"]
        if is_only_train:
            groups = duplicates.group_songs(store)
            songs = pairs.split_songs(groups, (self.options.validation_share, self.options.test_share))
            found["train"].decide(*duplicates.describe_splits({split: len(own) for split, own in songs.items()}, groups))
            found = {split: part_of(found["train"], split) for split in SPLITS}
            for number, split in enumerate(SPLITS):
                member[songs[split]] = number
        elif not self.alone:
            found["train"].decide(*duplicates.describe_overlaps(sizes, duplicates.group_songs(store)))
        chosen = choose(store, member, len(found), is_only_train)
        prepared = {}
        for number, split in enumerate(found):
            if not (member == number).any():
                continue
            counts = chosen.count(number)
            num_rows = counts["pairs_found"] - counts["repeated_pairs"]
            self._say(f"{split}: {pairs.describe_counts(counts, num_rows)}")
            if not num_rows:
                raise UserError(f"data.{split}: {pairs.explain_no_pairs(counts)}")
            prepared[split] = replace(found[split], info=found[split].info | counts)
        styles = self._write(chosen, list(found), prepared)
        lines = self._keep_lines(chosen, list(found).index("train")) if "train" in found else None
        return Prepared(prepared, styles, by, lines)

    def _find(self) -> tuple[dict[str, Rows], dict[str, str]]:
        """Find the songs of each split, and say how many there are and by what they were told apart."""
        found, by = {}, {}
        for split, loaded in self.rows.items():
            found[split], by[split] = find_songs(loaded, split, self._writer(f"found-{split}.arrow", FIELDS), self.limits[split])
            count = len(found[split])
            self._say(f"{split}: {count:,} song{'s' * (count != 1)}, told apart by {by[split]}")
        return found, by

    def _clean(self, found: dict[str, Rows]) -> tuple[SongStore, dict[str, int]]:
        """Clean the songs that the options select. Return them and the number of each split. What is left out is noted."""
        total = sum(map(len, found.values()))
        self._song_writer = self._writer(SONGS, ("sections", "prefix"), partial(self._note_progress, total))
        cleaner = SongCleaner(self.options.context_lines, self._song_writer, self._arrays(SCRATCH, TYPES))
        sizes, credit_lines = {}, {}
        for split, songs in found.items():
            before, credit_lines[split] = len(self._song_writer), 0
            with Progress(len(songs), f"songs of {split}", unit="song") as progress:
                for selected in select_songs(songs, split, self.options):
                    if selected is not None:
                        credit_lines[split] += cleaner.add(*selected)["credit_lines"]
                    progress.update()
            sizes[split] = len(self._song_writer) - before
            songs.rows = []  # they take memory, or room on the disk
            if self._folder:
                (self._folder / f"found-{split}.arrow").unlink(missing_ok=True)
        store, start = cleaner.finish(as_table=self._folder is not None), 0
        for split, count in sizes.items():
            own = slice(start, start + count)
            words = store.songs[own][~store.is_empty[own]]
            repeated = len(words) - len(np.unique(words))
            found[split].decide(*pairs.describe_left_out(split, count, credit_lines[split], repeated))
            start += count
        return store, sizes

    # -------------------------------------------------------------------------------- pairs
    def _write(self, chosen: Chosen, splits: list[str], prepared: dict[str, Rows]) -> list[str]:
        """Write the pairs of all splits, and return the prefix tokens of the training songs."""
        store, styles, end = chosen.store, set(), 0
        self._pair_writers = {split: self._writer(f"{split}.arrow", ("source", "target")) for split in prepared}
        writers = [self._pair_writers.get(split) for split in splits]
        train = splits.index("train") if "train" in splits else -1
        with Progress(len(store), "pair lines", unit="song") as progress:
            songs = zip(store.rows, chosen.member.tolist(), chosen.is_kept.tolist(), store.pairs_of_song.tolist(), strict=True)
            for row, split, is_kept, count in songs:
                progress.update()
                start, end = end, end + count
                if split == train:
                    styles.add(row["prefix"])
                writer = writers[split]
                if not is_kept or writer is None:
                    continue
                found = pairs.line_pairs(split_sections(row["sections"]), self.options.context_lines)
                for (context, target), is_new in zip(found, chosen.is_new[start:end].tolist(), strict=True):
                    if is_new:
                        writer.append({"source": pairs.join_source(context, row["prefix"]), "target": target})
        for split, writer in self._pair_writers.items():
            prepared[split].rows = writer.finish(as_table=self._folder is not None)
        return sorted(styles - {""})

    def _keep_lines(self, chosen: Chosen, train: int) -> StoredLines:
        """Return the different lines of the training songs."""
        arrays = self._arrays(LINES, PLACES)
        arrays.append(lines_of_song=chosen.store.lines_of_song)
        write_line_places(chosen, train, arrays)
        return StoredLines(chosen.store.rows, chosen.store.lines_of_song, arrays.load()["places"])

    # -------------------------------------------------------------------------------- where it is written
    def _say(self, message: str) -> None:
        print_info(message)
        self.said.append(message)

    def _writer(self, name: str, names: Sequence[str], note: Callable[[int], None] | None = None) -> RowWriter:
        return RowWriter(names, partial(create_file, self._folder / name) if self._folder else None, self.warn, note)

    def _note_progress(self, total: int, count: int) -> None:
        """Note how many songs are cleaned, for the processes that wait."""
        if self._folder:
            with contextlib.suppress(WriteError):
                write_progress(self._folder, count, total, "song")

    def _arrays(self, name: str, types: dict[str, str]) -> ArrayWriter:
        folder = self._folder / name if self._folder else None
        if folder:
            with contextlib.suppress(OSError):  # the writer says what is wrong
                folder.mkdir()
        return ArrayWriter(folder, types, self.warn)
