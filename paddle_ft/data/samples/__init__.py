"""Texts written by us, generated from templates, for `--sample` runs. One module a sample, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable
from types import ModuleType

from paddle_ft.errors import UserError

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")


def sample(source: str) -> ModuleType:
    """The module for "sample:NAME"; its rows(split, seed=2022) are the data. Raises UserError for an unknown name."""
    name = source.removeprefix("sample:")
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    if name not in names:
        raise UserError(f"data.source: there is no sample {name!r}; there is {', '.join(names)}")
    return importlib.import_module(f"{__name__}.{name}")


def character_vocab(texts: Iterable[str]) -> list[str]:
    """The lines of a vocab.txt for BertTokenizer in which nothing of `texts` becomes [UNK]; words fall into characters.

    Chinese characters stand alone; of every other character there is also the ##form that continues a word. Letters are
    entered as they are and in small, so that the vocabulary serves with and without do_lower_case.
    """
    characters = {character for text in texts for character in text + text.lower() if not character.isspace()}
    ordered = sorted(characters)
    return SPECIAL_TOKENS + ordered + [f"##{one}" for one in ordered if not _HAN.match(one)]
