"""The pages of the documentation, and other files that name files, modules and commands of the repository."""

import re
from collections.abc import Iterator

from tests.support.paths import ROOT

PAGES = [
    *sorted(path.name for path in ROOT.glob("*.md")),
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
]
FILES = [
    *PAGES, "Makefile", "pyproject.toml", ".ci/run", *sorted(path.name for path in ROOT.glob("requirements*.txt")),
    *sorted(str(path.relative_to(ROOT))
            for folder in ("paddle_ft", "convert", "setup", "benchmarks", "configs", "docs", "notebooks")
            for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".yaml", ".html")),
]  # fmt: skip


def read(name: str) -> str:
    """Return the text of a file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def files_on_page(name: str) -> dict[str, str]:
    """Return path -> text of the files that a page tells its reader to write: a line `PATH`: and a block of code."""
    files = re.findall(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", read(name), re.MULTILINE | re.DOTALL)
    return dict(files)


def without_code(text: str) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def code_lines(text: str) -> Iterator[str]:
    """Yield the lines of code of a page: those of blocks, with continued lines joined, and code within a sentence.

    Blocks in Python or YAML are left out: the commands that they name stand in a docstring or comment.
    """
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    blocks = [block for language, block in fenced if language not in ("python", "yaml")]
    blocks += re.findall(r"(?:^    .*\n)+", without_code(text), re.MULTILINE)
    for block in blocks:
        joined = re.sub(r'"[^"]*"', lambda quoted: re.sub(r"\s*\n\s*", " ", quoted[0]), block)
        yield from re.sub(r"\\\n\s*", "", joined).splitlines()
    yield from (" ".join(code.split()) for code in re.findall(r"`([^`]+)`", without_code(text)))
