"""Test modules of --import: what they must define, and the one-line message for a wrong one."""

import sys

import pytest

from paddle_ft.system import plugins
from paddle_ft.system.errors import UserError


@pytest.fixture
def import_text(monkeypatch, tmp_path):
    """Return a function that imports a module my_module with this text, as --import does."""
    monkeypatch.setattr(plugins, "_USER_MODULES", [])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)

    def import_text(text: str) -> None:
        (tmp_path / "my_module.py").write_text(text)
        plugins.import_user_modules(["my_module"])

    yield import_text
    sys.modules.pop("my_module", None)


def test_a_module_may_define_several_kinds(import_text):
    import_text(
        "from paddle_ft.data.readers.base import Reader\nfrom paddle_ft.metrics.registry import Metric\n"
        "READER = Reader(('.x',), None)\nMETRICS = (Metric('m'),)\n"
    )
    (reader,) = plugins.user_plugins("READER")
    assert reader.extensions == (".x",) and [metric.key for metric in plugins.user_plugins("METRICS")[0]] == ["m"]
    assert plugins.user_module_names("METRICS") == ["my_module"] and plugins.user_module_names("TASK") == []


def test_a_module_named_twice_counts_once(import_text):
    import_text("METRICS = ()")
    plugins.import_user_modules(["my_module"])
    assert plugins.user_plugins("METRICS") == [()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "defines none of TASK, SOURCE, READER, METRICS, ARCHITECTURE, FAMILIES (docs/extend.md shows each)."),
        ("class Task: name = 'x'\nTASK = Task()", "TASK must be a subclass of paddle_ft.tasks.base.Task with a name, the class"),
        ("from paddle_ft.tasks.base import Task as TASK", "TASK must be a subclass of paddle_ft.tasks.base.Task with a name"),
        ("from paddle_ft.data.sources.base import Source as SOURCE", "SOURCE must be an instance of a subclass of paddle_ft.data"),
        ("from paddle_ft.data.sources.base import Source\nclass X(Source): pass\nSOURCE = X()", "SOURCE does not define read ("),
        ("from paddle_ft.tasks.base import Task\nclass X(Task): name = encode = 'x'\nTASK = X", "TASK does not define collate_fn,"),
        ("READER = print", "READER must be a paddle_ft.data.readers.base.Reader"),
        ("METRICS = 'accuracy'", "METRICS must be a tuple of paddle_ft.metrics.registry.Metric"),
        ("ARCHITECTURE = 'electra'", "ARCHITECTURE must be a paddle_ft.models.architectures.Architecture"),
        ("FAMILIES = None", "FAMILIES must be a tuple of convert.family.Family"),
        ("\nimport no_such_library", "cannot be imported: ModuleNotFoundError: No module named 'no_such_library' ({file}:2)."),
        ("def f():\n    return 1 / 0\nf()", "cannot be imported: ZeroDivisionError: division by zero ({file}:2)."),
        ("x = (", "cannot be imported: SyntaxError: '(' was never closed (my_module.py, line 1)."),
        ("from paddle_ft.metrics.registry import Metric\nMetric()", "missing 1 required positional argument: 'key' ({file}:2)"),
    ],
)
def test_a_module_with_a_mistake_is_one_message(import_text, tmp_path, text, message):
    with pytest.raises(UserError) as error:
        import_text(text)
    assert str(error.value).startswith("--import my_module: ")
    assert message.format(file=tmp_path / "my_module.py") in str(error.value)
    assert plugins.user_plugins("METRICS") == []


@pytest.mark.parametrize("name", ["my_module.py", "folder/my_module", "./my_module", ""])
def test_a_file_is_no_module(import_text, name):
    with pytest.raises(UserError, match="give a module's name and not its file, as in --import my_module"):
        plugins.import_user_modules([name])


def test_a_missing_module_says_where_modules_are_looked_for(import_text):
    with pytest.raises(UserError, match="'nowhere'. Start in the folder it is in, or put that folder on PYTHONPATH"):
        plugins.import_user_modules(["nowhere"])


def test_without_modules_the_working_directory_is_not_searched(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    plugins.import_user_modules([])
    assert str(tmp_path) not in sys.path
