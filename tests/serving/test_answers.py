"""Test that the service gives what `predict` and `generate` give, however the texts are put together."""

import math
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import paddle_ft
from paddle_ft.runs.inference import open_run
from tests.support.tiny_serving import INPUTS, LONG, body_of, events, figure, serve


def same(row, expected):
    """Return whether a row is the expected one: texts equal, numbers to 1e-5."""
    if isinstance(expected, dict):
        return row.keys() == expected.keys() and all(same(row[key], expected[key]) for key in expected)
    if isinstance(expected, float):
        return math.isclose(row, expected, abs_tol=1e-5)
    return row == expected


@pytest.mark.parametrize("name", INPUTS)
def test_each_task_answers_like_the_offline_prediction(runs, name):
    expected = open_run(runs[name], {"data.cache": False}).predict(list(INPUTS[name]), "")
    with serve(runs[name]) as (_, client):
        together = client.post("/predict", json=body_of(INPUTS[name]))
        alone = [client.post("/predict", json=body_of([text])).json()["predictions"][0] for text in INPUTS[name]]
        schema = client.get("/openapi.json").json()["paths"]
        bodies = {path: item["post"]["requestBody"]["content"] for path, item in schema.items() if "post" in item}
        posts = {path: content["application/json"] for path, content in bodies.items()}
        assert "/predict" in posts and all(content["examples"] for content in posts.values())
        for path, content in posts.items():
            for example in content["examples"].values():
                answer = client.post(path, json=example["value"])
                assert answer.status_code == 200, (path, example, answer.text)
    assert together.status_code == 200
    for row, other, wanted in zip(together.json()["predictions"], alone, expected, strict=True):
        assert same(row, wanted) and same(other, wanted)


def test_the_texts_of_many_clients_share_batches_and_are_not_mixed_up(runs):
    texts = [f"{'good ' * (i % 7)}film {'bad ' * (i % 5)}" for i in range(64)]
    expected = {text: row for text, row in zip(texts, open_run(runs["sentences"]).predict(texts, ""), strict=True)}
    with serve(runs["sentences"], batch_wait_ms=50) as (server, client):

        def ask(number):
            with httpx.Client(base_url=server.url, timeout=LONG, trust_env=False) as own:
                chosen = [texts[(number * 3 + i) % 64] for i in range(1 + number % 3)]
                for _ in range(3):
                    rows = own.post("/predict", json={"texts": chosen}).json()["predictions"]
                    if not all(same(row, expected[text]) for row, text in zip(rows, chosen, strict=True)):
                        return False
            return True

        with ThreadPoolExecutor(32) as threads:
            assert all(threads.map(ask, range(32)))
        batches, rows = figure(client, "paddle_ft_batch_texts_count"), figure(client, "paddle_ft_batch_texts_sum")
        assert rows == sum(3 * (1 + number % 3) for number in range(32)) and batches < rows / 2


def test_without_batches_every_text_is_computed_alone(runs):
    with serve(runs["sentences"], max_batch=1) as (server, client):
        assert client.post("/predict", json={"texts": ["a good film"] * 5}).status_code == 200
    text = server.service.metrics.text().decode()  # a batch is counted after its answers are given
    assert re.findall(r"^paddle_ft_batch_texts_(?:count|sum)(?:{.*})? (.*)$", text, re.MULTILINE) == ["5.0", "5.0"]


def test_a_text_that_fails_does_not_harm_the_others_of_its_batch(runs):
    """Without a mask, the second text is refused. All wait for the same batch, because the first is computed meanwhile."""
    with serve(runs["masked_lm"], batch_wait_ms=300) as (server, _):

        def ask(text):
            return httpx.post(f"{server.url}/predict", json={"texts": [text]}, timeout=LONG, trust_env=False)

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(ask, ["the [MASK] film", "no mask here"] * 4))
    assert [answer.status_code for answer in answers] == [200, 422] * 4
    assert "'no mask here' has no [MASK]" in answers[1].json()["error"]["message"]


# ---------------------------------------------------------------------------------------------------- /generate
@pytest.mark.parametrize(("name", "values"), [
    ("causal_lm", {"prompt": "the fox", "length": 12}),
    ("causal_lm", {"prompt": "the fox", "length": 12, "temperature": 1.5, "top_k": 50, "seed": 3}),
    ("lyrics", {"seed_line": "the fish", "genre": "pop", "lines": 3, "seed": 2}),
])  # fmt: skip
def test_generated_texts_are_those_of_the_command_and_of_the_stream(runs, name, values):
    expected = paddle_ft.load_run(runs[name]).generate(**values)
    with serve(runs[name]) as (_, client):
        whole = client.post("/generate", json=values).json()["generations"]
        streamed = client.post("/generate", json={**values, "stream": True})
    assert whole == expected
    assert streamed.headers["content-type"] == "text/event-stream; charset=utf-8"
    *pieces, (last, final) = events(streamed)
    assert last == "done" and final == {"generations": expected}
    assert len(pieces) > 1 and {kind for kind, _ in pieces} == {"piece"}
    assert "".join(piece["text"] for _, piece in pieces) == expected[0]["text"]


def test_summaries_take_beams_and_lengths_and_can_be_streamed(runs):
    source = INPUTS["summarization"][0]
    (expected,) = open_run(runs["summarization"], {"data.cache": False}).predict([source], "")
    with serve(runs["summarization"]) as (_, client):
        (row,) = client.post("/generate", json={"text": source}).json()["generations"]
        assert row["text"] == expected["prediction"] and row["source"] == source
        for length in (3, 5):
            given = {"text": source, "beams": 2, "max_length": length, "min_length": length}
            assert client.post("/generate", json=given).json()["generations"][0]["tokens"] == length
        for search in ({"beams": 1}, {"top_k": 20, "seed": 5}):
            (whole,) = client.post("/generate", json={"text": source, **search}).json()["generations"]
            *pieces, final = events(client.post("/generate", json={"text": source, **search, "stream": True}))
            assert final == ("done", {"generations": [whole]})
            assert "".join(piece["text"] for _, piece in pieces) == whole["text"]
        texts = client.post("/generate", json={"text": source, "n": 3, "temperature": 2.0, "seed": 1}).json()["generations"]
        assert len(texts) == 3


def test_samples_with_a_seed_do_not_depend_on_who_else_asks(runs):
    values = [{"prompt": "the", "length": 10, "top_k": 0, "seed": seed} for seed in range(6)]
    with serve(runs["causal_lm"]) as (server, client):
        alone = [client.post("/generate", json=value).json() for value in values]

        def ask(value):
            return httpx.post(f"{server.url}/generate", json=value, timeout=LONG, trust_env=False).json()

        with ThreadPoolExecutor(6) as threads:
            assert list(threads.map(ask, values)) == alone
    assert len({str(answer) for answer in alone}) > 1


@pytest.mark.parametrize(("name", "values", "message"), [
    ("causal_lm", {"length": 513}, "length: Input should be less than or equal to 512."),
    ("causal_lm", {"length": 100}, "length 100: the prompt has 1 tokens, and the model has 64 positions for both. At most 63 fit."),
    ("causal_lm", {"beams": 2, "top_k": 3}, "beams and top_k: choose beam search or sampling."),
    ("causal_lm", {"seed": 3}, "seed: it has an effect only with sampling; add top_k, top_p or temperature."),
    ("causal_lm", {"n": 2}, "n 2: without sampling there are as many different texts as beams, here 1. Set"),
    ("summarization", {"text": "今天", "n": 5, "beams": 2}, "different texts as beams, here 2. Set beams to 5 or more"),
    ("summarization", {"text": "今天", "n": 3}, "n 3: without sampling there are as many different texts as beams, here 2."),
    ("causal_lm", {"n": 2, "top_k": 5, "stream": True}, "but n is 2"),
    ("causal_lm", {"beams": 2, "stream": True}, "leave out n and beams"),
    ("causal_lm", {"beams": 9}, "beams: Input should be less than or equal to 8."),
    ("causal_lm", {"temperature": 0}, "temperature: Input should be greater than or equal to 0.01."),
    ("causal_lm", {"top_p": 1.5}, "top_p: Input should be less than or equal to 1."),
    ("causal_lm", {"lenght": 5}, "lenght: there is no such field. Did you mean length?"),
    ("causal_lm", {"prompt": "the " * 80}, "positions"),
    ("lyrics", {}, "seed_line is missing"),
    ("lyrics", {"seed_line": " "}, "seed_line is empty"),
    ("lyrics", {"seed_line": "the fish"}, "genre is missing"),
    ("summarization", {}, "text is missing"),
    ("summarization", {"text": ""}, "text is empty"),
    ("summarization", {"text": "今天", "stream": True}, "Set beams to 1"),
    ("summarization", {"text": "今天", "max_length": 3, "min_length": 5}, "min_length 5 is above max_length 3."),
    ("summarization", {"text": "今天", "max_length": 200}, "max_length 200 is above 31, the most tokens that this run's model can"),
])  # fmt: skip
def test_wrong_options_are_named(runs, writers, name, values, message):
    answer = writers(name).post("/generate", json=values)
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert message in error["message"] + error["what_to_do"] and "Traceback" not in answer.text and "--" not in error["message"]


@pytest.fixture(scope="module")
def writers(runs):
    """Return a function that gives the client of a run that is served until the end of this file."""
    import contextlib

    with contextlib.ExitStack() as stack:
        clients = {}

        def client(name):
            if name not in clients:
                clients[name] = stack.enter_context(serve(runs[name]))[1]
            return clients[name]

        yield client


def test_texts_of_clients_stay_off_the_disk(runs, tmp_path, monkeypatch):
    """The run caches the tokens of its texts on the disk, as trainings do by default. A task of the user's own may do so, too."""
    run = shutil.copytree(runs["summarization"], tmp_path / "run")
    config = (run / "config.yaml").read_text(encoding="utf-8")
    assert "cache: false" in config
    (run / "config.yaml").write_text(config.replace("cache: false", "cache: true"), encoding="utf-8")
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "home"))
    assert open_run(str(run)).config.data.cache
    with serve(str(run)) as (server, client):
        assert client.post("/predict", json={"texts": ["今天北京天气晴朗"]}).status_code == 200
        assert not server.worker.task.config.data.cache
    assert not list((tmp_path / "home").rglob("*"))
