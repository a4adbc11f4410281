"""Test what each limit answers, that wrong requests get one JSON error, and that the server lives on."""

import json
import threading
import time

import httpx
import pytest

from paddle_ft.serving import inputs
from paddle_ft.serving.errors import ApiError
from tests.support.tiny_serving import LONG, Held, ask, figure, in_thread, serve, wait_for


def check(answer, status, code, message=""):
    """Check that an answer is this error, and return it."""
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), answer.text
    assert message in error["message"] and error["what_to_do"], error
    assert "Traceback" not in answer.text and set(error) == {"code", "message", "what_to_do"}
    assert answer.headers["content-type"] == "application/json"
    return error


def post(client, content, path="/predict", **headers):
    return client.post(path, content=content, headers={"content-type": "application/json", **headers})


# ---------------------------------------------------------------------------------------------------- wrong requests
@pytest.mark.parametrize(("body", "status", "message"), [
    (b"", 400, "The body is not JSON: Expecting value at line 1, column 1."),
    (b'{"texts": ["a"', 400, "The body is not JSON"),
    (b'{"texts": ["\xff"]}', 400, "The body is not UTF-8: byte 12 cannot be read."),
    (b"[" * 200_000, 400, "nested too deeply"),
    (b'{"texts": [' + b"[]," * 1_300_000 + b"[]]}", 400, "it has too many lists, objects or names."),
    (b'{"texts": [' + b'{"":1},' * 126_000 + b"1]}", 400, "it has too many lists, objects or names."),
    (b'["a"]', 400, "The body is a JSON list, not an object."),
    (b'{"texts": [NaN]}', 400, "The body is not usable: NaN is no number of JSON"),
    (b"9" * 5000, 400, "The body is not usable"),
    (b'{"texts": ["a"], "texts": ["b"]}', 400, "The body is not usable: it has the field texts twice."),
    (b'{"texts": [{"a": 1, "b": 2, "a": 1}]}', 400, "The body is not usable: it has the field a twice."),
    (b'{"texts": ["a"], "text": ["a"]}', 422, "text: there is no such field. Fields: texts, pairs."),
    (b"{}", 422, "Give either texts or pairs."),
    (b'{"texts": ["a"], "pairs": [["a", "b"]]}', 422, "Give either texts or pairs."),
    (b'{"text": ["a"]}', 422, "text: there is no such field. Did you mean texts?"),
    (b'{"texts": []}', 422, "texts: List should have at least 1 item after validation, not 0."),
    (b'{"texts": "a"}', 422, "texts: Input should be a valid list."),
    (b'{"texts": ["a", 1]}', 422, "texts[1]: Input should be a valid string."),
    (b'{"texts": [null]}', 422, "texts[0]: Input should be a valid string."),
    (b'{"pairs": [["a"]]}', 422, "pairs[0]: List should have at least 2 items"),
    (b'{"texts": ["a \\ud83d b"]}', 422, "texts[0] has half a surrogate pair"),
    (b'{"\\ud83d": 1}', 422, "\ud83d: there is no such field."),
    (b'{"texts": [1e999]}', 422, "texts[0]: Input should be a valid string."),
    (b'{"texts": ["a"], "b": -Infinity}', 400, "-Infinity is no number of JSON"),
    (b'{"texts": ' + b"[" * 900 + b"]" * 900 + b"}", 422, "texts[0]: Input should be a valid string."),
    (b'{"' + b"texts" * 700_000 + b'": 1}', 422, "texts" * 20 + "...: there is no such field. Fields: texts, pairs."),
    (b'{"texts": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}", 400, "nested too deeply"),
    ('{"texts": ["a"]}'.encode("utf-16"), 400, "The body is not UTF-8: byte 0 cannot be read."),
])  # fmt: skip
def test_bodies_that_are_no_request(sentences, body, status, message):
    _, client = sentences
    check(post(client, body), status, "malformed_json" if status == 400 else "invalid_request", message)


@pytest.mark.parametrize("text", ["\0", "a\0b", "", " ", "\u200b\ufeff", "😀" * 50, "字" * 20_000, "<script>", "\r\n\u2028"])
def test_odd_texts_are_answered(sentences, text):
    _, client = sentences
    answer = client.post("/predict", json={"texts": [text]})
    assert answer.status_code == 200 and answer.json()["predictions"][0]["text"] == text


@pytest.mark.parametrize("name", ["summarization", "lyrics", "masked_lm", "causal_lm"])
def test_odd_texts_never_end_in_a_server_error(runs, name):
    with serve(runs[name]) as (_, client):
        for text in ("\0", "", " ", "\n", "\u200b", "😀", "字" * 3000, "a" * 3000, "[MASK]" * 50):
            for path, body in (("/predict", {"texts": [text]}), ("/generate", {"text": text}), ("/generate", {"prompt": text}),
                               ("/generate", {"seed_line": text, "lines": 1, "genre": "pop"})):  # fmt: skip
                answer = client.post(path, json=body)
                assert answer.status_code in (200, 404, 422), (path, text[:20], answer.text)


def test_paths_methods_and_content_types(sentences):
    _, client = sentences
    error = check(client.get("/nothing"), 404, "not_found", "There is no path /nothing here.")
    assert "POST /predict" in error["what_to_do"] and "/generate" not in error["what_to_do"]
    check(client.post("/generate", json={}), 404, "not_found")
    check(client.get("/predict/"), 404, "not_found")
    answer = client.get("/predict")
    check(answer, 405, "method_not_allowed", "/predict does not take GET.")
    assert answer.headers["allow"] == "POST"
    check(client.post("/health"), 405, "method_not_allowed")
    for method in ("OPTIONS", "TRACE", "PROPFIND", "G" * 5000):
        check(client.request(method, "/predict"), 405, "method_not_allowed", f"/predict does not take {method[:100]}.")
    check(client.get("/predict", headers={"upgrade": "websocket", "connection": "upgrade"}), 405, "method_not_allowed")
    for path in ("/health", "/ready"):
        assert client.head(path).status_code == 200 and client.head(path).content == b""
    check(client.get("/" + "a" * 15_000), 404, "not_found", f"There is no path /{'a' * 99} here.")
    check(client.get("/static-offline-docs/%2e%2e/core.py"), 404, "not_found")
    message = "Content-Type is text/plain; it must be application/json."
    check(client.post("/predict", content="{}", headers={"content-type": "text/plain"}), 415, "unsupported_media_type", message)
    check(client.post("/predict", content=b"{}"), 415, "unsupported_media_type", "Content-Type is missing")
    compressed = {"content-type": "application/json", "content-encoding": "gzip"}
    message = "Content-Encoding is gzip; the body is read as it is."
    check(client.post("/predict", content=b"\x1f\x8b", headers=compressed), 415, "unsupported_media_type", message)
    long = check(client.post("/predict", content=b"{}", headers={"content-type": "x" * 9000}), 415, "unsupported_media_type")
    assert len(long["message"]) < 1000
    assert client.get("/health").json() == {"status": "ok"} and client.get("/ready").json() == {"status": "ready"}


def test_the_page_of_the_paths_needs_no_other_host(sentences):
    _, client = sentences
    page = client.get("/docs")
    assert page.status_code == 200 and "https://" not in page.text
    assert client.get("/static-offline-docs/swagger-ui-bundle.js").status_code == 200


# ---------------------------------------------------------------------------------------------------- limits
def test_bodies_above_the_limit(sentences):
    _, client = sentences
    large = json.dumps({"texts": ["a" * 10_000_000]}).encode()
    check(post(client, large), 413, "body_too_large", "The body is larger than 4 MB.")
    check(post(client, large, expect="100-continue"), 413, "body_too_large")

    def chunks():  # without Content-Length
        yield from (large[start : start + 100_000] for start in range(0, len(large), 100_000))

    check(post(client, chunks()), 413, "body_too_large")
    small = json.dumps({"texts": ["a good film"]}).encode()
    assert post(client, (small[i : i + 5] for i in range(0, len(small), 5))).status_code == 200


def test_marks_within_texts_are_no_parts_of_the_body():
    """Each text has an escaped quotation mark and a backslash at its end, after which its marks must not count."""
    texts = ['[{:"' * 5000 + "\\"] * 30  # four marks each
    assert inputs.parse_json(json.dumps({"texts": texts}).encode(), 64) == {"texts": texts}
    lists = inputs.MOST_PARTS + 5 - 4  # with --max-texts 5; four parts are the object, the name, the list around, and the last one
    assert len(inputs.parse_json(b'{"a": [' + b"[]," * lists + b"[]]}", 5)["a"]) == lists + 1
    with pytest.raises(ApiError, match="too many lists"):
        inputs.parse_json(b'{"a": [' + b"[]," * lists + b"[],[]]}", 5)
    with pytest.raises(ApiError, match="The body is not JSON"):
        inputs.parse_json(b'"' + b'[\\"' * 400_000, 1)  # a string without an end


def test_a_body_may_begin_with_a_byte_order_mark(sentences):
    _, client = sentences
    assert post(client, '\ufeff{"texts": ["a"]}'.encode()).status_code == 200


def test_number_and_length_of_texts(sentences):
    _, client = sentences
    answer = client.post("/predict", json={"texts": ["a"] * 65})
    check(answer, 422, "too_many_texts", "texts has 65 entries; at most 64 are allowed in a request.")
    message = "texts[1] has 20001 characters; at most 20000 are allowed."
    check(client.post("/predict", json={"texts": ["a", "a" * 20_001]}), 422, "text_too_long", message)
    check(client.post("/predict", json={"pairs": [["a", "a" * 20_001]]}), 422, "text_too_long", "pairs[0][1] has 20001")


def test_a_full_queue_refuses_and_says_when_to_come_again(runs, monkeypatch):
    with serve(runs["sentences"], max_texts=2, max_queue=3) as (server, client):
        held = Held(server, monkeypatch)
        first = in_thread(ask, server, ["a"])
        assert held.entered.wait(LONG)
        second = in_thread(ask, server, ["b", "c"])
        wait_for(lambda: figure(client, "paddle_ft_queue_texts") == 2)
        answer = client.post("/predict", json={"texts": ["d", "e"]})
        check(answer, 429, "queue_full", "Too many texts wait already.")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        third = in_thread(ask, server, ["f"])  # for one text there is room
        wait_for(lambda: figure(client, "paddle_ft_queue_texts") == 3)
        held.release.set()
        answers = [result() for result in (first, second, third)]
        assert [[row["text"] for row in answer.json()["predictions"]] for answer in answers] == [["a"], ["b", "c"], ["f"]]


def test_a_request_that_takes_too_long_is_given_up(runs, monkeypatch):
    with serve(runs["sentences"], timeout=0.5) as (server, client):
        held = Held(server, monkeypatch)
        running, waiting = in_thread(ask, server, ["running"]), in_thread(ask, server, ["waiting"])
        for answer in (running(), waiting()):
            check(answer, 504, "timeout", "The answer took longer than the server allows")
        held.release.set()
        assert client.post("/predict", json={"texts": ["next"]}).status_code == 200
        assert held.computed == ["next"]
        assert figure(client, 'paddle_ft_requests_total{path="/predict",status="504"}') == 2


# ---------------------------------------------------------------------------------------------------- leaving, failing
@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_its_generation(runs, monkeypatch, stream):
    import paddle_ft.generation as generation

    steps, stopped = [], threading.Event()

    def endless(*arguments, **options):
        try:
            while True:
                steps.append(1)
                if not stream:
                    arguments[-1]()  # on_step
                time.sleep(0.01)
                yield 40
        finally:
            stopped.set()

    with serve(runs["causal_lm"]) as (server, client):
        monkeypatch.setattr(generation, "stream", endless, raising=False)
        monkeypatch.setattr(generation, "generate_all", lambda *arguments: list(endless(*arguments)), raising=False)
        body = {"prompt": "the fox", "length": 30, "stream": stream}
        with httpx.Client(timeout=LONG, trust_env=False) as other:
            if stream:
                with other.stream("POST", f"{server.url}/generate", json=body) as response:
                    lines = response.iter_lines()
                    assert next(lines) == "event: piece" and next(lines).startswith("data: ")
                    assert not stopped.is_set()
            else:
                with pytest.raises(httpx.ReadTimeout):
                    other.post(f"{server.url}/generate", json=body, timeout=0.5)
        assert stopped.wait(LONG) and steps
        monkeypatch.undo()
        assert client.post("/generate", json={"prompt": "the fox", "length": 3}).status_code == 200


def test_a_waiting_request_whose_client_leaves_is_never_computed(runs, monkeypatch):
    with serve(runs["sentences"]) as (server, client):
        held = Held(server, monkeypatch)
        first = in_thread(ask, server, ["first"])
        assert held.entered.wait(LONG)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/predict", json={"texts": ["left"]}, timeout=0.2, trust_env=False)
        wait_for(lambda: figure(client, "paddle_ft_queue_texts") == 0)
        held.release.set()
        assert first().status_code == 200 and ask(server, ["next"]).status_code == 200
        assert held.computed == ["first", "next"]


@pytest.mark.parametrize("error", [RuntimeError("broken"), MemoryError(), SystemExit(3)])
def test_an_exception_is_a_number_for_the_client_and_a_traceback_in_the_log(runs, monkeypatch, capfd, error):
    def fail(texts, label):
        raise error

    with serve(runs["sentences"]) as (server, client):
        with monkeypatch.context() as patch:
            patch.setattr(server.worker.task, "predict", fail)
            answer = client.post("/predict", json={"texts": ["a", "b"]})
        number = check(answer, 500, "internal_error", "Something went wrong on the server (error ")["message"][-14:-2]
        log = capfd.readouterr().err
        assert f"error {number}: {type(error).__name__}" in log and "in fail" in log
        assert client.post("/predict", json={"texts": ["a", "b"]}).status_code == 200


def test_an_exception_in_a_stream_is_an_event(runs, monkeypatch, capfd):
    import paddle_ft.generation as generation

    def fail(*arguments):
        yield 40
        yield 41
        raise RuntimeError("broken")

    with serve(runs["causal_lm"]) as (_, client):
        with monkeypatch.context() as patch:
            patch.setattr(generation, "stream", fail, raising=False)
            text = client.post("/generate", json={"prompt": "the fox", "stream": True}).text
        assert text.startswith("event: piece\n") and "Traceback" not in text and "broken" not in text
        assert '\n\nevent: error\ndata: {"error": {"code": "internal_error"' in text
        assert "RuntimeError: broken" in capfd.readouterr().err
        assert figure(client, 'paddle_ft_requests_total{path="/generate",status="500"}') == 1
        assert client.post("/generate", json={"prompt": "the fox", "length": 3}).status_code == 200


@pytest.mark.parametrize(("limits", "code", "status"), [({"timeout": 0.5}, "timeout", 504), ({"grace": 0.1}, "stopping", 503)])
def test_a_stream_that_is_ended_by_the_server_says_so_in_an_event(runs, monkeypatch, limits, code, status):
    import paddle_ft.generation as generation

    def endless(*arguments):
        while True:
            time.sleep(0.01)
            yield 40

    with serve(runs["causal_lm"], **limits) as (server, client):
        monkeypatch.setattr(generation, "stream", endless, raising=False)
        with client.stream("POST", "/generate", json={"prompt": "the fox", "stream": True}) as response:
            lines = response.iter_lines()
            assert next(lines) == "event: piece"
            if code == "stopping":
                server.stop()
            rest = list(lines)
    text = server.service.metrics.text().decode()  # a request is counted after its last byte was sent
    assert rest[-3] == "event: error" and rest[-1] == ""
    error = json.loads(rest[-2].removeprefix("data: "))["error"]
    assert error["code"] == code and error["message"] and error["what_to_do"]
    assert f'paddle_ft_requests_total{{path="/generate",status="{status}"}} 1.0' in text
    assert server._result == [1 if code == "stopping" else 0]
