"""Adapt links for the site that mkdocs builds: pages may link to files of the repository that are outside docs/.

In the repository such a link opens the file. On the site, CONTRIBUTING.md and the like are pages too, and a link to any other
file (the README, a module) becomes its text, because the site does not contain it. A link to a file that does not exist is left
as it is, so that the strict build reports it.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File, InclusionLevel

ROOT = Path(__file__).resolve().parents[2]
TOP_PAGES = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")  # files of the top folder that are pages of the site too
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
# What the theme writes on every page, in the words of its own Chinese translation. The theme has one language for all pages.
CHINESE = {
    '<html lang="en"': '<html lang="zh"',
    "Table of contents": "目录",
    "Back to top": "回到页面顶部",
}
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_files(files, config):
    """Add the pages of the top folder to those of docs/."""
    for name in TOP_PAGES:
        if (ROOT / name).is_file():
            files.append(File.generated(config, name, abs_src_path=str(ROOT / name), inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown, page, config, files):
    """Return the page with its links adapted; blocks of code stay as they are."""
    is_top_page = page.file.src_uri in TOP_PAGES
    folder = "" if is_top_page else posixpath.join("docs", posixpath.dirname(page.file.src_uri))

    def adapt(match):
        mark, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        if ":" in target:
            return match[0]
        path = posixpath.normpath(posixpath.join(folder, target))  # from the top folder
        if path in TOP_PAGES and (ROOT / path).is_file():
            uri = path
        elif path.startswith("docs/"):
            uri = path.removeprefix("docs/")
        else:
            return text if (ROOT / path).exists() and not mark else match[0]
        if (ROOT / path).is_dir():
            return text
        return f"{mark}[{text}]({posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or '.')}{anchor})"

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(adapt, part) for part in parts)


def on_post_page(output, page, config):
    """Return the HTML of a page; on a Chinese page the theme's words are Chinese."""
    if page.file.src_uri.startswith("zh/"):
        for english, chinese in CHINESE.items():
            output = output.replace(english, chinese)
    return output
