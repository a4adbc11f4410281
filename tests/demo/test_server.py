"""Test the served page through its HTTP API: answers, two visitors at once, cancelling, wrong input; and what prevents a start."""

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from gradio_client import Client

from paddle_ft import cli
from paddle_ft.demo import server as server_module
from paddle_ft.demo.server import GRADIO, DemoServer
from paddle_ft.runs.inference import open_run
from tests.support import tiny_demo
from tests.support.paths import ROOT

LONG = 60  # seconds after which a test that hangs fails


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    names = ("summarization", "sentences", "causal_lm")
    return {name: str(tiny_demo.copy_of(name, tmp_path_factory)) for name in names}


@pytest.fixture(scope="module")
def server(runs):
    with DemoServer([*runs.values(), runs["sentences"]], port=0) as server:
        yield server


@pytest.fixture
def client(server):
    return Client(server.url, verbose=False)


def text_of(html):
    return re.sub(r"<[^>]+>", " ", html)


def test_answers_are_those_of_predict(client, runs):
    source = "今天北京天气晴朗"
    (row,) = open_run(runs["summarization"]).predict([source], "")
    html = client.predict(source, 2, 8, 0, "zh", api_name="/summarization")
    assert row["prediction"] and row["prediction"] in text_of(html).replace(" ", "") and "摘要" in html
    html = client.predict("a good film", "en", api_name="/classification")
    (row,) = open_run(runs["sentences"]).predict(["a good film"], "")
    assert f"{100 * row['probability']:.1f} %" in html and ">Class<" in html


def test_visitors_at_once_get_their_own_answers(server):
    def ask(prompt):
        html = Client(server.url, verbose=False).predict(prompt, 30, 0.8, 1, "en", api_name="/causal_lm")
        return prompt in text_of(html)

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(ask, ["the fox", "the king", "the sea", "the fisher"]))


def test_wrong_input_gets_one_message_and_the_server_lives_on(client):
    html = client.predict(" ", 2, 8, 0, "zh", api_name="/summarization")
    assert html.count("ft-problem") == 1 and "“待摘要的文本”为空" in html and "Traceback" not in html
    html = client.predict("a" * 20_001, "en", api_name="/classification")
    assert "“Text” has 20001 characters; at most 20000 are allowed. Shorten it." in html
    html = client.predict("今天北京", 10**9, 8, 0, "zh", api_name="/summarization")
    assert text_of(html).strip() == "“束宽（1：贪心搜索）”必须是 1 到 8 之间的整数。"
    assert "ft-large" in client.predict("a good film", "en", api_name="/classification")


def call(server, endpoint, values):
    """Return the last answer of a function. In contrast to clients, this sends NaN and infinity, which Python's reader knows."""
    url, headers = f"{server.url}/gradio_api/call/{endpoint}", {"content-type": "application/json"}
    answer = httpx.post(url, content=json.dumps({"data": values}), headers=headers, timeout=LONG)
    assert answer.status_code == 200, answer.text
    events = httpx.get(f"{url}/{answer.json()['event_id']}", timeout=LONG).text.strip().split("\n\n")
    kind, data = events[-1].split("\n")
    assert kind == "event: complete", events
    return json.loads(data.removeprefix("data: "))[0]


@pytest.mark.parametrize(("endpoint", "good"), [
    ("summarization", ["今天", 2, 8, 0]), ("classification", ["a film"]), ("causal_lm", ["the fox", 5, 0.8, 1]),
])  # fmt: skip
def test_no_value_of_any_control_is_more_than_one_message(server, capfd, endpoint, good):
    for number, value in enumerate(good):
        for bad in ("abc", None, float("nan"), float("inf"), 10**400, -5, True, [], [1], {"a": 1}):
            if isinstance(value, str) and isinstance(bad, str | None):
                continue  # a text, or no text
            html = call(server, endpoint, [*good[:number], bad, *good[number + 1 :], "en"])
            assert html.count("ft-problem") == 1 and " must be a " in html, (number, bad, html)
    assert "ft-problem" not in call(server, endpoint, [*good, {"no": "language"}])
    assert "Traceback" not in capfd.readouterr().err


def test_what_the_page_never_sends_gets_an_answer_and_no_traceback(server, client, capfd):
    url = f"{server.url}/gradio_api"
    body = {"data": ["a film", "en"], "session_hash": "a"}
    unknown = [("queue/join", {**body, "fn_index": 999}), ("queue/join", {**body, "fn_index": -1}), ("call/none", body),
               ("run/predict", {**body, "fn_index": 999})]  # fmt: skip
    for path, content in unknown:
        answer = httpx.post(f"{url}/{path}", json=content, timeout=LONG)
        assert answer.status_code == 400 and answer.json()["error"].startswith("The server does not understand this request.")
    answer = httpx.post(f"{url}/run/classification", json={"data": []}, timeout=LONG)
    assert answer.status_code == 500 and answer.json()["error"].startswith("The server does not understand this request.")
    answer = httpx.post(f"{url}/upload", files={"files": b"x"}, timeout=LONG)
    assert (answer.status_code, answer.json()) == (404, {"error": "This page takes no files."})
    answer = httpx.post(f"{url}/run/classification", json={"data": ["a" * 3_000_000, "en"]}, timeout=LONG)
    assert (answer.status_code, answer.json()) == (413, {"error": "The request is too large: at most 2000000 bytes are read."})
    answer = httpx.post(f"{url}/run/classification", content=iter([b"a" * 1_500_000] * 2), timeout=LONG)
    assert answer.status_code == 400 and "Traceback" not in answer.text
    assert "404" in httpx.get(f"{url}/queue/data", params={"session_hash": "unknown"}, timeout=LONG).text
    assert "ft-large" in client.predict("a good film", "en", api_name="/classification")
    errors = capfd.readouterr().err
    assert "Traceback" not in errors and "Warning" not in errors
    assert "demo: 'POST /gradio_api/queue/join' is not understood: KeyError: 999\n" in errors


def test_a_cancelled_generation_stops_computing(server, client, monkeypatch):
    """The generation would go on for ever, because each token takes until the test releases it and the text has no end."""
    import paddle_ft.generation as generation

    steps, stopped, released = [], threading.Event(), threading.Event()

    def endless(*arguments, **options):
        try:
            while True:
                steps.append(1)
                released.wait(0.01)
                yield 40
        finally:
            stopped.set()

    monkeypatch.setattr(generation, "stream", endless, raising=False)
    job = client.submit("the fox", 30, 0.8, 1, "en", api_name="/causal_lm")
    deadline = time.monotonic() + LONG
    while len(steps) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(steps) >= 5 and not stopped.is_set()
    job.cancel()
    assert stopped.wait(LONG)
    assert "ft-large" in client.predict("a good film", "en", api_name="/classification")


def test_the_page_names_no_other_host(server):
    html = httpx.get(server.url).text
    style = httpx.get(f"{server.url}/theme.css").text
    loaded = re.findall(r'(?:src|href)="(https?://[^"]+)"|url\([\'"]?(https?://[^\'")]+)', html + style)
    assert "ft-answer" in html or "ft-answer" in style
    assert [url for pair in loaded for url in pair if url and not url.startswith(server.url)] == []


# ---------------------------------------------------------------------------------------------------- start
@pytest.mark.slow
def test_the_application_for_ai_studio_serves_the_run_where_the_platform_says(runs, tmp_path):
    """As on the platform: `python main.gradio.py`, with the port in the environment. docs/demo.md shows the same lines."""
    script = ROOT / "docs" / "examples" / "main.gradio.py"
    assert script.read_text(encoding="utf-8").partition("\n\n")[2] in (ROOT / "docs" / "demo.md").read_text(encoding="utf-8")
    shutil.copy(script, tmp_path)
    shutil.copytree(runs["sentences"], tmp_path / "runs" / "bart_lcsts_sample")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GRADIO_SERVER_PORT": str(port)}
    command = [sys.executable, script.name]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stdout.readline, "")
            assert f"the page is at http://127.0.0.1:{port} " in next((line for line in lines if "page" in line), "")
            assert httpx.get(f"http://127.0.0.1:{port}").status_code == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(LONG) == 0
        finally:
            process.kill()


def fail(capsys, *arguments):
    """Return the message of `demo` with these arguments, which must exit with 2."""
    assert cli.main(["demo", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1 and "Traceback" not in error
    return error


def test_a_port_that_is_taken_is_named(runs, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"cannot listen on 127.0.0.1, port {port}" in fail(capsys, runs["sentences"], "--port", port)
    foreign = fail(capsys, runs["sentences"], "--host", "999.1.1.1")
    assert "cannot listen on 999.1.1.1, port 7860: " in foreign
    assert foreign.endswith("Name an address of this machine with --host; 0.0.0.0 stands for all of them.\n")
    assert "--port 70000: it must be between 0 and 65535" in fail(capsys, runs["sentences"], "--port", 70000)


def test_wrong_runs_are_named(tmp_path, capsys):
    assert "is not the directory of a run" in fail(capsys, tmp_path, "--port", 0)


def test_without_gradio_the_command_that_installs_it_is_shown(runs, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(server_module.importlib.util, "find_spec", lambda name: None if name == "gradio" else find(name))
    assert f"pip install '{GRADIO}'" in fail(capsys, runs["sentences"])


def test_gradio_is_the_one_of_the_extra():
    assert f'demo = ["{GRADIO}"]' in (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
