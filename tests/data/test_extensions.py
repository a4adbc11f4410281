"""Test a user's own data. One YAML file is enough, and one module if the source or the format is new. No file of ours is edited."""

import pytest

from paddle_ft.config.load import load_config
from paddle_ft.data import readers, sources
from paddle_ft.data.load import check_local_files, list_remote_files, load_split
from paddle_ft.system import plugins
from paddle_ft.system.errors import UserError
from paddle_ft.system.plugins import import_user_modules
from tests.support.examples import EXAMPLES

RECIPE = "task: {{name: summarization}}\nmodel: {{pretrained: bart-base}}\ndata: {data}\n"
PAIR = {"required": ("source", "target")}


@pytest.fixture(autouse=True)
def user_modules(monkeypatch):
    """Make the example modules importable, and forget what a test imported when it ends."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(plugins, "_USER_MODULES", [])


def load_data_section(tmp_path, data):
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE.format(data=data), encoding="utf-8")
    return load_config(str(path)).data


def test_own_data_in_a_known_format_needs_one_yaml(tmp_path):
    (tmp_path / "mine.csv").write_text("id,body,headline\n1,a long text,short\n", encoding="utf-8")
    data = load_data_section(tmp_path, f"{{train: {tmp_path}/mine.csv, columns: {{source: body, target: headline}}}}")
    check_local_files(data)
    assert load_split(data, "train", **PAIR).rows == [{"source": "a long text", "target": "short"}]


@pytest.fixture
def pages(tmp_path):
    for split, count in (("train", 2), ("test", 1)):
        (tmp_path / split).mkdir()
        for number in range(count):
            (tmp_path / split / f"{number}.page").write_text(f"Title {number}\nText of\n{split} {number}.", encoding="utf-8")
    return tmp_path


def test_an_own_source_is_one_module(pages):
    import_user_modules(["my_source"])
    data = load_data_section(pages, f"{{source: 'my_pages:{pages}', columns: {{source: text, target: title}}, limit_train: 1}}")
    check_local_files(data)
    assert list_remote_files(data) == []
    assert load_split(data, "train", **PAIR).rows == [{"source": "Text of\ntrain 0.", "target": "Title 0"}]
    assert load_split(data, "validation", **PAIR) is None
    assert load_split(data, "test", **PAIR).files == [f"{pages}/test"]
    data.test = "dev"
    with pytest.raises(UserError, match=r"^data.test: my_pages:.* has no split 'dev'; it has train, test$"):
        load_split(data, "test", **PAIR)


def test_an_own_source_comes_before_ours(tmp_path, monkeypatch):
    (tmp_path / "own_quora.py").write_text(
        "from paddle_ft.data.sources.base import Source\nclass Own(Source):\n    name = 'quora'\n"
        "    def read(self, data, split, fields):\n        return None\nSOURCE = Own()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    ours = sources.find_source("quora")
    import_user_modules(["own_quora"])
    assert type(sources.find_source("quora")).__module__ == "own_quora"
    assert sources.find_source("quora:file.tsv") is ours


def test_an_own_format_is_one_module(tmp_path):
    (tmp_path / "mine.pairs").write_text("a long text => short\nno pair\n", encoding="utf-8")
    data = load_data_section(tmp_path, f"{{train: {tmp_path}/*.pairs, columns: {{source: left, target: right}}, on_bad_row: skip}}")
    with pytest.raises(UserError, match="unknown extension .pairs"):
        load_split(data, "train", **PAIR)
    import_user_modules(["my_format"])
    rows = load_split(data, "train", **PAIR)
    assert rows.rows == [{"source": "a long text", "target": "short"}]
    assert [str(bad) for bad in rows.bad] == [f"{tmp_path}/mine.pairs:2: there is no => in this line"]


def test_a_file_of_an_own_format_replaces_a_split_of_any_source(tmp_path):
    import_user_modules(["my_format"])
    (tmp_path / "mine.pairs").write_text("who? => who is it?\n", encoding="utf-8")
    columns = "{source: left, target: right}"
    data = load_data_section(tmp_path, f"{{source: lcsts_new, test: {tmp_path}/mine.pairs, columns: {columns}}}")
    assert load_split(data, "test", **PAIR).rows == [{"source": "who?", "target": "who is it?"}]


@pytest.mark.parametrize(("package", "constant", "example"), [(readers, "READER", "my_format"), (sources, "SOURCE", "my_source")])
def test_a_module_put_into_our_package_is_found_without_being_listed(package, constant, example, tmp_path, monkeypatch):
    text = (EXAMPLES / f"{example}.py").read_text(encoding="utf-8")
    (tmp_path / f"new_{example}.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    built_in = package._built_in_readers if constant == "READER" else package._built_in_sources
    built_in.cache_clear()
    try:
        if constant == "READER":
            assert readers.find_reader("x.pairs.gz").read.__module__ == f"paddle_ft.data.readers.new_{example}"
        else:
            assert sources.find_source("my_pages:x").name == "my_pages"
    finally:
        built_in.cache_clear()
