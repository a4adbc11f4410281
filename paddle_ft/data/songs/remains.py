"""What web pages and players leave in the text of a song: parts of Genius pages, and notices of other sites.

A page of Genius that was saved as text looks like this: "12 ContributorsTranslationsEspañolOpen Window Lyrics[Verse 1]", then the
lines, with "You might also like" in between, and at the end "in the night44Embed". Such texts are often joined without a line
break: "in the night44EmbedNext Title Lyrics[Intro]".
"""

from __future__ import annotations

import re

from paddle_ft.data.text import CJK_CHARACTERS, regex_class

_CJK = regex_class(CJK_CHARACTERS)

CONTRIBUTORS = r"\d{1,4} ?Contributors?"
_AFTER_TITLE = rf'(?=$|[\[("“A-Z{_CJK}])'  # what follows the word Lyrics: nothing, a section header or the first line of the song
TITLE = rf".*?\bLyrics{_AFTER_TITLE}(?:.*Read More)?"
EMBED = r"Embed(?:Share ?U[Rr][Ll]:?CopyEmbed:?Copy)?"

_TITLE = re.compile(f"^{TITLE}")
# The advertisement stands directly before the next line. With a space after it, it is a line of the song.
_SUGGESTION = r"You might also like(?=\s*$|\s*\[|[^\s,.!?;:…’)\]–—-])"
_PRICE = r"Get tickets as low as \$\d[\d.,]*"
_PROMOTION = re.compile(rf"(?:See (?:(?!See ).){{1,80}}? ?Live)?(?:(?:{_PRICE})?{_SUGGESTION}|{_PRICE})", re.MULTILINE)
# The number before Embed looks like digits that end the last line, so such digits are removed too.
_TAIL = re.compile(rf"(?:\d[\d.,]*[KM]?|(?<!\s)){EMBED}$")

MAX_NOTICE = 300  # characters; a longer line is no notice
_NOTICES = re.compile(
    r"Submit Corrections|Writer\(s\):.*|Songwriters?: .*|Translate to English|\**\s*This Lyrics is NOT for Commercial use\s*\**"
    r"|Thanks to .* for (?:adding|correcting|submitting)\b.*lyrics.*|Lyrics (?:licensed|provided|powered) .*|.*\bLyrics ©.*"
    r"|Source: (?:LyricFind|Musixmatch)|(?:https?://|www\.)\S+"
    r"|纯音乐[,，]?\s*请.{0,3}欣赏|此歌曲为没有填词的纯音乐.*|暂无歌词|.*未经.{0,12}(?:许可|授权|同意).*不得.*"
    r"|以下歌词翻译由.*提供|.*享有本翻译作品的著作权.*|(?:\W*)(?:本|此)?歌词(?:由|提供|来源|编辑|制作|贡献).*|更多.{0,8}歌词.*"
    r'|\{"t":\d+,"c":\[.*',  # the credits of NetEase's player
    re.IGNORECASE,
)


def separate_lines(text: str) -> tuple[str, int]:
    """Return a text with a line break instead of each advertisement in the middle of a line, and the number of these."""
    count = 0

    def separate(match: re.Match[str]) -> str:
        nonlocal count
        is_glued = not text[match.start() - 1 : match.start()].isspace() and not text[match.end() : match.end() + 1].isspace()
        if match.start() == 0 or match.end() == len(text) or not is_glued:
            return match[0]
        count += 1
        return "\n"

    return _PROMOTION.sub(separate, text), count


def remove_remains(line: str, at_start: bool) -> tuple[str, bool]:
    """Return a line without what is left of its web page, and whether the page of the song ends with the line.

    Args:
        line: the line, without space around it.
        at_start: whether it is the first line of a song.
    """
    if len(line) <= MAX_NOTICE and _NOTICES.fullmatch(line):
        return "", False
    line = _PROMOTION.sub("", line)
    if at_start:
        line = _TITLE.sub("", line)
    without_tail = _TAIL.sub("", line)
    return without_tail.strip(), without_tail != line
