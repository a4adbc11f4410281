"""Test the start of the service, its key, and its end: SIGTERM answers what was accepted."""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from paddle_ft import cli
from paddle_ft.reporting.records import read_run
from paddle_ft.serving import server as server_module
from paddle_ft.serving.batching import Job, Row, choose_batch
from paddle_ft.serving.limits import Limits
from paddle_ft.serving.server import PACKAGES
from paddle_ft.system.errors import UserError
from tests.support.paths import ROOT
from tests.support.tiny_serving import LONG, serve


# ---------------------------------------------------------------------------------------------------- what prevents a start
def fail(capsys, *arguments):
    """Return the message of `serve` with these arguments, which must exit with 2."""
    assert cli.main(["serve", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1 and "Traceback" not in error
    return error


def test_wrong_starts_are_named(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("PADDLE_FT_API_KEY", raising=False)
    run = runs["sentences"]
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        advice = "Take another with --port, or stop the program that has it."
        expected = f"cannot listen on 127.0.0.1, port {port}: Address already in use. {advice}"
        assert expected in fail(capsys, run, "--port", port)
    advice = "Name an address of this machine with --host; 0.0.0.0 stands for all of them."
    foreign = fail(capsys, run, "--host", "192.0.2.1", "--api-key", "k")
    assert f"cannot listen on 192.0.2.1, port 8000: Cannot assign requested address. {advice}" in foreign
    for host in ("999.1.1.1", "a" * 64):
        message = fail(capsys, run, "--host", host, "--api-key", "k")
        assert host in message and "another with --port" not in message and "error: -" not in message.replace("error: --host", "")
    assert "--max-connections 100000000: it must be between 1 and 100000." in fail(capsys, run, "--max-connections", "100000000")
    assert "--port 70000: it must be between 0 and 65535" in fail(capsys, run, "--port", 70000)
    assert "is not the directory of a run" in fail(capsys, tmp_path)
    (tmp_path / "config.yaml").write_text("")
    assert "this run has no model yet (neither best/ nor last/)" in fail(capsys, tmp_path)
    assert "--max-batch 0: it must be between 1 and 4096" in fail(capsys, run, "--max-batch", 0)
    assert "--timeout nan: it must be between" in fail(capsys, run, "--timeout", "nan")
    assert "--max-texts 64 is above --max-queue 10" in fail(capsys, run, "--max-queue", 10)
    assert "--api-key: the key must be visible ASCII" in fail(capsys, run, "--api-key", "密钥")
    assert "Did you mean --max-texts?" in fail(capsys, run, "--max-text", 3)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_an_address_that_others_can_reach_needs_a_key(runs, capsys, monkeypatch, host):
    monkeypatch.delenv("PADDLE_FT_API_KEY", raising=False)
    assert f"--host {host}: other machines can reach this address, so clients need a key" in fail(
        capsys, runs["sentences"], "--host", host
    )


def test_a_damaged_model_ends_the_start(runs, tmp_path, capsys):
    import shutil

    run = shutil.copytree(runs["sentences"], tmp_path / "run")
    next((run / "best").glob("*.safetensors")).write_bytes(b"cut off")
    assert "this model is damaged" in fail(capsys, run, "--port", 0)


def test_without_the_extra_the_command_that_installs_it_is_shown(runs, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(server_module.importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name))
    error = fail(capsys, runs["sentences"])
    assert "this needs uvicorn" in error and f"pip install {' '.join(repr(name) for name in PACKAGES)}" in error


def test_the_packages_are_those_of_the_extra():
    names = ", ".join(f'"{name}"' for name in PACKAGES)
    assert f"serve = [{names}]" in (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("arguments", [["--help"], ["runs/x", "--max-texts", "many"], ["runs/x", "--max-texts", "0"]])
def test_help_and_usage_errors_need_neither_paddle_nor_fastapi(arguments):
    code = f"""
import sys
from paddle_ft.cli import main
try:
    code = main(["serve", *{arguments!r}])
except SystemExit as stop:
    code = stop.code
print(code, sorted({{"paddle", "fastapi", "uvicorn", "prometheus_client", "numpy"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=LONG)
    assert done.stdout.splitlines()[-1] == f"{0 if arguments == ['--help'] else 2} []", done.stdout + done.stderr


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_the_service_listens_on_ipv6(runs):
    with server_module.Server(runs["sentences"], Limits(), host="::1", port=0) as server:
        assert server.url.startswith("http://[::1]:")
        assert httpx.get(f"{server.url}/ready", trust_env=False).json() == {"status": "ready"}


# ---------------------------------------------------------------------------------------------------- the key
def test_every_path_with_data_needs_the_key(runs):
    with serve(runs["sentences"], key="secret-key") as (_, client):
        assert client.get("/health").status_code == 200
        for given in (None, "Bearer wrong", "secret-key", "Basic secret-key", "Bearer secret-key2", b"Bearer \xff"):
            headers = {} if given is None else {"authorization": given}
            for path in ("/ready", "/metrics", "/nothing", "/docs/", "/static-offline-docs", "//openapi.json"):
                assert client.get(path, headers=headers).status_code == 401
            answer = client.post("/predict", json={"texts": ["a"]}, headers=headers)
            assert answer.status_code == 401 and answer.json()["error"]["code"] == "unauthorized"
            assert answer.headers["www-authenticate"] == "Bearer" and "secret" not in answer.text
        right = {"authorization": "Bearer secret-key"}
        assert client.post("/predict", json={"texts": ["a"]}, headers=right).status_code == 200
        assert client.get("/ready", headers=right).status_code == 200


@pytest.mark.parametrize(("name", "placeholder"), [
    ("sentences", {"texts": ["..."]}), ("questions", {"pairs": [["...", "..."]]}), ("summarization", {"texts": ["..."]}),
])  # fmt: skip
def test_the_page_opens_without_the_key_and_shows_nothing_of_the_run(runs, name, placeholder):
    with serve(runs[name], key="secret-key") as (_, client):
        page = client.get("/docs")
        assert page.status_code == 200 and "secret" not in page.text
        for file in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
            assert client.get(file).status_code == 200, file
        schema = client.get("/openapi.json").json()
    scheme = {"type": "http", "scheme": "bearer"}  # what the button Authorize is made from
    assert scheme in schema["components"]["securitySchemes"].values()
    secured = {path for path, methods in schema["paths"].items() for method in methods.values() if method.get("security")}
    assert secured == set(schema["paths"]) - {"/health"}
    body = schema["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert [example["value"] for example in body["examples"].values()] == [placeholder]
    rows = [row for split in read_run(runs[name]).predictions.values() for row in split]
    own = {row[key] for row in rows for key in ("text", "text_pair", "source", "target") if row.get(key)}
    assert len(own) > 1 and not [text for text in own if json.dumps(text) in json.dumps(schema)]
    assert Path(runs[name]).name not in schema["info"]["title"]


def test_without_a_key_the_page_does_not_ask_for_one(sentences):
    _, client = sentences
    assert "security" not in client.get("/openapi.json").text


# ---------------------------------------------------------------------------------------------------- loading and stopping
def test_while_the_model_is_loaded_the_service_is_not_ready(runs, monkeypatch):
    release, load = threading.Event(), server_module.open_run

    def slow(*arguments):
        assert release.wait(LONG)
        return load(*arguments)

    monkeypatch.setattr(server_module, "open_run", slow)
    server = server_module.Server(runs["sentences"], Limits(), port=0)
    entering = threading.Thread(target=server.__enter__)
    entering.start()
    with httpx.Client(base_url=server.url, timeout=LONG, trust_env=False) as client:
        assert client.get("/health").status_code == 200
        for answer in (client.get("/ready"), client.post("/predict", json={"texts": ["a"]})):
            assert answer.status_code == 503 and answer.json()["error"]["code"] == "loading"
        release.set()
        entering.join(LONG)
        assert client.get("/ready").status_code == 200
    server.__exit__()


class Process:
    """The command `serve` as a process of its own."""

    def __init__(self, run, *flags, environment=()):
        command = [sys.executable, "-m", "paddle_ft", "serve", run, "--port", "0", *flags]
        variables = {**os.environ, **dict(environment)}
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables)

    def __enter__(self):
        self.header = self.process.stdout.readline()
        self.url = self.header.split(" at ")[1].split()[0]
        for line in iter(self.process.stderr.readline, ""):
            if line == "ready\n":
                break
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_what_was_accepted(runs, number):
    """The generation takes long enough for the signal to arrive meanwhile, because it is one of many that wait."""
    body = {"seed_line": "the fish", "genre": "pop", "lines": 24, "temperature": 2.0}
    with Process(runs["lyrics"]) as served, httpx.Client(base_url=served.url, timeout=LONG, trust_env=False) as client:
        expected = client.post("/generate", json={**body, "seed": 0}).json()
        answers = {}

        def ask(seed):
            answers[seed] = httpx.post(f"{served.url}/generate", json={**body, "seed": seed}, timeout=LONG, trust_env=False)

        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        while "paddle_ft_queue_texts 7.0" not in client.get("/metrics").text and len(answers) < 8:
            pass
        assert len(answers) < 8, "all was answered before the signal: make the generations longer"
        served.process.send_signal(number)
        refused = []
        while served.process.poll() is None and len(refused) < 1:
            try:
                answer = client.get("/ready")
            except httpx.TransportError:
                break
            refused += [answer] if answer.status_code == 503 else []
        assert refused and refused[0].json()["error"]["code"] == "stopping"
        assert client.post("/generate", json=body).status_code == 503
        for thread in threads:
            thread.join(LONG)
        assert [answers[seed].status_code for seed in range(8)] == [200] * 8
        assert answers[0].json() == expected
        assert served.process.wait(LONG) == 0
        assert "stopped; everything that was accepted was answered" in served.process.stderr.read()


def test_a_server_that_is_being_stopped_answers_its_queue_and_takes_nothing_new(runs, monkeypatch):
    with serve(runs["sentences"], max_batch=1) as (server, client):
        entered, release, predict = threading.Event(), threading.Event(), server.worker.task.predict

        def slow(texts, label):
            entered.set()
            assert release.wait(LONG)
            return predict(texts, label)

        monkeypatch.setattr(server.worker.task, "predict", slow)
        answers = []

        def ask(texts):
            answers.append(httpx.post(f"{server.url}/predict", json={"texts": texts}, timeout=LONG, trust_env=False))

        threads = [threading.Thread(target=ask, args=([f"film {i}", "good"],)) for i in range(3)]
        for thread in threads:
            thread.start()
        assert entered.wait(LONG)
        while "paddle_ft_queue_texts 5.0" not in client.get("/metrics").text:
            time.sleep(0.01)
        server.stop()
        while client.get("/ready").status_code == 200:
            time.sleep(0.01)
        answer = client.post("/predict", json={"texts": ["late"]})
        assert answer.status_code == 503 and answer.json()["error"]["code"] == "stopping"
        assert client.get("/health").status_code == 200
        release.set()
        for thread in threads:
            thread.join(LONG)
        assert sorted(len(answer.json()["predictions"]) for answer in answers) == [2, 2, 2]


def test_what_cannot_be_answered_within_the_grace_is_refused_in_the_end(runs, monkeypatch):
    server = server_module.Server(runs["sentences"], Limits(grace=0.2), port=0)
    with server:
        entered = threading.Event()

        def endless(texts, label):
            entered.set()
            while True:
                server.worker.task.on_step()
                time.sleep(0.01)

        monkeypatch.setattr(server.worker.task, "predict", endless)
        answers = []
        url = f"{server.url}/predict"
        thread = threading.Thread(
            target=lambda: answers.append(httpx.post(url, json={"texts": ["a"]}, timeout=LONG, trust_env=False))
        )
        thread.start()
        assert entered.wait(LONG)
    thread.join(LONG)
    assert answers[0].status_code == 503 and answers[0].json()["error"]["code"] == "stopping"
    assert server._result == [1]


@pytest.mark.slow
def test_the_header_names_all_limits_and_a_key_of_the_environment_counts(runs):
    with Process(runs["sentences"], "--max-texts", "3", environment={"PADDLE_FT_API_KEY": "k-1"}) as served:
        assert httpx.get(f"{served.url}/ready", trust_env=False).status_code == 401
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(LONG) == 0
        header = served.process.stdout.read()
    assert "--max-texts 3 " in header and all(f"--{name.replace('_', '-')} " in header for name in Limits.__dataclass_fields__)
    assert "k-1" not in header


# ---------------------------------------------------------------------------------------------------- batches
def rows(*lengths):
    job = Job("text", [""] * len(lengths), lambda *event: None, float("inf"))
    return [Row(job, number, length) for number, length in enumerate(lengths)]


@pytest.mark.parametrize(("lengths", "max_batch", "max_tokens", "chosen"), [
    ([10, 500, 12, 11], 2, 10_000, [10, 11]),
    ([500, 10, 12, 400], 4, 10_000, [500, 400]),
    ([10, 26, 27], 4, 10_000, [10, 26]),  # little padding matters little for short texts
    ([100, 100, 100], 8, 250, [100, 100]),
    ([1000, 5], 8, 10, [1000]),
    ([7, 7, 7], 1, 10_000, [7]),
])  # fmt: skip
def test_a_batch_has_the_oldest_text_and_those_of_similar_length(lengths, max_batch, max_tokens, chosen):
    batch = choose_batch(rows(*lengths), max_batch, max_tokens)
    assert [row.length for row in batch] == chosen and batch[0].number == 0


def test_limits_have_ranges():
    with pytest.raises(UserError, match=r"--grace -1: it must be between 0 and 86400\."):
        Limits(grace=-1)


def test_answers_are_utf_8(sentences):
    _, client = sentences
    answer = client.post("/predict", json={"texts": ["好电影"]})
    assert "好电影" in answer.content.decode("utf-8") and json.loads(answer.content)
