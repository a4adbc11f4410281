"""The structure of the code: who may import whom, where PaddleNLP is imported, and what has a docstring."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.draw_rooms import PICTURE, draw, place, without_shortcuts
from tests.support.import_graph import imports, module_name, parse, python_files, room_imports
from tests.support.paths import ROOT

LAYERS = ("system", "config", "data", "metrics", "tokenization", "models", "generation", "tasks", "runs", "reporting", "demo",
          "serving", "export", "publishing", "training", "experiments", "api", "commands", "cli")  # fmt: skip

# Modules of a higher layer that are named in a string and imported later, and why.
NAMED_UPWARD = {
    ("paddle_ft/config/load.py", "paddle_ft.tasks"): "the schema of a recipe has the options of its task, which is found by name",
    ("paddle_ft/models/architectures/bart.py", "paddle_ft.generation.adapters.bart.BartAdapter"): "a record names its classes",
    ("paddle_ft/models/architectures/gpt.py", "paddle_ft.generation.adapters.gpt.GPTAdapter"): "likewise",
    ("paddle_ft/models/architectures/bart.py", "paddle_ft.export.graphs.bart.bart_graphs"): "likewise",
    ("paddle_ft/models/architectures/gpt.py", "paddle_ft.export.graphs.gpt.gpt_graphs"): "likewise",
}

PADDLENLP_ROOMS = ("paddle_ft/models/", "paddle_ft/tokenization/")
PADDLENLP_FILES = {
    "paddle_ft/data/sources/builtin.py": "the data sets that PaddleNLP downloads are read through its own classes",
    "paddle_ft/system/runtime.py": "its logger is told to be quiet before anything else is imported",
}

DOCUMENTED = ("paddle_ft", "convert", "setup", "benchmarks")  # folders whose docstrings are checked
# Functions that every module of a room defines. The docstring of the room describes them once.
INTERFACES = {"paddle_ft/commands": ("add_arguments", "run")}
# first words of docstrings of modules and classes, where a plural such as "Rows" is no verb
VERBS = re.compile(
    "Adds|Appends|Applies|Builds|Calls|Changes|Checks|Counts|Decides|Downloads|Draws|Drops|Ends|Extends|Feeds|Gathers|Generates|"
    "Gives|Handles|Has|Imports|Keeps|Loads|Looks|Makes|Opens|Prints|Puts|Raises|Reads|Refuses|Removes|Replaces|Returns|Runs|Says|"
    "Sees|Sets|Shows|Takes|Tells|Tidies|Trains|Turns|Waits|Writes|Yields"
)


def layer(module: str) -> int | None:
    """Return the number of a module's layer, counted from below, or None for a module outside the layers."""
    room = module.split(".")[1] if module.startswith("paddle_ft.") else None
    return LAYERS.index(room) if room in LAYERS else None


def upward_imports() -> dict[tuple[str, str], int]:
    """Return (file, imported module) -> line of each import from a higher layer than the file's own."""
    found = {}
    for path in python_files("paddle_ft"):
        own = layer(module_name(path))
        for line, module in imports(path):
            imported = layer(module)
            if own is not None and imported is not None and imported > own:
                found[str(path), module] = line
    return found


def find_circle(graph: dict[str, set[str]]) -> list[str] | None:
    """Return the modules of one import circle, the first of them repeated at the end, or None."""
    done = set()

    def visit(module: str, trail: list[str]) -> list[str] | None:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in done:
            return None
        for imported in sorted(graph.get(module, ())):
            if circle := visit(imported, [*trail, module]):
                return circle
        done.add(module)
        return None

    return next((circle for module in sorted(graph) if (circle := visit(module, []))), None)


def test_every_room_has_a_layer():
    rooms = {path.parts[1].removesuffix(".py") for path in python_files("paddle_ft")}
    assert rooms - {"__init__", "__main__"} == set(LAYERS)


def test_no_test_imports_another_test():
    wrong = []
    for path in python_files("tests"):
        for line, module in imports(path):
            if any(part.startswith("test_") for part in module.split(".")) or module == "tests.conftest":
                wrong.append(f"{path}:{line} imports {module}: move what is shared to tests/support")
    assert not wrong, "\n".join(wrong)


def test_no_import_goes_up_the_layers():
    wrong = [f"{path}:{line} imports {module}, which is above it ({' < '.join(LAYERS)})"
             for (path, module), line in upward_imports().items()]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def test_modules_named_in_strings_go_up_where_it_is_known_to_alone():
    """A module that is imported by its name is an import too."""
    named = set()
    for path in python_files("paddle_ft"):
        for node in ast.walk(parse(ROOT / path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"paddle_ft(\.\w+)+", node.value):
                own, other = layer(module_name(path)), layer(node.value)
                if own is not None and other is not None and other > own:
                    named.add((path.as_posix(), node.value))
    assert named == set(NAMED_UPWARD)


def test_there_is_no_import_circle():
    circle = find_circle({module_name(path): {module for _, module in imports(path)} for path in python_files("paddle_ft")})
    assert circle is None, " -> ".join(circle)


def test_the_picture_of_the_rooms_is_current():
    assert PICTURE.read_text(encoding="utf-8") == draw(room_imports()), "run: python -m tests.support.draw_rooms"


def test_the_picture_leaves_out_what_follows_and_puts_each_room_below_those_that_import_it():
    graph = {"top": {"low", "high", "side"}, "high": {"low"}, "low": set(), "side": {"low"}}
    assert without_shortcuts(graph) == {"top": {"high", "side"}, "high": {"low"}, "low": set(), "side": {"low"}}
    assert place(graph) == {"top": (0, 0), "high": (0, 1), "low": (0, 2), "side": (1, 1)}
    cells = place(room_imports())
    assert len(set(cells.values())) == len(cells)
    assert all(cells[room][1] < cells[other][1] for room, imported in room_imports().items() for other in imported)


def test_the_converter_stands_alone():
    wrong = [f"{path}:{line} imports {module}" for path in python_files("convert") for line, module in imports(path)
             if module.split(".")[0] == "paddle_ft"]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def test_paddlenlp_is_imported_in_few_places():
    found = {}
    for path in python_files("paddle_ft"):
        for line, module in imports(path):
            if module.split(".")[0] == "paddlenlp" and not str(path).startswith(PADDLENLP_ROOMS):
                found[str(path)] = f"{path}:{line} imports {module}: its classes are imported in {' and '.join(PADDLENLP_ROOMS)}"
    wrong = [message for path, message in found.items() if path not in PADDLENLP_FILES]
    assert not wrong, "\n".join(wrong)
    assert set(found) == set(PADDLENLP_FILES), "a file of PADDLENLP_FILES no longer imports paddlenlp: remove it"


def section_names(docstring: str) -> set[str]:
    """Return the names that the Args or Attributes section of a docstring lists."""
    section = re.search(r"^(?:Args|Attributes):\n((?:    .*\n|\n(?=    ))*)", docstring + "\n", re.MULTILINE)
    entries = re.findall(r"^    (\S[^:\n]*):(?: |$)", section[1], re.MULTILINE) if section else []
    return {name.strip(" *") for entry in entries for name in entry.split(",")}


def parameter_names(function: ast.FunctionDef) -> set[str]:
    arguments = function.args
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return {parameter.arg for parameter in parameters if parameter}


def attribute_names(cls: ast.ClassDef) -> set[str]:
    """Return the names that the body of a class and its methods define or assign."""
    names = {node.id for node in ast.walk(cls) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {node.attr for node in ast.walk(cls) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    return names | {node.name for node in cls.body if isinstance(node, ast.FunctionDef)}


def faults_of_names(node: ast.ClassDef | ast.FunctionDef, docstring: str) -> Iterator[str]:
    """Yield which names in Args or Attributes do not exist, and which arguments are missing there."""
    listed = section_names(docstring)
    methods = {method.name: method for method in node.body if isinstance(method, ast.FunctionDef)}
    function = methods.get("__init__") if isinstance(node, ast.ClassDef) else node
    parameters = parameter_names(function) if function else set()
    existing = parameters | attribute_names(node) if isinstance(node, ast.ClassDef) else parameters
    for name in sorted(listed - existing):
        yield f"the docstring of {node.name} lists {name}, which does not exist"
    if re.search(r"^Args:$", docstring, re.MULTILINE):
        for name in sorted(parameters - listed - {"self", "cls"}):
            yield f"the docstring of {node.name} does not list the argument {name}"


def docstring_faults(path: Path, tree: ast.Module) -> Iterator[str]:
    """Yield what is wrong with the docstrings of a file.

    A module and its public functions and classes need one. Its first paragraph ends like a sentence, and does not begin with a verb
    in the third person. Args and Attributes list only names that exist, and Args lists all arguments.
    """
    public = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
              and node.name not in INTERFACES.get(str(path.parent), ())]  # fmt: skip
    if tree.body:
        yield from (f"{path}:{getattr(node, 'lineno', 1)} {getattr(node, 'name', 'the module')} has no docstring"
                    for node in [tree, *public] if not ast.get_docstring(node))  # fmt: skip
    for node in ast.walk(tree):
        docstring = ast.get_docstring(node) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) else None
        if not docstring:
            continue
        place = f"{path}:{getattr(node, 'lineno', 1)}"
        first = re.match(r"[A-Za-z]*", docstring).group()
        plural = isinstance(node, ast.FunctionDef) and re.fullmatch(r"[A-Z][a-z]*[a-rt-z]s", first)
        if plural or VERBS.fullmatch(first):
            yield f"{place} the docstring begins with {first!r}: write an imperative"
        if not docstring.split("\n\n")[0].rstrip().endswith((".", ":")):
            yield f"{place} the first paragraph of the docstring is not a sentence"
        if not isinstance(node, ast.Module):
            yield from (f"{place} {fault}" for fault in faults_of_names(node, docstring))


def test_docstrings():
    files = [Path("train.py"), *(path for folder in DOCUMENTED for path in python_files(folder))]
    wrong = [fault for path in files for fault in docstring_faults(path, parse(ROOT / path))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("source", "expected"), [
    ("import a.b\n", [(1, "a.b")]),
    ("from paddle_ft.data import rows, nothing\n", [(1, "paddle_ft.data"), (1, "paddle_ft.data.rows")]),
    ("def f():\n    from . import loop\n    from ..data.rows import Rows\n",
     [(2, "paddle_ft.training.loop"), (3, "paddle_ft.data.rows")]),
])  # fmt: skip
def test_imports_are_found_wherever_they_stand(source, expected):
    assert list(imports(Path("paddle_ft/training/example.py"), ast.parse(source))) == expected


def test_circles_are_found():
    assert find_circle({"a": {"b"}, "b": {"c", "d"}, "c": {"x"}, "d": {"b"}}) == ["b", "d", "b"]
    assert find_circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


def test_faults_of_docstrings_are_found():
    source = (
        '"""Rows of a table."""\ndef f():\n    """Loads it."""\n'
        'class C:\n    def m(self):\n        """Process."""\ndef _g(): pass\n'
    )
    assert list(docstring_faults(Path("x.py"), ast.parse(source))) == [
        "x.py:4 C has no docstring",
        "x.py:2 the docstring begins with 'Loads': write an imperative",
    ]


def test_faults_of_sections_are_found():
    source = """
class C:
    '''A row

    Attributes:
        key: its name.
        size: not an attribute.
    '''
    key: str
def f(a, *, b=1):
    '''Return a row.

    Args:
        a: used.
        c: not an argument.

    Returns:
        row: not part of Args.
    '''
def run(): pass
"""
    assert list(docstring_faults(Path("paddle_ft/commands/x.py"), ast.parse(source))) == [
        "paddle_ft/commands/x.py:1 the module has no docstring",
        "paddle_ft/commands/x.py:2 the first paragraph of the docstring is not a sentence",
        "paddle_ft/commands/x.py:2 the docstring of C lists size, which does not exist",
        "paddle_ft/commands/x.py:10 the docstring of f lists c, which does not exist",
        "paddle_ft/commands/x.py:10 the docstring of f does not list the argument b",
    ]
