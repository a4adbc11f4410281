"""The encodings of text files that can be read."""

from __future__ import annotations

import codecs

# Encodings whose characters have two or four bytes, so that lines do not end at the byte 0x0A.
WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")


def text_encoding(name: str) -> str:
    """Return Python's name of an encoding, such as gb18030 for GB18030.

    Raises:
        ValueError: there is none of that name, or it is none for files with lines.
    """
    examples = "for example utf-8, gb18030, big5, shift_jis, cp1252 or utf-16"
    try:
        known = codecs.lookup(name).name.removesuffix("-sig")  # a byte order mark is always looked for
        line_end = "\n".encode(known)
    except (LookupError, UnicodeError, ValueError, TypeError):
        raise ValueError(f"there is no encoding {name!r}; {examples}") from None
    if known not in WIDE and line_end != b"\n":
        raise ValueError(f"files in {name} cannot be read; {examples}")
    return known
