"""Find out from the source, without imports, whether a dotted name of our packages exists."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

PACKAGES = ("paddle_ft", "convert", "setup", "benchmarks", "tests")


@functools.cache
def defined_names(path: Path) -> dict[str, ast.AST]:
    """Return name -> node for all that a module defines or imports. Names that are only in __all__ have the value None."""
    names = {name: value for node in ast.parse(path.read_text(encoding="utf-8")).body for name, value in members(node).items()}
    return dict.fromkeys(ast.literal_eval(names["__all__"].value) if "__all__" in names else []) | names


def members(node: ast.AST) -> dict[str, ast.AST]:
    """Return name -> node for all that one statement defines or imports, also inside `if` and `try`."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name): node for alias in node.names}
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name: node}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {name.id: node for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    blocks = [getattr(node, block, []) for block in ("body", "orelse", "handlers")] if isinstance(node, ast.If | ast.Try) else []
    return {name: value for block in blocks for child in block for name, value in members(child).items()}


def class_names(node: ast.ClassDef) -> set[str]:
    """Return the names of a class: methods, fields, and attributes that a method sets on self."""
    names = {name for child in node.body for name in members(child)}
    return names | {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store)}


def module_file(parts: list[str]) -> Path | None:
    """Return the file of a module, or None if there is no such module."""
    path = ROOT.joinpath(*parts)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def dotted_name_exists(name: str) -> bool:
    """Return whether a module, a name in a module ("package.module.name"), or a member of a class ("module.Class.name") exists."""
    parts = name.split(".")
    length = next((n for n in range(len(parts), 0, -1) if module_file(parts[:n])), 0)
    rest = parts[length:]
    if not length:
        return (ROOT / parts[0]).is_dir() and len(parts) == 1
    if not rest:
        return True
    names = defined_names(module_file(parts[:length]))
    if rest[0] not in names or len(rest) == 1:
        return rest[0] in names
    node = names[rest[0]]
    return isinstance(node, ast.ClassDef) and rest[1] in class_names(node)


def own_imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and dotted name of every import from our packages, also those inside functions."""
    package = list(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name.split(".")[0] in PACKAGES)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            if module.split(".")[0] in PACKAGES:
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
