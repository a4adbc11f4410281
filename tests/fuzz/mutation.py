"""Hypothesis strategies that break good input: bytes, files of a folder, and JSON."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# What is often not expected: ends of lines, controls, byte order marks, halves of characters, numbers at the ends of their range.
ODD_BYTES = (
    b"", b"\0", b"\n", b"\r\n", b"\r", b"\t", b" ", b'"', b"'", b"\\", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xf0\x9f",
    b"\x1b[31m", b"\x80", b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\0" * 8, b"-1", b"1e999", b"NaN", b"9" * 400, b"null", b"true",
    b"{", b"}", b"[", b"]", b"[" * 3000, b",", b":", b"=", b"../", b"/", b"%s", b"{}", b"$(touch x)", "中".encode(), "😀".encode(),
    "\u2028".encode(), b"a" * 5000,
)  # fmt: skip

ODD_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**400]), st.floats(),
    st.text(max_size=20), st.sampled_from(["", "null", "../x", "/", "a\0b", "\x1b[31m", "x" * 5000, "\ud800"]), st.just([]),
    st.just({}), st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
    st.just([[[[[[]]]]]]),
)  # fmt: skip


@st.composite
def mutated(draw, seeds: Sequence[bytes], words: Sequence[bytes] = (), most: int = 6) -> bytes:
    """Return one of the seeds with up to `most` changes: bytes overwritten, inserted, removed or repeated, or the end cut off.

    Args:
        draw: hypothesis's.
        seeds: good contents.
        words: what is inserted beside ODD_BYTES, such as keywords of the format.
        most: the largest number of changes.
    """
    data = draw(st.sampled_from(seeds))
    odd = st.sampled_from((*ODD_BYTES, *words))
    for _ in range(draw(st.integers(1, most))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.one_of(st.integers(0, 8), st.integers(0, max(0, len(data) - start))))
        head, part, tail = data[:start], data[start : start + length], data[start + length :]
        change = draw(st.integers(0, 6))
        if change == 0:
            data = head + draw(odd) + part + tail
        elif change == 1:
            data = head + draw(odd) + tail
        elif change == 2:
            data = head + draw(st.binary(min_size=1, max_size=8)) + tail[max(0, 1 - length) :]
        elif change == 3:
            data = head + tail
        elif change == 4:
            data = head + part * draw(st.integers(2, 5)) + tail if len(data) < 1_000_000 else data
        elif change == 5:
            data = head + draw(st.sampled_from(seeds))[start:]
        else:
            data = head
    return data


def quickly_mutated(seeds: Sequence[bytes], words: Sequence[bytes] = (), most: int = 6) -> SearchStrategy[bytes]:
    """Return a strategy like `mutated` that draws only the number of changes and a seed for them.

    It makes cases some ten times faster. hypothesis can make a find smaller only by fewer changes.
    """
    return st.builds(lambda count, seed: _mutate(Random(seed), seeds, words, count), st.integers(1, most), st.integers(0, 2**48))


def _mutate(random: Random, seeds: Sequence[bytes], words: Sequence[bytes], count: int) -> bytes:
    data = random.choice(seeds)
    for _ in range(count):
        start = random.randint(0, len(data))
        length = random.choice((random.randint(0, 8), random.randint(0, len(data) - start)))
        head, part, tail = data[:start], data[start : start + length], data[start + length :]
        change = random.randint(0, 7)
        if change == 0:
            data = head + random.choice((*ODD_BYTES, *words)) + part + tail
        elif change == 1:
            data = head + random.choice((*ODD_BYTES, *words)) + tail
        elif change == 2:
            data = head + random.randbytes(random.randint(1, 8)) + tail
        elif change == 3:
            data = head + tail
        elif change == 4:
            data = head + part * random.randint(2, 5) + tail if len(data) < 1_000_000 else data
        elif change == 5:
            data = head + random.choice(seeds)[start:]
        elif change == 6 and data:  # a bit of a byte
            position = random.randrange(len(data))
            data = data[:position] + bytes([data[position] ^ (1 << random.randrange(8))]) + data[position + 1 :]
        else:
            data = head if random.random() < 0.2 else data
    return data


@st.composite
def mutated_files(draw, seeds: Sequence[Mapping[str, bytes]], words: Sequence[bytes] = (), most: int = 6) -> dict[str, bytes]:
    """Return the files of one of the seeds with one or two of them changed, missing, empty, or exchanged for another one's content.

    JSON (.json, and the lines of .jsonl) is half of the time changed as JSON, so that it stays readable and has wrong values.
    """
    files = dict(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(files)))
        change = draw(st.integers(0, 11))
        if change == 0 and len(files) > 1:
            del files[name]
        elif change == 1:
            files[name] = draw(st.sampled_from([b"", *files.values()]))
        elif change <= 6 and name.endswith((".json", ".jsonl")):
            files[name] = draw(mutated_json_text(files[name], lines=name.endswith(".jsonl")))
        else:
            files[name] = draw(mutated([files[name]], words, most))
    return files


@st.composite
def mutated_json_text(draw, content: bytes, lines: bool = False, most: int = 3) -> bytes:
    """Return JSON text with wrong values, or the same text if it is no JSON. lines: each line is a value; one is changed."""
    if lines:
        parts = content.split(b"\n")
        number = draw(st.integers(0, len(parts) - 1))
        parts[number] = draw(mutated_json_text(parts[number], most=most))
        return b"\n".join(parts)
    try:
        value = json.loads(content)
    except ValueError:
        return content
    return json.dumps(draw(mutated_json(value, most))).encode()


@st.composite
def mutated_json(draw, value: Any, most: int = 3) -> Any:
    """Return a copy of nested lists and dictionaries with up to `most` values replaced, removed, renamed or repeated."""
    value = {"": copy.deepcopy(value)}
    for _ in range(draw(st.integers(1, most))):
        parent: Any = value
        key: Any = ""
        while isinstance(parent[key], dict | list) and parent[key] and draw(st.integers(0, 3)):
            parent = parent[key]
            key = draw(st.sampled_from(sorted(parent, key=str) if isinstance(parent, dict) else range(len(parent))))
        change = draw(st.integers(0, 5)) if parent is not value else 0
        if change == 1:
            del parent[key]
            if not parent:
                break
        elif change == 2 and isinstance(parent, dict):
            parent[draw(st.text(max_size=10))] = parent.pop(key)
        elif change == 3 and isinstance(parent, list):
            parent.insert(0, parent[key])
        elif change == 4:
            parent[key] = [parent[key]]
        else:
            parent[key] = copy.deepcopy(draw(ODD_VALUES))  # a copy, because a later change may put something into it
    return value[""]


def one_file(name: str, contents: SearchStrategy[bytes]) -> SearchStrategy[dict[str, bytes]]:
    """Return inputs that consist of one file."""
    return contents.map(lambda content: {name: content})
