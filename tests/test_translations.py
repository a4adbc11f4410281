"""Test that a Chinese page says what its English page says: the same commands, figures, code, messages and links."""

import re
from collections import Counter

import pytest

from tests.support.pages import read, without_code
from tests.support.paths import ROOT

PLACEHOLDERS = {"你的镜像地址": "YOUR_MIRROR"}
OTHER_NAMES = {"quickstart.md": "index.md"}  # the English quickstart is the first page of the site
CHINESE_PAGES = [path.name for path in (ROOT / "docs" / "zh").glob("*.md")]
TRANSLATED = {f"docs/zh/{name}": f"docs/{OTHER_NAMES.get(name, name)}" for name in CHINESE_PAGES}
PAIRS = {"README.zh-CN.md": "README.md", **TRANSLATED}


def text_of(name: str) -> str:
    text = read(name)
    for chinese, english in PLACEHOLDERS.items():
        text = text.replace(chinese, english)
    return text


EXPLAINED_FILE = re.compile(r"^(  \S*[./]\S*(?: \S*[./]\S*)?) +[^\W\d].*")  # a line of a folder's listing: "  name   what it is"


def blocks(name: str) -> list[str]:
    """Return the lines of a page's blocks of code, without empty lines, comments, and what a listing says about a file.

    So these lines are the commands, and the messages and tables that a page quotes.
    """
    fenced = re.findall(r"^```.*\n((?:.*\n)*?)^```", text_of(name), re.MULTILINE)
    lines = [re.sub(r"(^|\s)#\s.*", "", line).rstrip() for block in fenced for line in block.splitlines()]
    return [EXPLAINED_FILE.sub(r"\1", line) for line in lines if line]


def inline_code(name: str) -> set[str]:
    """Return the code within the sentences of a page."""
    return {" ".join(code.split()) for code in re.findall(r"`([^`]+)`", without_code(text_of(name)))}


def figures(name: str) -> Counter:
    """Return the numbers in a page's sentences and tables, with how often each is there."""
    text = re.sub(r"`[^`]+`|\]\([^)]*\)", " ", without_code(text_of(name)))
    return Counter(re.findall(r"\d+(?:[.,]\d+)*", text))


def tables(name: str) -> list[list[set[str]]]:
    """Return the rows of a page's tables. A row is a list of its cells, and a cell the set of its numbers and codes."""
    rows = [re.split(r" *\| *", line.strip())[1:-1] for line in without_code(text_of(name)).splitlines() if line.startswith("|")]
    return [[set(re.findall(r"`[^`]+`|\d+(?:[.,]\d+)*", cell)) for cell in row] for row in rows]


def linked(name: str) -> set[str]:
    """Return the files of the repository that a page links to. A page with a translation counts as its English one."""
    folder = (ROOT / name).parent
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", without_code(read(name)))]
    paths = {str((folder / target).resolve().relative_to(ROOT)) for target in targets if target and "://" not in target}
    english = {path.replace("_en.ipynb", ".ipynb") for path in paths}  # a notebook in either language is the same one
    return {PAIRS.get(path, path) for path in english} - {PAIRS.get(name, name)}


def test_every_page_in_chinese_has_one_in_english():
    assert {english for english in PAIRS.values() if not (ROOT / english).is_file()} == set()
    assert {"docs/zh/quickstart.md", "docs/zh/own-data.md", "docs/zh/troubleshooting.md"} <= set(TRANSLATED)


@pytest.mark.parametrize("chinese", PAIRS)
def test_the_blocks_of_code_are_the_same(chinese):
    """Sorted, because the pages may tell things in another order: the Chinese one begins with AI Studio."""
    assert sorted(blocks(chinese)) == sorted(blocks(PAIRS[chinese]))


@pytest.mark.parametrize("chinese", PAIRS)
def test_the_tables_have_the_same_figures_and_names(chinese):
    assert tables(chinese) == tables(PAIRS[chinese])


@pytest.mark.parametrize("chinese", PAIRS)
def test_the_commands_and_figures_in_sentences_are_the_same(chinese):
    english = PAIRS[chinese]
    assert {code for code in inline_code(english) ^ inline_code(chinese) if " " in code} == set()
    assert figures(chinese) == figures(english)


def test_the_readmes_lead_to_each_other_and_to_the_same_pages():
    assert "[中文](README.zh-CN.md)" in read("README.md").split("##")[0]
    assert "[English](README.md)" in read("README.zh-CN.md").split("##")[0]
    assert linked("README.zh-CN.md") == linked("README.md") - {"README.zh-CN.md"}


def test_the_readme_leads_to_every_page_of_the_site():
    navigation = read("mkdocs.yml").partition("\nnav:")[2]
    english = {f"docs/{page}" for page in re.findall(r": (\S+\.md)$", navigation, re.MULTILINE) if not page.startswith("zh/")}
    assert len(english) > 10
    assert english - linked("README.md") == set()


def test_the_readme_is_short():
    assert all(len(read(name).splitlines()) <= 150 for name in ("README.md", "README.zh-CN.md"))
