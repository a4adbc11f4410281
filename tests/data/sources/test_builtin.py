"""Test PaddleNLP's built-in datasets, with small files on a local server instead of the real ones."""

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
from paddle_ft.data.load import list_remote_files, load_split
from tests.support.data_sections import NETWORK, error, section


def lcsts_lines(name: str, count: int) -> bytes:
    rows = [{"summary": f"{name}题{i}", "content": f"{name}正文{i}", "id": i} for i in range(count)]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


@pytest.fixture
def lcsts(tmp_path, monkeypatch):
    """Replace the files of PaddleNLP's lcsts_new with small ones that only a local server has."""
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
        original = module.LCSTSNew.SPLITS[split]
        splits[split] = original._replace(md5=hashlib.md5(content).hexdigest())
    monkeypatch.setattr(module.LCSTSNew, "SPLITS", splits)
    home = tmp_path / "home"
    monkeypatch.setattr(module, "DATA_HOME", str(home))
    monkeypatch.setattr(base, "DATA_HOME", str(home))
    home.mkdir()
    return SimpleNamespace(served=served, root=tmp_path / "served", home=home / "LCSTSNew", splits=splits)


@pytest.fixture
def mirror(lcsts, monkeypatch):
    class QuietHandler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(lcsts.root)))
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("PADDLE_FT_MIRROR", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


def test_a_built_in_is_downloaded_verified_and_read(lcsts, mirror):
    data = section(source="lcsts_new", limit_train=3)
    assert load_split(data, "train").rows == [{"source": f"train正文{i}", "target": f"train题{i}"} for i in range(3)]
    assert load_split(data, "validation").rows == [{"source": f"dev正文{i}", "target": f"dev题{i}"} for i in range(2)]
    assert load_split(data, "test") is None
    assert load_split(section(source="lcsts_new", test="dev"), "test").rows[0]["target"] == "dev题0"
    assert load_split(data, "train").files == [str(lcsts.home / "train.json")]
    assert (lcsts.home / "train.json").read_bytes() == (lcsts.served / "train.json").read_bytes()


def test_offline_one_error_names_every_file_and_where_to_put_it(lcsts, monkeypatch):
    monkeypatch.setenv("PADDLE_FT_MIRROR", "http://127.0.0.1:9")
    start = time.perf_counter()
    message = error(download_missing, list_remote_files(section(source="lcsts_new")))
    assert time.perf_counter() - start < 10
    for split, info in lcsts.splits.items():
        assert (
            f"  lcsts_new: {split}\n    from    https://bj.bcebos.com/paddlenlp/datasets/LCSTS_new/{split}.json\n"
            f"    md5     {info.md5}\n    put at  {lcsts.home}/{split}.json\n"
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
    actual, expected = hashlib.md5(b"{}").hexdigest(), lcsts.splits["train"].md5
    assert f"there is a file already, but its md5 is {actual}, expected {expected}; put the right one there" in message
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


def test_wrong_data_files_are_errors(tmp_path):
    message = error(load_split, section(source="lcsts_new", data_files={"dev": "x"}), "train")
    assert message == "data.data_files: unknown key dev; the keys are train, validation, test"
    message = error(load_split, section(source="lcsts_new", data_files={"train": "x.json"}), "train")
    assert message == f"data.data_files.train: x.json: no such file (working directory: {os.getcwd()})"


def test_the_files_of_builders_in_other_forms():
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
