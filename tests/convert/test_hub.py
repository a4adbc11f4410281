"""Test downloads from a local server, behaviour without a network, and the cache of conversions."""

import hashlib
import http.server
import json
import threading
import time
from pathlib import Path

import pytest

import convert
from convert import hub
from tests.support.checkpoints import change_config

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.BaseHTTPRequestHandler):
    """A stand-in for the Hugging Face hub: the requests that a download makes. It serves `server.files`."""

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        server = self.server
        server.requests.append((self.command, self.path, self.headers.get("Range"), self.headers.get("Authorization")))
        if server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
            return self.reply(401, b"")
        path = self.path.split("?")[0]
        if path in (f"/api/models/org/model/revision/{name}" for name in ("main", "v2")):
            siblings = [
                {"rfilename": name, "size": len(data), "blobId": "b", "lfs": {"sha256": server.digests[name], "size": len(data),
                                                                             "pointerSize": 1}}
                if name.endswith(".safetensors") else {"rfilename": name, "size": len(data), "blobId": "b"}
                for name, data in server.files.items()
            ]  # fmt: skip
            return self.reply(200, json.dumps({"id": "org/model", "sha": COMMIT, "siblings": siblings}).encode(), body=body)
        name = path.removeprefix(f"/org/model/resolve/{COMMIT}/")
        if name not in server.files:
            return self.reply(404, b"")
        data, start = server.files[name], 0
        if server.cut and body and name.endswith(".safetensors"):
            server.cut = False
            return self.reply(200, data, name=name, send=len(data) // 2)
        if self.headers.get("Range", "").startswith("bytes=") and not self.headers["Range"].startswith("bytes=0-0"):
            start = int(self.headers["Range"].removeprefix("bytes=").split("-")[0])
        self.reply(206 if start else 200, data[start:], name=name, body=body)

    def reply(self, status, data, *, name=None, body=True, send=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if name:
            self.send_header("ETag", f'"{self.server.digests[name]}"')
            self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(data[:send])
        if send is not None:
            self.close_connection = True


@pytest.fixture
def server(checkpoints, monkeypatch, tmp_path):
    source = checkpoints("distilbert/sequence_classification")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.files = {path.name: path.read_bytes() for path in source.iterdir() if path.suffix in (".json", ".safetensors")}
    server.files["tf_model.h5"] = b"not wanted"
    server.digests = {name: hashlib.sha256(data).hexdigest() for name, data in server.files.items()}
    server.requests, server.token, server.cut = [], None, False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "cache"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.shutdown()
    server.server_close()


def test_a_directory_is_used_in_place(tmp_path):
    assert convert.resolve(tmp_path) == tmp_path


def test_downloads_what_is_needed_once(server, tmp_path):
    folder = convert.resolve("org/model")
    assert folder == tmp_path / "cache" / "hub" / "org--model"
    assert (folder / "model.safetensors").read_bytes() == server.files["model.safetensors"]
    assert not (folder / "tf_model.h5").exists()
    assert json.loads((folder / ".source.json").read_text())["commit"] == COMMIT
    count = len(server.requests)
    assert convert.resolve("org/model") == folder
    assert len(server.requests) == count, "the second call went to the network"


def test_another_revision_has_a_folder_of_its_own(server, tmp_path):
    assert convert.resolve("org/model", "v2") == tmp_path / "cache" / "hub" / "org--model@v2"
    assert any("/revision/v2" in path for _, path, *_ in server.requests)


def test_an_interrupted_download_resumes(server):
    large = bytes(range(256)) * 100_000  # the library writes in pieces of 10 MB: half of this is slightly more than one piece
    server.files["model.safetensors"], server.digests["model.safetensors"] = large, hashlib.sha256(large).hexdigest()
    server.cut = True
    try:
        folder = convert.resolve("org/model")  # the library may resume by itself ...
    except convert.ConvertError:
        folder = convert.resolve("org/model")  # ... or a second call does
    assert (folder / "model.safetensors").read_bytes() == large
    resumed = [header for _, path, header, _ in server.requests if header and path.endswith("model.safetensors")]
    assert "bytes=10485760-" in resumed, server.requests


def test_the_token_is_sent_and_named_when_it_is_missing(server, monkeypatch):
    server.token = "hf_secret"
    with pytest.raises(convert.ConvertError, match="answered 401.*HF_TOKEN"):
        convert.resolve("org/model")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert (convert.resolve("org/model") / "config.json").is_file()


def test_an_unknown_repository_is_named(server):
    with pytest.raises(convert.ConvertError, match="org/other is neither a directory here nor.*answered 404"):
        convert.resolve("org/other")


def test_a_file_that_does_not_match_its_checksum_is_refused(server):
    server.digests["model.safetensors"] = "0" * 64
    with pytest.raises(convert.ConvertError, match="the hub says 0000"):
        convert.resolve("org/model")


def test_offline_the_message_names_the_files_and_their_directory(monkeypatch, tmp_path, checkpoints):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # no server listens on this port
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path))
    started = time.monotonic()
    with pytest.raises(convert.ConvertError) as error:
        convert.resolve("facebook/bart-base", "abc")
    assert time.monotonic() - started < 10
    folder = tmp_path / "hub" / "facebook--bart-base@abc"
    text = str(error.value)
    assert f"Put these files into {folder}:" in text
    for name in ("config.json", "model.safetensors", "vocab.json", "merges.txt"):
        assert f"http://127.0.0.1:9/facebook/bart-base/resolve/abc/{name}" in text
    # the files are used once they are in that directory
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes((checkpoints("bart/seq2seq") / name).read_bytes())
    assert convert.resolve("facebook/bart-base", "abc") == folder


@pytest.mark.parametrize("name", ["/no/such/directory", "../up", "a/b/c", "org/..", "", "sp ace/x"])
def test_a_name_that_is_neither_a_directory_nor_an_id_is_refused_without_a_request(name):
    with pytest.raises(convert.ConvertError, match="neither a directory here nor an id"):
        hub.resolve_checkpoint(name)


def test_a_cached_conversion_is_repeated_only_when_the_source_changes(checkpoint_copy, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "cache"))
    source = checkpoint_copy("distilbert/masked_lm")
    first = convert.cached(source)
    assert "converting" in capsys.readouterr().out and (first / "config.json").is_file()
    assert convert.cached(source) == first and capsys.readouterr().out == ""
    other = convert.cached(source, task="base")
    assert other != first and json.loads((other / "config.json").read_text())["architectures"] == ["DistilBertModel"]
    change_config(source, dropout=0.3)
    assert convert.cached(source) not in (first, other)
    assert Path(first).is_dir()


def test_the_cache_refuses_a_checkpoint_that_needs_another_class(checkpoints, monkeypatch, tmp_path):
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path))
    for _ in range(2):  # the second time from the cache
        with pytest.raises(convert.ConvertError, match="the head differs from the embedding, and PaddleNLP's GPTLMHeadModel"):
            convert.cached(checkpoints("gpt2/causal_lm-head_untied"))


def test_two_processes_may_convert_the_same_at_once(checkpoints, monkeypatch, tmp_path):
    """Let another process finish first. The slower one must use its result and delete nothing of it."""
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path))
    import convert.write_paddle

    write_paddle_tokenizer = convert.write_paddle.write_paddle_tokenizer

    def finish_another_conversion_first(*arguments):
        monkeypatch.setattr("convert.write_paddle.write_paddle_tokenizer", write_paddle_tokenizer)
        faster.append(convert.cached(checkpoints("distilbert/base")))
        (faster[0] / "in use").touch()
        return write_paddle_tokenizer(*arguments)

    faster = []
    monkeypatch.setattr("convert.write_paddle.write_paddle_tokenizer", finish_another_conversion_first)
    assert convert.cached(checkpoints("distilbert/base")) == faster[0]
    assert (faster[0] / "in use").exists()
    assert [path.name for path in faster[0].parent.iterdir()] == [faster[0].name]
