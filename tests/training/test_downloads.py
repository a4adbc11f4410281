"""Test the main recipe of configs/ with model and data from a local server that has the layouts of the real ones."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import paddle
import pytest
from paddlenlp.datasets import lcsts_new
from paddlenlp.transformers import AutoTokenizer, BartConfig, BartForConditionalGeneration

import convert
from paddle_ft.config.load import load_config
from paddle_ft.models.vocabulary import tie_head
from paddle_ft.system.errors import UserError
from paddle_ft.tokenization.build import character_tokenizer
from paddle_ft.training import run as training_run
from tests.support.tiny_runs import PAIRS

REVISION = "a" * 40
SHORT = ["device=cpu", "train.max_steps=2", "train.logging_steps=1", "task.max_source_length=24", "task.max_target_length=8",
         "generation.num_beams=1", "data.cache=false"]  # fmt: skip


class Hub(BaseHTTPRequestHandler):
    """Answer like the Hugging Face hub and Baidu's object store. `files` is path -> bytes."""

    files: dict[str, bytes] = {}
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body: bool):
        path = self.path.split("?")[0]
        if path.startswith("/api/models/fnlp/bart-base-chinese"):
            names = [p.rsplit("/", 1)[1] for p in self.files if p.startswith("/fnlp/")]
            content = json.dumps({"id": "fnlp/bart-base-chinese", "sha": REVISION,
                                  "siblings": [{"rfilename": name} for name in names]}).encode()  # fmt: skip
        else:
            content = self.files.get(path.replace(f"/resolve/{REVISION}/", "/resolve/main/"))
        self.send_response(404 if content is None else 200)
        content = content or b""
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def served_files(tmp_path_factory) -> dict[str, bytes]:
    """Return URL path -> bytes of a tiny Chinese BART in Hugging Face's layout, and of two files in lcsts_new's layout."""
    folder = tmp_path_factory.mktemp("stand_in")
    tokenizer = character_tokenizer([text for pair in PAIRS for text in pair], folder / "vocab")
    paddle.seed(7)
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 3, "forced_eos_token_id": 3}
    config = BartConfig(vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=64,
                        **ids)  # fmt: skip
    model = BartForConditionalGeneration(config)
    tie_head(model, from_scratch=True)
    model.save_pretrained(str(folder / "paddle"), safe_serialization=True)
    tokenizer.save_pretrained(str(folder / "paddle"))
    convert.to_hf(str(folder / "paddle"), str(folder / "hf"))
    served = {f"/fnlp/bart-base-chinese/resolve/main/{path.name}": path.read_bytes() for path in (folder / "hf").iterdir()}
    lines = [json.dumps({"id": i, "content": s, "summary": t}, ensure_ascii=False) for i, (s, t) in enumerate(PAIRS)]
    for name in ("train.json", "dev.json"):
        served[f"/paddlenlp/datasets/LCSTS_new/{name}"] = ("\n".join(lines) + "\n").encode()
    return served


@pytest.fixture
def empty_caches(served_files, tmp_path, monkeypatch):
    """Use empty caches and the checksums of the served files. Return the folder of the caches."""
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(lcsts_new, "DATA_HOME", str(tmp_path / "datasets"))
    splits = {
        name: info._replace(md5=hashlib.md5(served_files[f"/paddlenlp/datasets/LCSTS_new/{info.file}"]).hexdigest())
        for name, info in lcsts_new.LCSTSNew.SPLITS.items()
    }
    monkeypatch.setattr(lcsts_new.LCSTSNew, "SPLITS", splits)
    return tmp_path


def recipe(folder: Path):
    return load_config("bart_lcsts", [*SHORT, f"output_dir={folder / 'run'}"])


def test_everything_is_downloaded_and_used(served_files, empty_caches, monkeypatch):
    Hub.files = served_files
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("PADDLE_FT_MIRROR", address)
    try:
        run = training_run.train(recipe(empty_caches))
    finally:
        server.shutdown()
    results = run.results()
    assert results["data"]["train"]["rows"] == results["data"]["validation"]["rows"] == 8
    first = next(event["loss"] for event in run.events() if event["event"] == "train")
    assert first == pytest.approx(results["before_training"]["validation"]["loss"], abs=0.2)  # so the served weights are used


def test_offline_one_error_names_all_files_and_copied_files_are_used(served_files, empty_caches, monkeypatch):
    closed = "http://127.0.0.1:9"  # the discard port: nothing listens
    monkeypatch.setenv("HF_ENDPOINT", closed)
    monkeypatch.setenv("PADDLE_FT_MIRROR", closed)
    with pytest.raises(UserError) as caught:
        training_run.train(recipe(empty_caches))
    message = str(caught.value)
    data = empty_caches / "datasets" / "LCSTSNew"
    hub = empty_caches / "home" / "hub" / "fnlp--bart-base-chinese"
    for name in ("train.json", "dev.json"):
        assert f"https://bj.bcebos.com/paddlenlp/datasets/LCSTS_new/{name}" in message
        assert f"put at  {data / name}" in message
        split = "train" if name == "train.json" else "dev"
        assert f"md5     {lcsts_new.LCSTSNew.SPLITS[split].md5}" in message
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        assert f"{closed}/fnlp/bart-base-chinese/resolve/main/{name}" in message
    assert f"Put these files into {hub}" in message
    assert not (empty_caches / "run").exists()

    for path, content in served_files.items():
        target = (hub if path.startswith("/fnlp/") else data) / path.rsplit("/", 1)[1]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    run = training_run.train(recipe(empty_caches))
    assert run.results()["status"] == "finished"
    tokenizer = AutoTokenizer.from_pretrained(str(run / "best"))
    assert tokenizer.decode(tokenizer("北京晴")["input_ids"], skip_special_tokens=True).replace(" ", "") == "北京晴"
