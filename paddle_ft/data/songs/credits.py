"""Recognise lines that say who wrote, played or recorded a song: 作词 : 方文山, 混音工程师：..., Produced by Somebody."""

from __future__ import annotations

import re

from paddle_ft.data.text import CJK_CHARACTERS, regex_class

# A role consists of one or more of these words, with / or & between them: 词/曲, 音乐制作人, 混音、母带, 第一小提琴, 录音室.
_WRITERS = "作词|作詞|填词|填詞|作曲|谱曲|譜曲|词|詞|曲"
_WORKS = "|".join(
    (
        "编曲|編曲|改编|改編|原曲|编写|編寫|演唱|原唱|翻唱|主唱|歌手|艺人|藝人|歌名|歌曲|专辑|專輯|唱片|音乐|音樂|翻译|翻譯",
        "制作|製作|监制|監製|出品|发行|發行|混音|缩混|縮混|录音|錄音|录制|錄製|母带|母帶|修音|音频|采样|后期|後期|工程",
        "和声|和聲|合声|合聲|和音|伴唱|配唱|配器|人声|人聲|吉他|结他|贝斯|貝斯|架子鼓|鼓|键盘|鍵盤|钢琴|鋼琴|弦乐|弦樂",
        "小提琴|中提琴|大提琴|提琴|二胡|笛子|竹笛|笛|箫|古筝|古琴|琵琶|唢呐|萨克斯|小号|长号|圆号|口琴|打击乐|合成器",
        "乐器|樂器|乐队|樂隊|乐团|樂團|演奏|指挥|指揮|统筹|統籌|企划|企劃|策划|策劃|宣发|宣传|宣傳|营销|推广|项目",
        "封面|视觉|设计|設計|导演|总监|總監|经纪|經紀|版权|版權|编辑|編輯|协力|鸣谢|鳴謝|工作室|OP|SP|ISRC",
    )
)
_BEFORE, _AFTER = "第一|第二|电|電|木|主音|联合|特别|特別|执行|執行", "师|師|人|者|手|室|棚|助理|公司"
_BETWEEN = r"[\s/／&、,，+·]*"
_CHINESE = re.compile(
    rf"^(?=[^:：]{{1,40}}[:：])(?:(?:{_BEFORE}){_BETWEEN})*(?:(?:{_WRITERS}|{_WORKS})(?:{_AFTER})*{_BETWEEN}(?:{_BEFORE})*)+"
    r"(?:[A-Za-z][A-Za-z ./&-]*)?[:：].*$"  # 混音师 Mixing Engineer：...
)
_CHINESE_WITHOUT_COLON = re.compile(r"^(?:作词|作詞|填词|填詞|作曲|编曲|編曲)\s+\S{1,20}$")
_WRITER = re.compile(
    rf"^(?:{_WRITERS})(?:{_BETWEEN}(?:{_WRITERS}|编曲|編曲))*者?人?\s*[:：\s]|^(?:lyrics?|music|words|written|composed)\b",
    re.IGNORECASE,
)
_ENGLISH_ROLE = (
    r"(?:lyrics?|words|music|written|composed|arranged|produced|mixed|mastered|recorded|performed|vocals|guitars?|bass|drums|piano)"
)
_ENGLISH = re.compile(
    rf"^{_ENGLISH_ROLE}(?:(?:\s*(?:,|&|/|and)\s*){_ENGLISH_ROLE})*\s+by\s*[:：]?\s*(?P<names>\S.*)$"
    r"|^(?:lyricist|composer|arranger|producers?|mixing(?: engineer)?|mastering(?: engineer)?|executive producer|label|isrc|[os]p)"
    r"\s*[:：]\s*(?P<more>\S.*)$",
    re.IGNORECASE,
)

TIMES = r"\s*[\[(（]?\s*(?:x\s*\d+|\d+\s*x)\s*[\])）]?"
_SMALL_WORDS = {"and", "feat", "featuring", "ft", "with", "x", "of", "the", "da", "de", "la"}  # not capitalised in singers' names
_HAN_RUN = re.compile(rf"[{regex_class(CJK_CHARACTERS)}]{{5,}}")


def is_credit(line: str) -> bool:
    """Return whether a line says who made the song."""
    if _CHINESE.match(line) or _CHINESE_WITHOUT_COLON.match(line):
        return True
    english = _ENGLISH.match(line)
    return english is not None and has_names_only(english["names"] or english["more"])


def names_writer(line: str) -> bool:
    """Return whether a line names the writer of words or music, which lyrics sites and players put at the start of a song."""
    return is_credit(line) and _WRITER.match(line) is not None


def has_names_only(text: str) -> bool:
    """Return whether a text consists of names, and of how often something is sung: a few words, most of them capitalised."""
    text = re.sub(f"{TIMES}$", "", text, flags=re.IGNORECASE)
    words = re.findall(r"[^\W_]+(?:['’.-][^\W_]+)*", text)
    if len(words) > 6 or "I" in words or text.endswith(("!", "?", ",")) or _HAN_RUN.search(text):
        return False
    return all(not word[0].islower() or word in _SMALL_WORDS for word in words)
