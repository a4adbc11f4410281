"""Test that what pages and scripts name exists: files, link anchors, modules, functions, imports and settings."""

import functools
import re
import runpy
from pathlib import Path

import pytest

from paddle_ft.config.load import load_config
from paddle_ft.config.recipes import recipe_names
from tests.support.pages import FILES, PAGES, files_on_page, read, without_code
from tests.support.paths import ROOT
from tests.support.python_names import PACKAGES, dotted_name_exists, names_and_imports
from tests.support.settings import keys

FOLDERS = (*PACKAGES, "configs", "docs", "notebooks", r"\.ci")
PATH = re.compile(rf"(?<![\w./$-])(?:{'|'.join(FOLDERS)})/(?:[\w./*-]*(?:\.\w+|\*|/))?")
TOP_FILE = re.compile(r"(?<![\w./-])(?:requirements[\w*-]*\.txt|train\.py|Makefile|pyproject\.toml)(?![\w-])")
DOTTED = re.compile(rf"(?<![\w./-])(?:{'|'.join(PACKAGES)})(?:\.\w+)+")
FILE_ENDINGS = ("py", "md", "html", "toml", "yaml", "lock", "log", "json")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def without_old_names(text: str) -> str:
    """Return the page of renames without its columns of old names."""
    rows = [line.split("|") for line in text.splitlines()]
    return "\n".join("|".join([*cells[:-3], *cells[-2:]]) if len(cells) > 3 else cells[0] for cells in rows)


def text_of(name: str) -> str:
    """Return the text of a file in which every name should exist."""
    text = read(name)
    for path in files_on_page(name) if name.endswith(".md") else ():  # the reader writes these; tests/test_contributing.py does
        text = text.replace(path, "").replace(path.removesuffix(".py").replace("/", "."), "")
    return without_old_names(text) if name == "docs/renames.md" else text


# ---------------------------------------------------------------------------------------------------- files and anchors
def missing_paths(text: str) -> list[str]:
    """Return the paths of the repository that a text names and that do not exist. A * and a word in capitals stand for any name."""
    paths = [*PATH.findall(text), *TOP_FILE.findall(text)]
    patterns = {path: re.sub(r"\b[A-Z]+\b(?!\.md)", "*", path).rstrip("/") for path in paths if path != "Makefile"}
    return [path for path, pattern in patterns.items() if not any(ROOT.glob(pattern))]


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")


def broken_links(page: Path) -> list[str]:
    """Return the links of a page whose file or heading does not exist."""
    broken = []
    for target in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    return broken


def anchors(page: Path) -> list[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ +(.*)", without_code(page.read_text(encoding="utf-8")), re.MULTILINE)
    return [slug(heading) for heading in headings]


def test_missing_paths_and_broken_links_are_found(tmp_path):
    text = "`tests/nothing.py`, convert/*.py, configs/NAME.yaml, benchmarks/*.txt, model/tests/x.py"
    assert missing_paths(text) == ["tests/nothing.py", "benchmarks/*.txt"]
    (tmp_path / "other.md").write_text("# A *plain* heading: `x.y`\n```\n# no heading\n```\n")
    links = ["other.md", "other.md#a-plain-heading-xy", "#here", "https://x.y/z", "other.md#no-heading", "third.md", "#there"]
    page = "# Here\n" + " ".join(f"[text]({link})" for link in links)
    (tmp_path / "page.md").write_text(page)
    assert broken_links(tmp_path / "page.md") == ["other.md#no-heading", "third.md", "#there"]


def test_paths_exist():
    assert [f"{name}: {path}" for name in FILES for path in missing_paths(text_of(name))] == []


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    assert broken_links(ROOT / name) == []


@pytest.mark.parametrize("name", PAGES)
def test_python_files_are_named_with_their_folder(name):
    """A bare `lora.py` does not say where it is. Bare names are those of the top folder, and of a user's own files."""
    folders = (ROOT, ROOT / "docs" / "examples")
    files = re.findall(r"`(\w+\.py)`", text_of(name))
    assert [file for file in files if not any((folder / file).is_file() for folder in folders)] == []


# ---------------------------------------------------------------------------------------------------- dotted names
def missing_dotted_names(text: str) -> list[str]:
    """Return the dotted names of our packages in a text that do not exist. "convert.md" is a file and no such name."""
    names = dict.fromkeys(name for name in DOTTED.findall(text) if name.rsplit(".", 1)[1] not in FILE_ENDINGS)
    return [name for name in names if not dotted_name_exists(name)]


def test_missing_dotted_names_are_found():
    text = "paddle_ft.config.load.load_config, paddle_ft.system.world.World.rank, convert.to_paddle, convert.md,"
    wrong = ["paddle_ft.config.load.nothing", "paddle_ft.nothing", "paddle_ft.system.world.World.nothing", "setup.nothing"]
    assert missing_dotted_names(f"{text} {', '.join(wrong)}") == wrong


def test_dotted_names_exist():
    assert [f"{name}: {dotted}" for name in FILES for dotted in missing_dotted_names(text_of(name))] == []


def test_renames_hold():
    """On the page of renames, each new name is in the module of its row, and no old name is left in it."""
    rows = re.findall(r"^\| `([\w.]+)` \| (.*) \| (.*) \|$", read("docs/renames.md"), re.MULTILINE)
    assert len(rows) > 100
    wrong = []
    for module, old, new in rows:
        wrong += [f"{module} has no {name}" for name in code_names(new) if not dotted_name_exists(f"{module}.{name}")]
        for name in code_names(old):
            if dotted_name_exists(name if name.split(".")[0] in PACKAGES else f"{module}.{name}"):
                wrong.append(f"{module} still has {name}")
    assert not wrong, "\n".join(wrong)


def code_names(cell: str) -> list[str]:
    """Return the names in the code of a table's cell."""
    return [code for code in re.findall(r"`([^`]+)`", cell) if re.fullmatch(r"[\w.]+", code)]


def test_imports_find_what_they_name():
    """This includes imports inside functions, which fail only when the function runs."""
    files = [ROOT / "train.py", *(path for package in (*PACKAGES, "docs") for path in (ROOT / package).rglob("*.py"))]
    wrong = [f"{path.relative_to(ROOT)}:{line} imports {name}" for path in files for line, name in names_and_imports(path)[1]
             if not dotted_name_exists(name)]  # fmt: skip
    assert not wrong, "\n".join(wrong)


# ---------------------------------------------------------------------------------------------------- settings and packages
SETTING = re.compile(r"(?:model|data|train|eval|tracking|task|generation)(?:\.[a-z_][a-z_\d]*)+")


@functools.cache
def all_settings() -> set[str]:
    """Return the keys of all recipes, with those of every section that is off by default."""
    known = {key for name in recipe_names() for key in keys(load_config(name).model_dump())}
    return known | set(keys(load_config("distilbert_sst2", ["model.lora.rank=8"]).model_dump()))


@pytest.mark.parametrize("name", [page for page in PAGES if page != "docs/renames.md"])
def test_settings_exist(name):
    """A setting in code, such as `train.sharding` or `data.source=null`, is a key of some recipe."""
    named = {match[0] for code in re.findall(r"`([^`\n]+)`", without_code(read(name))) for match in SETTING.finditer(code)
             if code.startswith(match[0]) and match[0].rsplit(".", 1)[1] not in (*FILE_ENDINGS, "tsv", "txt", "jsonl")}  # fmt: skip
    assert {key for key in named if not key.startswith("model.config.")} - all_settings() == set()  # sizes: no fixed keys


def test_the_page_about_the_architecture_names_every_package():
    packages = re.findall(r"^\| `(paddle_ft/\w+)/` \|", read("docs/architecture.md"), re.MULTILINE)
    assert sorted(packages) == sorted(str(path.parent.relative_to(ROOT)) for path in ROOT.glob("paddle_ft/*/__init__.py"))


def test_the_extra_for_verify_is_installed_by_one_command():
    """CONTRIBUTING.md is not among the pages: who changes the code installs it with -e."""
    names = ["README.md", "README.zh-CN.md", *(name for name in PAGES if name.startswith("docs/"))]
    commands = {command for name in names for command in re.findall(r"pip install[^`\n]*\[verify\]'?", read(name))}
    assert commands == {"pip install '.[verify]'"}


def test_the_memory_table_has_a_row_for_every_recipe_that_its_script_measures():
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", read("docs/aistudio.md"), re.MULTILINE)
    measured = runpy.run_path(str(ROOT / "benchmarks" / "memory.py"))["RECIPES"]
    assert sorted(name for name, cells in rows if cells.count("|") == 7) == sorted(measured)
