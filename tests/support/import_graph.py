"""Find the imports of the packages, read from their source."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.support.paths import ROOT


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def python_files(folder: str) -> list[Path]:
    """Return the Python files of the repository below a folder, relative to the repository."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    """Return the dotted name of a module: "paddle_ft.tasks" for paddle_ft/tasks/__init__.py."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    """Return whether a dotted name is a module or a package of the repository."""
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or path.is_dir()


def imports(path: Path, tree: ast.Module | None = None) -> Iterable[tuple[int, str]]:
    """Return line and module of every import of a file, those inside functions included.

    `from package import name` is an import of package.name if that is a module, and otherwise of package.

    Args:
        path: the file, relative to the repository. It is read once.
        tree: its syntax tree, if it is not that of the file.
    """
    return _imports_of_file(path) if tree is None else _find_imports(path, tree)


@functools.cache
def _imports_of_file(path: Path) -> tuple[tuple[int, str], ...]:
    return tuple(_find_imports(path, parse(ROOT / path)))


def _find_imports(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    package = path.parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            names = {f"{module}.{alias.name}" for alias in node.names}
            modules = {name if is_module(name) else module for name in names}
            yield from ((node.lineno, name) for name in sorted(modules))


def room_of(module: str) -> str | None:
    """Return the room of a module: "tasks" for paddle_ft.tasks.base, "convert" for the converter, None for any other module."""
    package, _, rest = module.partition(".")
    if package == "convert":
        return "convert"
    return rest.split(".")[0] if package == "paddle_ft" and rest and not rest.startswith("__") else None


def room_imports() -> dict[str, set[str]]:
    """Return room -> the other rooms that its modules import, for every package and top-level module of paddle_ft, and convert."""
    graph: dict[str, set[str]] = {}
    for path in [*python_files("paddle_ft"), *python_files("convert")]:
        if room := room_of(module_name(path)):
            imported = {room_of(module) for _, module in imports(path)}
            graph.setdefault(room, set()).update(imported - {room, None})
    return graph
