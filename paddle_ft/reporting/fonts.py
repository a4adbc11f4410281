"""Choose the fonts of the plots. Matplotlib's own one has no Chinese characters: it draws boxes, and warns about each of them."""

from __future__ import annotations

from functools import lru_cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FuncFormatter

OWN_FONT = "DejaVu Sans"  # comes with Matplotlib
OWN_FORMULA = r"\mathdefault{"  # in the powers that Matplotlib writes at axes
# The usual fonts with Chinese characters on Linux, Windows and macOS. Of a collection Matplotlib reads the first font alone,
# which in Noto's is the Japanese one.
CHINESE_FONTS = [
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "Droid Sans Fallback", "Microsoft YaHei", "SimHei", "SimSun", "PingFang SC", "Hiragino Sans GB",
    "Heiti TC", "STHeiti", "Arial Unicode MS",
]  # fmt: skip


@lru_cache(maxsize=1)
def font_families() -> tuple[str, ...]:
    """Return the fonts of the plots: Matplotlib's own, and the first of CHINESE_FONTS that is installed."""
    installed = set(font_manager.get_font_names())
    return (OWN_FONT, *[name for name in CHINESE_FONTS if name in installed][:1])


def use_readable_fonts(figure: Figure) -> dict[str, str]:
    """Set all texts of a figure in these fonts, as they are written. Each one with characters that they lack becomes a number.

    Returns:
        "#1" -> the text that it stands for, to be shown beside the picture: pages have fonts of their own.
    """
    numbers: dict[str, str] = {}

    def readable(text: str) -> str:
        return text if is_readable(text) else numbers.setdefault(text, f"#{len(numbers) + 1}")

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if not isinstance(axis.get_major_formatter(), (FixedFormatter, FuncFormatter)):
                continue  # Matplotlib writes numbers
            labels = [label.get_text() for label in axis.get_ticklabels()]
            if not all(map(is_readable, labels)):  # an axis writes its labels again whenever it is drawn
                axis.set_ticks(axis.get_ticklocs(), [readable(label) for label in labels])
    for text in figure.findobj(Text):
        if "$" in text.get_text() and OWN_FORMULA not in text.get_text():
            text.set_parse_math(False)  # names have dollar signs that begin no formula
        if not text.get_text().isascii():
            text.set_fontfamily(list(font_families()))
            text.set_text(readable(text.get_text()))
    return {number: text for text, number in numbers.items()}


def is_readable(text: str) -> bool:
    """Return whether the fonts have all characters of a text."""
    fonts = [font_manager.get_font(font_manager.findfont(name)) for name in font_families()]
    return all(any(font.get_char_index(ord(character)) for font in fonts) for character in text if not character.isspace())
