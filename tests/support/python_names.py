"""Find out from the source, without imports, whether a dotted name of our packages exists."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from tests.support.import_graph import parse
from tests.support.paths import ROOT

PACKAGES = ("paddle_ft", "convert", "setup", "benchmarks", "tests")


@functools.cache
def names_and_imports(path: Path) -> tuple[dict[str, set[str]], list[tuple[int, str]]]:
    """Read a file once, and return what it defines and what it imports from our packages.

    Returns:
        defined: name -> names of a class's members (no members: no class) for all that the module defines or imports, or that is in
            its __all__.
        imported: line and dotted name of every import, also those inside functions.
    """
    tree = parse(path)
    nodes = {name: value for node in tree.body for name, value in members(node).items()}
    listed = ast.literal_eval(nodes["__all__"].value) if "__all__" in nodes else []
    defined = {name: class_names(node) if isinstance(node, ast.ClassDef) else set() for name, node in nodes.items()}
    return {name: set() for name in listed} | defined, list(_own_imports(tree, path))


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
    names, _ = names_and_imports(module_file(parts[:length]))
    return rest[0] in names and (len(rest) == 1 or rest[1] in names[rest[0]])


def _own_imports(tree: ast.Module, path: Path) -> Iterator[tuple[int, str]]:
    package = list(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name.split(".")[0] in PACKAGES)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            if module.split(".")[0] in PACKAGES:
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
