"""Test downloads from a local HTTP server: resuming, checksums, broken connections, no network."""

import hashlib
import os
import socket
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from convert.files import cache_folder
from paddle_ft.data import download
from paddle_ft.data.download import FetchError, RemoteFile, download_missing, fetch
from paddle_ft.system.errors import UserError

BODY = bytes(range(256)) * 12000  # 3 MB
MD5 = hashlib.md5(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def __init__(self, log, behaviour, *args):
        self.log, self.behaviour = log, behaviour
        super().__init__(*args)

    def do_GET(self):
        requested_range = self.headers.get("Range")
        self.log.append((self.path, requested_range))
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        start = int(requested_range[6:-1]) if requested_range and not self.behaviour.get("no_ranges") else 0
        if start >= len(BODY):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(BODY)}")
            self.end_headers()
            return
        if self.headers.get("If-Range", self.behaviour.get("tag")) != self.behaviour.get("tag"):
            start = 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(BODY) - start))
        if self.behaviour.get("tag"):
            self.send_header("ETag", self.behaviour["tag"])
        self.end_headers()
        stop = self.behaviour.get("cut_after")
        self.wfile.write(BODY[start : start + stop] if stop else BODY[start:])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "PADDLE_FT_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    log, behaviour = [], {}
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, log, behaviour))
    Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    http.log, http.behaviour, http.url = log, behaviour, f"http://127.0.0.1:{http.server_port}"
    yield http
    http.shutdown()
    http.server_close()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_an_unchanged_file_is_hashed_once_and_a_changed_one_again(tmp_path):
    path = tmp_path / "a.bin"
    for content, mtime_ns, expected in ((b"one", 10, b"one"), (b"two", 10, b"one"), (b"two", 20, b"two"), (b"three", 20, b"three")):
        path.write_bytes(content)
        os.utime(path, ns=(mtime_ns, mtime_ns))
        assert download.checksum(path, "md5") == hashlib.md5(expected).hexdigest()


def test_the_folder_for_downloads_is_the_converters_and_may_start_with_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PADDLE_FT_HOME", "~/cache")
    assert download.data_home() == cache_folder() / "datasets" == tmp_path / "cache" / "datasets"


def test_fetch_verifies_and_leaves_only_the_file(server, tmp_path):
    path = fetch(server.url + "/a.bin", tmp_path / "deep" / "a.bin", md5=MD5, sha256=hashlib.sha256(BODY).hexdigest())
    assert path.read_bytes() == BODY
    assert [entry.name for entry in path.parent.iterdir()] == ["a.bin"]


def test_a_half_finished_download_is_resumed(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY[:1000])
    fetch(server.url + "/a.bin", tmp_path / "a.bin", md5=MD5)
    assert server.log == [("/a.bin", "bytes=1000-")]
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_broken_connection_is_resumed_while_bytes_arrive(server, tmp_path):
    server.behaviour.update(cut_after=1_000_000, tag='"v1"')
    fetch(server.url + "/a.bin", tmp_path / "a.bin")  # no checksum: the ETag shows that the pieces are of one version
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert len(server.log) >= 3 and server.log[1][1].startswith("bytes=")


def test_without_etag_and_checksum_a_download_starts_again(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(b"of another version")
    fetch(server.url + "/a.bin", tmp_path / "a.bin")
    assert server.log == [("/a.bin", None)]
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_changed_file_is_downloaded_from_the_start(server, tmp_path):
    server.behaviour["tag"] = '"v2"'
    (tmp_path / "a.bin.part").write_bytes(b"old")
    (tmp_path / "a.bin.part.tag").write_text('"v1"')
    fetch(server.url + "/a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_complete_part_is_recognised(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY)
    fetch(server.url + "/a.bin", tmp_path / "a.bin", md5=MD5)
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_server_without_ranges(server, tmp_path):
    server.behaviour["no_ranges"] = True
    (tmp_path / "a.bin.part").write_bytes(BODY[:1000])
    fetch(server.url + "/a.bin", tmp_path / "a.bin", md5=MD5)
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_wrong_checksum_is_never_kept(server, tmp_path):
    with pytest.raises(FetchError) as caught:
        fetch(server.url + "/a.bin", tmp_path / "a.bin", md5="0" * 32)
    assert str(caught.value) == (
        f"{server.url}/a.bin: the downloaded file is not the one that was expected: its md5 is {MD5}, expected {'0' * 32}"
    )
    assert list(tmp_path.iterdir()) == []


def test_http_404_is_not_retried(server, tmp_path):
    with pytest.raises(FetchError, match="HTTP 404 Not Found"):
        fetch(server.url + "/missing.bin", tmp_path / "a.bin")
    assert len(server.log) == 1


def test_an_unknown_host_and_a_refused_connection_fail_fast(server, tmp_path):
    start = time.perf_counter()
    with pytest.raises(FetchError, match=r"no connection to nowhere\.invalid") as caught:
        fetch("https://nowhere.invalid/a.bin", tmp_path / "a.bin")
    assert caught.value.offline
    with pytest.raises(FetchError, match="Connection refused") as caught:
        fetch(f"http://127.0.0.1:{closed_port()}/a.bin", tmp_path / "a.bin")
    assert caught.value.offline
    assert time.perf_counter() - start < 2 * 2 * download.CONNECT_TIMEOUT + 2


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/a\.bin: cannot be written: (Not a directory|File exists)"):
        fetch(server.url + "/a.bin", tmp_path / "file" / "a.bin")


def test_the_mirror_replaces_scheme_and_host(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLE_FT_MIRROR", server.url + "/copy/")
    fetch("https://bj.example.com/data/a.bin?x=1", tmp_path / "a.bin", md5=MD5)
    assert server.log == [("/copy/data/a.bin?x=1", None)]


def test_the_proxy_is_used(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("NO_PROXY", "")
    fetch("http://nowhere.invalid/a.bin", tmp_path / "a.bin", md5=MD5)
    assert server.log == [("http://nowhere.invalid/a.bin", None)]


def test_download_missing_fetches_only_missing_files(server, tmp_path):
    (tmp_path / "present.bin").write_bytes(BODY)
    (tmp_path / "unpacked.tsv").write_text("x")
    download_missing(
        [
            RemoteFile(server.url + "/present.bin", str(tmp_path / "present.bin"), md5=MD5),
            RemoteFile(server.url + "/absent.bin", str(tmp_path / "absent.bin"), md5=MD5),
            RemoteFile(server.url + "/a.zip", str(tmp_path / "a.zip"), unpacked=str(tmp_path / "unpacked.tsv")),
        ]
    )
    assert [path for path, _ in server.log] == ["/absent.bin"]
    assert (tmp_path / "absent.bin").read_bytes() == BODY


def test_download_missing_reports_all_files_in_one_error(server, tmp_path):
    by_hand = tmp_path / "hand.bin"
    by_hand.write_bytes(b"not it")
    dead = f"127.0.0.1:{closed_port()}"
    with pytest.raises(UserError) as caught:
        download_missing(
            [
                RemoteFile(f"http://{dead}/train.json", str(tmp_path / "train.json"), md5="1" * 32, description="training rows"),
                RemoteFile(f"http://{dead}/dev.json", str(tmp_path / "dev.json"), sha256="2" * 64, description="validation rows"),
                RemoteFile(server.url + "/hand.bin", str(by_hand), md5=MD5, description="weights"),
            ]
        )
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        "3 files are missing or wrong. Download on a machine with network access, put at the path below, and start again:"
    )
    assert lines[1:5] == [
        "  training rows",
        f"    from    http://{dead}/train.json",
        f"    md5     {'1' * 32}",
        f"    put at  {tmp_path}/train.json",
    ]
    assert "Connection refused" in lines[5]
    assert lines[6:11] == [
        "  validation rows",
        f"    from    http://{dead}/dev.json",
        f"    sha256  {'2' * 64}",
        f"    put at  {tmp_path}/dev.json",
        f"    now     {dead} cannot be reached either",
    ]
    assert lines[15] == (
        f"    now     there is a file already, but its md5 is {hashlib.md5(b'not it').hexdigest()}, expected {MD5}; "
        "put the right one there, or delete it"
    )
    assert by_hand.read_bytes() == b"not it"


def test_data_home_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path))
    assert download.data_home() == tmp_path / "datasets"
    monkeypatch.delenv("PADDLE_FT_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert str(download.data_home()) == "/home/me/.cache/paddle_ft/datasets"
