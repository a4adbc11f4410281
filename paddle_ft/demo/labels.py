"""Texts of the demo page in English and Chinese."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LANGUAGES = {"zh": "中文", "en": "English"}


@dataclass(frozen=True)
class Label:
    """A text in both languages. It may have {placeholders}.

    Attributes:
        en: the English text.
        zh: the Chinese text.
    """

    en: str
    zh: str

    def text(self, language: str) -> str:
        """Return the text in a language of LANGUAGES."""
        return self.zh if language == "zh" else self.en

    def format(self, **values: Any) -> Label:
        """Return the label with its placeholders filled in. A value may be a label itself."""
        return Label(*(self.text(key).format(**{
            name: value.text(key) if isinstance(value, Label) else value for name, value in values.items()
        }) for key in ("en", "zh")))  # fmt: skip

    @classmethod
    def same(cls, text: str) -> Label:
        """Return a label that is the same in both languages, such as a name or a message of the library."""
        return cls(text, text)


NOTHING = Label("", "")


def choose_language(accepted: str | None) -> str:
    """Return the language of LANGUAGES that a browser prefers.

    Args:
        accepted: the browser's header Accept-Language, such as "zh-CN,zh;q=0.9,en;q=0.8". Without one the page is English.
    """
    best, best_quality = "en", 0.0
    for part in (accepted or "").split(","):
        name, _, parameters = part.strip().partition(";")
        language = name.split("-")[0].lower()
        try:
            quality = float(parameters.strip().removeprefix("q=") or 1)
        except ValueError:
            quality = 0.0
        if language in LANGUAGES and quality > best_quality:
            best, best_quality = language, quality
    return best
