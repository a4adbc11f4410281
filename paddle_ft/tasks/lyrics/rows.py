"""Select the songs of a split by genre or artist, as task.only and task.prefix say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from paddle_ft.data.rows import Rows
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import did_you_mean
from paddle_ft.tasks.lyrics.pairs import prefix_token


def select_songs(rows: Rows, split: str, options) -> Iterator[tuple[str, str] | None]:
    """Yield the songs of a split that task.only selects.

    Args:
        rows: the songs as read.
        split: name of the split, for error messages.
        options: the lyrics task's options; only, prefix and style are used.

    Yields:
        The lyrics and the prefix of each song, None for a song that is not selected. The prefix is "" unless task.prefix is set.

    Raises:
        UserError: songs have no genre (or artist) although the options need it, or no song has a genre of task.only.
    """
    style = options.style
    if not (options.only or options.prefix):
        yield from ((row["lyrics"], "") for row in rows.rows)
        return
    counts = Counter(_normalize(row.get(style) or "") for row in rows.rows)
    without_style = counts.pop("", 0)
    if not counts or (options.prefix and without_style):
        raise UserError(
            f"data.{split}: {without_style} of {len(rows):,} songs have no {style}, which task.only and task.prefix need. Map"
            f" it with data.columns={{{style}: COLUMN}}; for .txt files it is the folder they are in."
        )
    only = [options.only] if isinstance(options.only, str) else options.only
    selected = [_normalize(name) for name in only or counts]
    for name in selected:
        if name not in counts:
            raise UserError(_describe_missing_style(name, style, split, counts))
    for row in rows.rows:
        name = _normalize(row.get(style) or "")
        yield (row["lyrics"], prefix_token(name) if options.prefix else "") if name in selected else None


def _describe_missing_style(name: str, style: str, split: str, counts: Counter) -> str:
    known = ", ".join(f"{known} ({count:,})" for known, count in counts.most_common(20))
    return f"task.only: no song of {split} has the {style} {name!r}.{did_you_mean(name, list(counts))} There is {known}."


def _normalize(style: str) -> str:
    return " ".join(style.lower().split())
