"""Tiny trained runs that are being served, and requests to them."""

import contextlib
import json
import threading
import time

import httpx
import pytest

from paddle_ft.serving.limits import Limits
from paddle_ft.serving.server import Server
from tests.support import tiny_demo

LONG = 60  # seconds after which a test that hangs fails
INPUTS = {  # run -> inputs of several lengths
    "summarization": ["今天北京天气晴朗", "上海明天有大雨", "广州今晚举行比赛" * 3, "深"],
    "sentences": ["a good film", "a bad film", "good " * 20, "", "bad"],
    "questions": [("what is it", "what is this"), ("why", "how is that"), ("who " * 10, "who")],
    "lyrics": ["<style:pop> the fish", "<style:folk> birds in the sky", "<style:pop> a", "<style:folk> the birds\nfly"],
    "masked_lm": ["the [MASK] film .", "[MASK] good [MASK] playing the film ."],
    "causal_lm": ["the fisher and", "the king", "the fox and the fisher and the sea and the king"],
}


class Runs:
    """The tiny runs. Each is trained at its first use."""

    def __init__(self, factory: pytest.TempPathFactory):
        self._factory, self._paths = factory, {}

    def __getitem__(self, name: str) -> str:
        if name not in self._paths:
            self._paths[name] = str(tiny_demo.copy_of(name, self._factory))
        return self._paths[name]


@contextlib.contextmanager
def serve(path: str, key: str | None = None, **limits):
    """Serve a run on any free port, and give its server and a client."""
    with (
        Server(path, Limits(**limits), port=0, key=key) as server,
        httpx.Client(base_url=server.url, timeout=LONG, trust_env=False) as client,
    ):
        yield server, client


def body_of(inputs: list) -> dict:
    """Return the body of POST /predict for texts or pairs."""
    return {"pairs": [list(pair) for pair in inputs]} if isinstance(inputs[0], tuple) else {"texts": inputs}


def events(response: httpx.Response) -> list[tuple[str, dict]]:
    """Return the server-sent events of an answer."""
    blocks = [block.split("\n") for block in response.text.strip().split("\n\n")]
    pairs = [block for block in blocks if len(block) == 2]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in pairs]


def figure(client: httpx.Client, name: str) -> float:
    """Return the sum of a figure of /metrics over its labels."""
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


class Held:
    """Hold the computation of a served run until it is released, as if the model were slow."""

    def __init__(self, server, monkeypatch):
        self.entered, self.release, self.computed = threading.Event(), threading.Event(), []
        task = server.worker.task
        predict = task.predict

        def slow(texts, label):
            self.entered.set()
            while not self.release.wait(0.01):
                task.on_step()
            task.on_step()  # a request may have been given up just before the release
            self.computed.extend(texts)
            return predict(texts, label)

        monkeypatch.setattr(task, "predict", slow)


def in_thread(function, *arguments, **keywords):
    """Start a call in a thread, and return a function that waits for its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*arguments, **keywords)))
    thread.start()

    def result():
        thread.join(LONG)
        return results[0]

    return result


def wait_for(condition):
    """Wait until a condition holds, and check that it does."""
    deadline = time.monotonic() + LONG
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def ask(server, texts, path="/predict"):
    return httpx.post(f"{server.url}{path}", json={"texts": texts}, timeout=LONG, trust_env=False)
