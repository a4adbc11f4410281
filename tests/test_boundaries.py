"""Test which files may know what: names of architectures, private names of Paddle and PaddleNLP, and the sharding of a training."""

import ast
import re
import sys
from collections.abc import Iterator

import pytest

from tests.support.import_graph import parse, python_files
from tests.support.paths import ROOT

ARCHITECTURE_FILES = {
    "paddle_ft/models/architectures/": "the records of the architectures",
    "paddle_ft/generation/adapters/": "their generation adapters, which the records name",
    "paddle_ft/export/graphs/": "the graphs of their exports, which the records name",
    "paddle_ft/models/gpt_attention.py": "GPT's attention, which its record names",
    "paddle_ft/tokenization/": "tokenizer files and classes, which do not depend on the model's architecture",
    "paddle_ft/data/text.py": "BERT_CJK is a set of characters",
}
ARCHITECTURE = re.compile("bart|gpt|bert|ernie|electra|roberta", re.IGNORECASE)

COMPAT, COMPAT_TEST = "paddle_ft/system/paddle_compat.py", "tests/system/test_paddle_compat.py"
PRIVATE_MODULES = ("paddle.base", "paddle.framework.core", "paddle.libpaddle")
PRIVATE_MODULE_NAMES = {module.rpartition(".")[2] for module in PRIVATE_MODULES}

WITHOUT_SHARDING = ("loop.py", "step.py", "run.py", "preflight.py")


@pytest.fixture(scope="module")
def all_trees() -> dict[str, ast.Module]:
    """Return path -> syntax tree of all Python files of the program, the converter and the benchmarks."""
    files = [path for folder in ("paddle_ft", "convert", "benchmarks") for path in python_files(folder)]
    return {path.as_posix(): parse(ROOT / path) for path in files}


@pytest.fixture(scope="module")
def program(all_trees) -> dict[str, ast.Module]:
    """Return path -> syntax tree of all Python files of the program."""
    return {path: tree for path, tree in all_trees.items() if path.startswith("paddle_ft/")}


def identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and text of all names in a file, and of strings without spaces: keys, class names and module names."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "name", "arg", "module"):
            if isinstance(name := getattr(node, field, None), str):
                yield getattr(node, "lineno", 0), name
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[\w.]+", node.value):
            yield node.lineno, node.value


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def foreign_private_names(tree: ast.AST, own_names: set[str]) -> Iterator[tuple[int, str]]:
    """Yield line and text of each private name of another library that a file uses.

    These are attributes that begin with one underscore, also as the string of a getattr, and modules of PRIVATE_MODULES.

    Args:
        tree: the syntax tree of the file.
        own_names: private names that our own packages define.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if not is_private(node.attr) and node.attr not in PRIVATE_MODULE_NAMES:
                continue
            dotted = ast.unparse(node)
            owner = dotted.split(".")[0]
            foreign = is_private(node.attr) and node.attr not in own_names and owner not in sys.stdlib_module_names
            if dotted in PRIVATE_MODULES or (foreign and ast.unparse(node.value) not in ("self", "cls")):
                yield node.lineno, dotted
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("getattr", "hasattr", "setattr", "delattr")
        ):
            name = node.args[1]
            if isinstance(name, ast.Constant) and is_private(name.value) and name.value not in own_names:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            package = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for dotted in (f"{package}{alias.name}" for alias in node.names):
                private = any(map(is_private, dotted.split("."))) or re.match(f"({'|'.join(PRIVATE_MODULES)})(\\.|$)", dotted)
                if private and dotted.split(".")[0] in ("paddle", "paddlenlp"):
                    yield node.lineno, dotted


def defined_private_names(trees: dict[str, ast.Module]) -> set[str]:
    """Return the private functions, classes and attributes of self that these files define."""
    names = set()
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and getattr(node.value, "id", None) == "self":
                names.add(node.attr)
    return set(filter(is_private, names))


def branches_on(tree: ast.AST, word: str) -> Iterator[int]:
    """Yield the line of each condition that contains a word."""
    for node in ast.walk(tree):
        condition = node if isinstance(node, ast.BoolOp) else getattr(node, "subject", getattr(node, "test", None))
        conditions = node.ifs if isinstance(node, ast.comprehension) else [condition]
        yield from (part.lineno for part in conditions if part is not None and word in ast.unparse(part))


def test_generation_names_no_architecture():
    wrong = [f"{path}: {word}" for path in sorted((ROOT / "paddle_ft/generation").glob("*.py"))
             for word in ARCHITECTURE.findall(path.read_text(encoding="utf-8"))]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def test_an_architecture_is_named_by_its_record_only(program):
    named = [(path, line, name) for path, tree in program.items() for line, name in identifiers(tree)
             if ARCHITECTURE.search(name)]  # fmt: skip
    wrong = [f"{path}:{line} {name}: move it to the architecture's record in paddle_ft/models/architectures"
             for path, line, name in named if not path.startswith(tuple(ARCHITECTURE_FILES))]  # fmt: skip
    assert not wrong, "\n".join(wrong)
    unused = [prefix for prefix in ARCHITECTURE_FILES if not any(path.startswith(prefix) for path, _, _ in named)]
    assert not unused, f"{unused} name no architecture: remove them from ARCHITECTURE_FILES"


def test_private_names_of_paddle_are_used_in_one_module(all_trees):
    own_names = defined_private_names(all_trees)
    names = {path: list(foreign_private_names(tree, own_names)) for path, tree in all_trees.items()}
    assert len(names.pop(COMPAT)) > 10
    wrong = [f"{path}:{line} {name}: add a function to {COMPAT}" for path in names for line, name in names[path]]
    assert not wrong, "\n".join(wrong)


def test_each_function_for_a_private_name_is_used_and_tested(program):
    functions = {node.name for node in program[COMPAT].body if isinstance(node, ast.FunctionDef)}
    tested = set(re.findall(r"\w+", (ROOT / COMPAT_TEST).read_text(encoding="utf-8")))
    assert functions <= tested, f"{sorted(functions - tested)} have no test in {COMPAT_TEST}"
    used = {name for path, tree in program.items() if path != COMPAT for _, name in identifiers(tree)}
    assert functions <= used, f"{sorted(functions - used)} are not used by the program"


def test_training_does_not_depend_on_sharding(program):
    wrong = [f"paddle_ft/training/{name}:{line}" for name in WITHOUT_SHARDING
             for line in branches_on(program[f"paddle_ft/training/{name}"], "shard")]  # fmt: skip
    assert not wrong, f"{wrong}: make it a method of GradientSync, or a function of training/distributed/strategy.py"


@pytest.mark.parametrize(("source", "expected"), [
    ("x.bert.encoder", ["bert"]),
    ("if model_type == 'bart': pass", ["bart"]),
    ("from paddlenlp.transformers import GPTModel", ["GPTModel"]),
    ("'''BERT's tokenizer'''\nparser.add_argument(help='a run, such as runs/bart_lcsts')", []),
])  # fmt: skip
def test_names_of_architectures_are_found(source, expected):
    assert [name for _, name in identifiers(ast.parse(source)) if ARCHITECTURE.search(name)] == expected


@pytest.mark.parametrize(("source", "expected"), [
    ("x = layer._epsilon", ["layer._epsilon"]),
    ("paddle.base.core.eager.f()", ["paddle.base"]),
    ("paddle._C_ops.matmul(a, b)", ["paddle._C_ops"]),
    ("getattr(layer, '_forward', None)", ["getattr(layer, '_forward', None)"]),
    ("from paddle.nn.layer.transformer import _convert_attention_mask", ["paddle.nn.layer.transformer._convert_attention_mask"]),
    ("from paddle.base import core", ["paddle.base.core"]),
    ("import paddle.framework.core", ["paddle.framework.core"]),
    ("self.optimizer._parameter_list", ["self.optimizer._parameter_list"]),
    ("self._x, cls._y, os._exit(1), task._own, a.__class__, _z", []),
])  # fmt: skip
def test_private_names_are_found(source, expected):
    assert [name for _, name in foreign_private_names(ast.parse(source), {"_own"})] == expected


@pytest.mark.parametrize("source", ["if shards is None: pass", "x = 1 if config.sharding == 'off' else 2", "y = a or sharded()",
                                    "[p for p in q if p.shard]", "match sharding:\n    case 1: pass"])  # fmt: skip
def test_branches_are_found(source):
    assert list(branches_on(ast.parse(source), "shard")) == [1]
    assert list(branches_on(ast.parse("z = make(shards)\nif z: pass"), "shard")) == []
