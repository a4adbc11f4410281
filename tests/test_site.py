"""Test that docs/ builds as a site without a warning, that the site needs no other host, and that a broken link stops the build."""

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.pages import PAGES
from tests.support.paths import ROOT


def build(root: Path, target: Path) -> subprocess.CompletedProcess:
    """Build the site of a copy of the repository, as `make site` does."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(root / "mkdocs.yml"), "-d", str(target)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "true"}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site."""
    target = tmp_path_factory.mktemp("site")
    done = build(ROOT, target)
    assert done.returncode == 0, done.stderr
    return target


def copy_sources(root: Path) -> None:
    """Copy what the site is made from to a new folder."""
    shutil.copytree(ROOT / "docs", root / "docs", ignore=shutil.ignore_patterns("runs"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, root)


def append(page: Path, text: str) -> None:
    page.write_text(f"{page.read_text(encoding='utf-8')}\n{text}\n", encoding="utf-8")


@pytest.fixture(scope="module")
def changed_site(tmp_path_factory) -> Path:
    """The site of changed pages: with Chinese, and with links out of docs/."""
    root = tmp_path_factory.mktemp("changed")
    copy_sources(root)
    append(root / "docs" / "index.md", "## 自己的数据\n\n从零开始训练模型")
    text = "# Contributing\n\nSee [speed](docs/speed.md) and [the readme](README.md). ![The rooms](docs/rooms.svg)\n"
    (root / "CONTRIBUTING.md").write_text(text)
    append(root / "docs" / "speed.md", "[how to help](../CONTRIBUTING.md#contributing), [first](../README.md)")
    done = build(root, root / "site")
    assert done.returncode == 0, done.stderr
    return root / "site"


class Loaded(HTMLParser):
    """Collect the addresses that a browser loads with a page: all but those of plain links."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attrs):
        if tag != "a":
            self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "data") and value]


def test_the_site_has_every_page(site):
    pages = {name.removeprefix("docs/").removesuffix(".md") for name in PAGES if name.startswith("docs/")}
    assert pages <= {str(path.relative_to(site).with_suffix("")) for path in site.rglob("*.html")}


def test_every_block_of_code_is_a_block_on_the_site(site):
    for name in PAGES:
        if name.startswith("docs/"):
            html = (site / name.removeprefix("docs/")).with_suffix(".html").read_text(encoding="utf-8")
            fences = re.findall(r"^\s*```", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
            assert html.count("<pre") * 2 == len(fences), name


def test_the_themes_words_are_chinese_on_chinese_pages(site):
    for path in site.rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        is_chinese = path.parent == site / "zh"
        assert ('<html lang="zh"' in html, "目录" in html) == (is_chinese, is_chinese), path
        assert is_chinese != ("Back to top" in html), path
        assert not (is_chinese and "Table of contents" in html), path


def test_pages_load_nothing_from_other_hosts(site):
    loaded = set()
    for path in site.rglob("*.html"):
        parser = Loaded()
        parser.feed(path.read_text(encoding="utf-8"))
        loaded |= {address for address in parser.addresses if re.match(r"(?:\w+:)?//", address)}
    assert loaded == set()
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//|@import", path.read_text(encoding="utf-8")), path


def test_examples_can_be_downloaded_and_scripts_of_the_site_cannot(site):
    assert (site / "examples" / "my_task.py").is_file()
    assert not list(site.glob("assets/*.py"))


def test_chinese_text_is_cut_into_words_for_the_search(changed_site):
    index = json.loads((changed_site / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert index["config"]["lang"] == ["en", "zh"]
    (section,) = [section for section in index["docs"] if section["location"].endswith("#自己的数据")]
    assert "模型" in section["text"].split("\u200b")


def test_links_out_of_the_site_become_text_and_pages_of_the_top_folder_are_on_it(changed_site):
    speed = (changed_site / "speed.html").read_text(encoding="utf-8")
    assert '<a href="CONTRIBUTING.html#contributing">how to help</a>, first</p>' in speed
    contributing = (changed_site / "CONTRIBUTING.html").read_text(encoding="utf-8")
    assert 'See <a href="speed.html">speed</a> and the readme. <img alt="The rooms" src="rooms.svg" />' in contributing


def test_broken_links_and_pages_that_are_not_in_the_navigation_stop_the_build(tmp_path):
    """One build names them all: a missing page, heading, picture, and file outside docs/, and a forgotten page."""
    copy_sources(tmp_path)
    links = "[page](nothing.md) [heading](install.md#no-such-heading) ![picture](nothing.png) [outside](../NOTHING.md)"
    append(tmp_path / "docs" / "speed.md", links)
    (tmp_path / "docs" / "forgotten.md").write_text("# Forgotten\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1 and "Aborted with 5 warnings in strict mode!" in done.stdout + done.stderr, done
    warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING") and "speed.md" in line]
    assert len(warnings) == 4, done.stderr
    for target in ("nothing.md", "no-such-heading", "nothing.png", "NOTHING.md"):
        assert sum(target in line for line in warnings) == 1, done.stderr
    assert "forgotten.md" in done.stderr
