"""Write the notebooks from their sources: `make notebooks`, or `python -m notebooks.build`.

A source, source/NAME.md, has the text of each cell in Chinese and in English, and the code once:

    <!-- zh -->
    中文
    <!-- en -->
    English
    ```python
    code
    ```

It becomes NAME.ipynb in Chinese and NAME_en.ipynb in English, so the two cannot differ in what they run. Outputs are not kept: they
would show one machine on one day, and every run would change the files. Only the standard library is imported.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SUFFIXES = {"zh": "", "en": "_en"}
PART = re.compile(r"^<!-- (zh|en) -->\n(.*?)(?=^<!-- |^```python\n|\Z)|^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def read_source(text: str) -> list[tuple[str, str]]:
    """Return the parts of a source in order, as pairs of "zh", "en" or "code" and the content.

    Raises:
        ValueError: something is in no part, or a text is not in both languages, Chinese first.
    """
    if rest := PART.sub("", text).strip():
        raise ValueError(f"this is neither below a language's mark nor code: {rest[:80]!r}")
    parts = [(match[1] or "code", (match[2] or match[3] or "").strip("\n")) for match in PART.finditer(text)]
    languages = [kind for kind, _ in parts if kind != "code"]
    if languages != ["zh", "en"] * (len(languages) // 2):
        raise ValueError("a text is not in both languages, Chinese first")
    return parts


def make_notebook(parts: list[tuple[str, str]], language: str) -> str:
    """Return the content of the notebook in one language ("zh" or "en")."""
    cells = []
    for kind, content in parts:
        if kind not in (language, "code"):
            continue
        cell = {"cell_type": "code" if kind == "code" else "markdown", "id": f"cell-{len(cells)}", "metadata": {},
                "source": content.splitlines(keepends=True)}  # fmt: skip
        cells.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def notebooks() -> dict[Path, str]:
    """Return path -> content of all notebooks, as the sources say."""
    result = {}
    for source in sorted((FOLDER / "source").glob("*.md")):
        try:
            parts = read_source(source.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{source.name}: {error}") from None
        for language, suffix in SUFFIXES.items():
            result[FOLDER / f"{source.stem}{suffix}.ipynb"] = make_notebook(parts, language)
    return result


def main() -> int:
    """Write all notebooks, and remove those without a source."""
    contents = notebooks()
    for stale in set(FOLDER.glob("*.ipynb")) - contents.keys():
        stale.unlink()
    for path, content in contents.items():
        path.write_text(content, encoding="utf-8")
    print(f"{len(contents)} notebooks are written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
