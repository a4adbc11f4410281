"""Sources: PaddleNLP built-ins (against a local server), Hugging Face datasets (in local folders), own files."""

import hashlib
import json
import os
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from paddle_ft.data.download import download_missing
from paddle_ft.data.load import check_local_files, list_remote_files, load_split
from paddle_ft.data.sources import find_source
from paddle_ft.system.errors import UserError

NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy", "PADDLE_FT_MIRROR")


def section(**values) -> SimpleNamespace:
    names = ("source", "name", "data_files", "train", "validation", "test")
    empty = dict.fromkeys(names) | {f"limit_{split}": None for split in ("train", "validation", "test")}
    return SimpleNamespace(**(empty | {"columns": {}, "on_bad_row": "error"} | values))


def lcsts_lines(name: str, count: int) -> bytes:
    rows = [{"summary": f"{name}题{i}", "content": f"{name}正文{i}", "id": i} for i in range(count)]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def error(function, *args) -> str:
    with pytest.raises(UserError) as caught:
        function(*args)
    return str(caught.value)


def test_each_source_finds_its_module():
    kinds = {
        None: None,
        "sample:briefs": "sample",
        "songs": "songs",
        "quora": "quora",
        "quora:my.tsv": "quora",
        "lcsts_new": "builtin",
        "glue": "builtin",
        "hugcyp/LCSTS": "huggingface",
        "./folder": "huggingface",
    }
    assert {value: find_source(value).name for value in kinds} == kinds


def test_local_files(tmp_path):
    (tmp_path / "train.tsv").write_text("题\t正文\n题二\t正文二\n")
    data = section(train=str(tmp_path / "*.tsv"), columns={"source": 1, "target": 0}, limit_train=1)
    assert load_split(data, "train").rows == [{"source": "正文", "target": "题"}]
    assert load_split(data, "validation") is None
    assert list_remote_files(data) == []


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"train": "{}/a.tsv", "validation": "{}/nope.tsv"}, "data.validation"),
        ({"source": "glue", "test": "{}/nope.tsv"}, "data.test"),  # a file that stands in for the source's split
        ({"train": ["{}/a.tsv", "{}/nope*.tsv"]}, "data.train"),
        ({"train": {"source": "{}/nope.txt", "target": "{}/a.tsv"}}, "data.train"),
        ({"source": "songs", "train": "{}/nope"}, "data.train"),
        ({"source": "lcsts_new", "data_files": {"train": "{}/nope.json"}}, "data.data_files.train"),
    ],
)
def test_own_files_that_are_not_there(tmp_path, values, key):
    def there(value):
        if isinstance(value, dict):
            return {name: there(one) for name, one in value.items()}
        return [there(one) for one in value] if isinstance(value, list) else value.format(tmp_path)

    (tmp_path / "a.tsv").write_text("a\tb\n")
    named = {name: value if name == "source" else there(value) for name, value in values.items()}
    message = error(check_local_files, section(**named))
    assert message.startswith(f"{key}: {tmp_path}/nope") and "no such file" in message and "a.tsv" in message


def test_splits_of_a_source_and_folders_of_songs_are_not_missed_as_files(tmp_path):
    check_local_files(section(source="glue", train="train", validation="dev", test="none"))
    check_local_files(section(source="org/name", train="train[:10]"))
    check_local_files(section(source="songs", train=str(tmp_path)))


def test_none_means_no_such_split_beside_own_files_too(tmp_path):
    """As in recipes whose own source has a test split without labels: only data.train is named anew."""
    (tmp_path / "a.tsv").write_text("a\tb\n")
    own = section(train=str(tmp_path / "a.tsv"), test="none")
    check_local_files(own)
    assert load_split(own, "test") is None


@pytest.fixture
def lcsts(tmp_path, monkeypatch):
    """PaddleNLP's lcsts_new with small stand-ins for its files, which lie on a local server and nowhere else."""
    import paddlenlp.datasets.dataset as base
    import paddlenlp.datasets.lcsts_new as module

    for name in NETWORK:
        monkeypatch.delenv(name, raising=False)
    served = tmp_path / "served" / "paddlenlp" / "datasets" / "LCSTS_new"
    served.mkdir(parents=True)
    splits = {}
    for split, count in (("train", 5), ("dev", 2)):
        content = lcsts_lines(split, count)
        (served / f"{split}.json").write_bytes(content)
        noted = module.LCSTSNew.SPLITS[split]
        splits[split] = noted._replace(md5=hashlib.md5(content).hexdigest())
    monkeypatch.setattr(module.LCSTSNew, "SPLITS", splits)
    home = tmp_path / "home"
    monkeypatch.setattr(module, "DATA_HOME", str(home))
    monkeypatch.setattr(base, "DATA_HOME", str(home))
    home.mkdir()
    return SimpleNamespace(served=served, root=tmp_path / "served", home=home / "LCSTSNew", splits=splits)


@pytest.fixture
def mirror(lcsts, monkeypatch):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(lcsts.root)))
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("PADDLE_FT_MIRROR", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


def test_a_built_in_is_fetched_verified_and_read(lcsts, mirror):
    data = section(source="lcsts_new", limit_train=3)
    assert load_split(data, "train").rows == [{"source": f"train正文{i}", "target": f"train题{i}"} for i in range(3)]
    assert load_split(data, "validation").rows == [{"source": f"dev正文{i}", "target": f"dev题{i}"} for i in range(2)]
    assert load_split(data, "test") is None
    assert load_split(section(source="lcsts_new", test="dev"), "test").rows[0]["target"] == "dev题0"
    assert load_split(data, "train").files == [str(lcsts.home / "train.json")]
    assert (lcsts.home / "train.json").read_bytes() == (lcsts.served / "train.json").read_bytes()


def test_offline_one_error_names_every_file_and_its_place(lcsts, monkeypatch):
    monkeypatch.setenv("PADDLE_FT_MIRROR", "http://127.0.0.1:9")
    start = time.perf_counter()
    message = error(download_missing, list_remote_files(section(source="lcsts_new")))
    assert time.perf_counter() - start < 10
    for split, noted in lcsts.splits.items():
        assert (
            f"  lcsts_new: {split}\n    from    https://bj.bcebos.com/paddlenlp/datasets/LCSTS_new/{split}.json\n"
            f"    md5     {noted.md5}\n    put at  {lcsts.home}/{split}.json\n"
        ) in message
    assert "train.json" in error(load_split, section(source="lcsts_new"), "train")


def test_a_file_put_there_by_hand_is_used(lcsts, monkeypatch):
    monkeypatch.setenv("PADDLE_FT_MIRROR", "http://127.0.0.1:9")
    lcsts.home.mkdir()
    (lcsts.home / "train.json").write_bytes((lcsts.served / "train.json").read_bytes())
    assert len(load_split(section(source="lcsts_new"), "train")) == 5


def test_a_wrong_file_put_there_by_hand_is_reported_and_kept(lcsts, mirror):
    lcsts.home.mkdir()
    (lcsts.home / "train.json").write_bytes(b"{}")
    message = error(load_split, section(source="lcsts_new"), "train")
    found, expected = hashlib.md5(b"{}").hexdigest(), lcsts.splits["train"].md5
    assert f"a file lies there, but its md5 is {found}, expected {expected}; put the right one there" in message
    assert (lcsts.home / "train.json").read_bytes() == b"{}"


def test_unknown_splits_and_subsets_of_a_built_in(lcsts):
    message = error(load_split, section(source="lcsts_new", test="tset"), "test")
    assert message == "data.test: lcsts_new has no split 'tset'; it has train, dev"
    message = error(load_split, section(source="lcsts_new", name="big"), "train")
    assert message == "data.name: lcsts_new has no subset 'big'; it has none"


def test_columns_of_a_built_in_can_be_mapped(lcsts, mirror):
    data = section(source="lcsts_new", columns={"source": "target", "target": "source"})
    assert load_split(data, "train").rows[0] == {"source": "train题0", "target": "train正文0"}
    message = error(load_split, section(source="lcsts_new", columns={"target": "summary"}), "train")
    assert "train.json:1: no column 'summary' (the row has 'source', 'target', 'id'" in message


def test_own_files_in_the_layout_of_a_built_in(tmp_path):
    (tmp_path / "train.json").write_bytes(lcsts_lines("own", 3))
    data = section(source="lcsts_new", data_files={"train": str(tmp_path / "train.json")})
    assert load_split(data, "train").rows[2] == {"source": "own正文2", "target": "own题2"}
    assert load_split(data, "validation") is None
    assert list_remote_files(data) == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"content": "x"\n', "invalid JSON at column 16: Expecting ',' delimiter"),
        (b'{"text": "x", "summary": "y", "id": 1}\n', "no key 'content'"),
        (b'{"content": "\xff", "summary": "y", "id": 1}\n', "invalid UTF-8 at byte {offset} of the file"),
    ],
)
def test_a_bad_row_in_the_layout_of_a_built_in_is_found(tmp_path, line, reason):
    path = tmp_path / "train.json"
    before = lcsts_lines("own", 2) + b"\n"
    path.write_bytes(before + line)
    message = error(load_split, section(source="lcsts_new", data_files={"train": str(path)}), "train")
    reason = reason.format(offset=len(before) + 13)
    assert message.startswith(f"{path}:4: {reason}\nPaddleNLP's reader of lcsts_new stops there.")


def test_data_files_that_cannot_be(tmp_path):
    message = error(load_split, section(source="lcsts_new", data_files={"dev": "x"}), "train")
    assert message == "data.data_files: unknown key dev; the keys are train, validation, test"
    message = error(load_split, section(source="lcsts_new", data_files={"train": "x.json"}), "train")
    assert message == f"data.data_files.train: x.json: no such file (working directory: {os.getcwd()})"


def test_what_builders_in_other_forms_want():
    def names(**values):
        return [(file.url, Path(file.path).name, file.md5) for file in list_remote_files(section(**values))]

    archive = ("https://bj.bcebos.com/dataset/glue/SST.zip", "SST.zip", "9f81648d4199384278b86e315dac217c")
    files = list_remote_files(section(source="glue", name="sst-2"))
    assert [Path(file.unpacked).name for file in files] == ["train.tsv", "dev.tsv", "test.tsv"]
    assert set(names(source="glue", name="sst-2")) == {archive}
    assert len(names(source="c3")) == 6  # two files a split
    assert names(source="cnn_dailymail")[0] == (
        "https://bj.bcebos.com/paddlenlp/datasets/cnn_dailymail/all_train.txt",
        "all_train.txt",
        "c8ca98cfcb6cf3f99a404552568490bc",
    )
    message = error(list_remote_files, section(source="glue", name="sst2"))
    assert message.startswith("data.name: glue has no subset 'sst2'; it has cola, sst-2, sts-b")


@pytest.fixture
def hub_folder(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "train.csv").write_text("text,summary\n正文,题\n正文二,题二\n正文三,\n")
    (folder / "test.csv").write_text("text,summary\n考,试\n")
    return folder


def test_a_folder_that_datasets_can_load(hub_folder):
    data = section(source=str(hub_folder), columns={"source": "text", "target": "summary"})
    assert load_split(data, "test").rows == [{"source": "考", "target": "试"}]
    assert load_split(data, "validation") is None
    message = error(load_split, data, "train")
    assert message.startswith(f"{hub_folder}[train]:3: target is null, not text\n1 of 3 rows is bad")
    data.on_bad_row = "skip"
    result = load_split(data, "train")
    assert len(result.rows) == 2 and [bad.line for bad in result.bad] == [3]
    data.train = "train[:1]"
    assert len(load_split(data, "train").rows) == 1


def test_several_splits_of_a_dataset_joined(hub_folder):
    data = section(source=str(hub_folder), columns={"source": "text", "target": "summary"}, on_bad_row="skip", train="train+test")
    assert [row["source"] for row in load_split(data, "train").rows] == ["正文", "正文二", "考"]
    data.train = "train+dev"
    assert error(load_split, data, "train") == f"data.train: {hub_folder} has no split 'dev'; it has train, test"


def test_errors_of_datasets_are_told_in_our_words(hub_folder):
    folder = str(hub_folder)
    message = error(load_split, section(source=folder), "train")
    assert message == (
        f"{folder}: no column 'source'; it has 'text', 'summary'; map them, e.g. data.columns.source=text"
    )
    message = error(load_split, section(source=folder, validation="dev"), "validation")
    assert message == f"data.validation: {folder} has no split 'dev'; it has train, test"
    message = error(load_split, section(source=folder, name="sub"), "train")
    assert message.startswith(f"data.source: {folder}: ValueError: BuilderConfig 'sub' not found")


def test_a_script_that_comes_with_a_dataset_is_not_run(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_TRUST_REMOTE_CODE", True)  # whatever the environment allows
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "set.py").write_text(f"import os; os.mkdir({str(tmp_path / 'harmed')!r})")
    data = section(source=str(tmp_path / "set"), train="train")
    for function in (list_remote_files, lambda data: load_split(data, "train")):
        assert "/set: its rows come from a script of its own; no code that comes with data is run" in error(function, data)
    assert not (tmp_path / "harmed").exists()


def test_the_hub_out_of_reach(monkeypatch, tmp_path):
    import datasets
    import huggingface_hub

    for name in NETWORK:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    start = time.perf_counter()
    message = error(load_split, section(source="hugcyp/LCSTS"), "train")
    assert time.perf_counter() - start < 10
    assert message == (
        "data.source: hugcyp/LCSTS: http://127.0.0.1:9 cannot be reached and the dataset is not in the cache. Set "
        "HF_ENDPOINT to a mirror, HTTPS_PROXY to a proxy, or fetch the dataset's files elsewhere and give them as "
        "data.train, data.validation, data.test"
    )
    assert "(did you mean the PaddleNLP built-in lcsts_new?)" in error(load_split, section(source="lcst_new"), "train")
