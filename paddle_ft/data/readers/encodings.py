"""Find out in which encoding a file is, and decode its bytes. Say where bytes are wrong, and which encoding they probably are."""

from __future__ import annotations

import contextlib
import re

from paddle_ft.data.text import HAN_COMMON, regex_class

BOM = b"\xef\xbb\xbf"
_MARKS = {  # in the order in which they must be tried, because UTF-32's begins with UTF-16's
    b"\xff\xfe\0\0": "utf-32-le",
    b"\0\0\xfe\xff": "utf-32-be",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}
_WESTERN = re.compile(rb"[A-Za-z][\xc0-\xff](?![\x80-\xff])")  # a letter with an accent in a word
MIN_HAN = 6  # characters by which Big5 is recognised
_HAN = re.compile(f"[{regex_class(HAN_COMMON)}]")

UNDECODED = re.compile("[\udc80-\udcff]")  # errors="surrogateescape" puts these in place of bytes that cannot be decoded

Line = tuple[str, str | None]
"""(text, None), or (text with escapes, reason) for bytes that cannot be decoded."""


def marked_encoding(head: bytes) -> tuple[str | None, int]:
    """Return the encoding that the byte order mark at the start of a file names, or None, and the number of bytes of the mark."""
    if head.startswith(BOM):
        return "utf-8", len(BOM)
    return next(((name, len(mark)) for mark, name in _MARKS.items() if head.startswith(mark)), (None, 0))


def likely_utf16(head: bytes) -> str | None:
    """Return utf-16-le or utf-16-be if the start of a file looks like that without a byte order mark, else None."""
    for name, zeros in (("utf-16-le", head[1:400:2]), ("utf-16-be", head[0:400:2])):
        if len(zeros) >= 8 and zeros.count(0) > len(zeros) / 2:  # ASCII characters have a zero byte
            return name
    return None


def decode(raw: bytes, encoding: str, start: int = 0) -> Line:
    """Return bytes as text.

    Args:
        raw: the bytes of a line or a text.
        encoding: a Python codec, but none of WIDE.
        start: position of the bytes in the file, for the reason.
    """
    try:
        return raw.decode(encoding), None
    except UnicodeDecodeError as error:
        reason = describe_bad_bytes(raw, encoding, start + error.start)
    try:
        return raw.decode(encoding, "surrogateescape"), reason
    except UnicodeDecodeError:  # the codec fails at an ASCII byte, which cannot be escaped
        return raw.decode(encoding, "replace"), reason


def describe_bad_bytes(raw: bytes, encoding: str, offset: int) -> str:
    """Return a message about bytes that are not in an encoding. For UTF-8 it names the encoding that they probably are in.

    Args:
        raw: the bytes of the line or text.
        encoding: the encoding.
        offset: position of the first bad byte in the file.
    """
    reason = f"invalid {encoding.upper()} at byte {offset} of the file"
    if encoding != "utf-8":
        return reason
    if name := _big5_codec(raw):
        return f"{reason}; it looks like Big5: read it as that with data.encoding={name}"
    if _is_gbk(raw):
        return f"{reason}; it looks like GBK: read it as that with data.encoding=gb18030"
    if _WESTERN.search(raw):
        return f"{reason}; it may be Western European: read it as that with data.encoding=cp1252"
    return reason


def _big5_codec(raw: bytes) -> str | None:
    """Return the codec of bytes that are probably Big5, else None.

    Second bytes below 0x7F, which four of ten characters of a Big5 text have, tell it from text in GB 2312. Nearly all Han
    characters of a real text are among the frequent ones of Big5, whose first bytes are 0xA4 to 0xC6.
    """
    for name in ("big5", "cp950", "big5hkscs"):
        with contextlib.suppress(UnicodeDecodeError):
            codes = [character.encode(name) for character in _HAN.findall(raw.decode(name))]
            frequent = sum(0xA4 <= code[0] <= 0xC6 for code in codes)
            low = sum(code[1] < 0x7F for code in codes)
            if len(codes) >= MIN_HAN and frequent >= 0.9 * len(codes) and low >= 0.15 * len(codes):
                return name
    return None


def _is_gbk(raw: bytes) -> bool:
    """Return whether bytes are probably GBK: most Han characters of a real text are in GB 2312 too."""
    try:
        characters = _HAN.findall(raw.decode("gb18030"))
    except UnicodeDecodeError:
        return False
    return len("".join(characters).encode("gb2312", "ignore")) > len(characters)  # two bytes each


def is_utf8(raw: bytes) -> bool:
    """Return whether bytes are valid UTF-8."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
