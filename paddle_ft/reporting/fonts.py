"""Choose the fonts of the plots. Matplotlib's own one has no Chinese characters: it draws boxes, and warns about each of them."""

from __future__ import annotations

from functools import lru_cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

OWN_FONT = "DejaVu Sans"  # comes with Matplotlib
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


def use_readable_fonts(figure: Figure) -> None:
    """Set all texts of a figure in these fonts. One with characters that they lack becomes its number in a legend, else nothing."""
    texts = [text for text in figure.findobj(Text) if not text.get_text().isascii()]
    for legend in figure.findobj(Legend):
        for number, text in enumerate(legend.get_texts(), start=1):
            if not is_readable(text.get_text()):
                text.set_text(f"#{number}")
    for text in texts:
        text.set_fontfamily(list(font_families()))
        if not is_readable(text.get_text()):
            text.set_text("")


def is_readable(text: str) -> bool:
    """Return whether the fonts have all characters of a text."""
    fonts = [font_manager.get_font(font_manager.findfont(name)) for name in font_families()]
    return all(any(font.get_char_index(ord(character)) for font in fonts) for character in text if not character.isspace())
