"""Test connections themselves: slow, silent, malformed and too many, and clients that do not read their answers."""

import contextlib
import json
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from paddle_ft.serving import connections as connections_module
from paddle_ft.serving.open_files import EACH, OTHERS, allow_open_files
from paddle_ft.system.errors import UserError
from tests.support.paths import ROOT
from tests.support.tiny_serving import LONG, Held, ask, figure, in_thread, serve, wait_for

GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
FILE = b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"  # above 1 MB
PREDICT = POST + b'Connection: close\r\nContent-Length: 20015\r\n\r\n{"texts": ["%s"]}' % (b"a" * 20_000)
UNREAD = {"kept": FILE, "closed": FILE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), "short": PREDICT}


@pytest.fixture(scope="module")
def hasty(runs):
    """Return the server and the client of a service that waits little for its clients."""
    with serve(runs["sentences"], network_timeout=1) as served:
        yield served


def address(server):
    return "127.0.0.1", int(server.url.rpartition(":")[2])


@contextlib.contextmanager
def connect(server, data=b""):
    """Give a connection to a server, over which some bytes were sent."""
    with socket.create_connection(address(server), LONG) as connection:
        connection.sendall(data)
        yield connection


def read(connection, drip=b""):
    """Return all that the server sends until it closes the connection. Meanwhile the client sends the same byte again and again."""
    received = b""
    while True:
        try:
            connection.settimeout(0.05 if drip else LONG)
            piece = connection.recv(65536)
        except TimeoutError:
            if not drip:
                raise
            with contextlib.suppress(ConnectionError):
                connection.sendall(drip)
            continue
        except ConnectionResetError:
            return received
        if not piece:
            return received
        received += piece


def check(answer, status, code):
    """Check that the last of some answers is this error in JSON, and announces the end of the connection. Return the error."""
    head, _, body = re.split(rb"HTTP/1\.1 (?=\d)", answer)[-1].partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0].startswith(f"{status} "), answer
    assert {"content-type: application/json", "connection: close", f"content-length: {len(body)}"} <= set(lines)
    error = json.loads(body)["error"]
    assert error["code"] == code and error["message"] and error["what_to_do"]
    return error


# ---------------------------------------------------------------------------------------------------- slow clients
SLOW = {  # what is sent at once, and what is sent again and again
    "half a line": (b"GET /hea", b""),
    "no end of the headers": (b"GET /health HTTP/1.1\r\nHost: x\r\n", b""),
    "endless header": (b"GET /health HTTP/1.1\r\nHost: x\r\nX: ", b"a"),
    "second request": (GET + b"GET /health HTTP/1.1\r\nX: ", b"a"),
    "no body": (POST + b"Content-Length: 10\r\n\r\n", b""),
    "body byte by byte": (POST + b"Content-Length: 100000\r\n\r\n", b" "),
    "endless chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "no body after the permission": (POST + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n", b""),
}


def test_a_request_that_does_not_arrive_in_time_is_given_up(hasty):
    server, client = hasty

    def send(name):
        with connect(server, SLOW[name][0]) as connection:
            return read(connection, SLOW[name][1])

    with ThreadPoolExecutor(len(SLOW)) as threads:
        answers = dict(zip(SLOW, threads.map(send, SLOW), strict=True))
    for name in SLOW:
        error = check(answers[name], 408, "slow_request")
        assert error["what_to_do"].endswith("The server's limit is --network-timeout."), name
    assert figure(client, 'paddle_ft_requests_total{path="/predict",status="408"}') == 4
    assert figure(client, 'paddle_ft_requests_total{path="other",status="408"}') == 4


@pytest.mark.parametrize("answered", [b"", GET])
def test_a_silent_connection_is_closed_without_a_word(hasty, answered, monkeypatch):
    """After an answer, uvicorn waits 5 s for the next request."""
    server, _ = hasty
    monkeypatch.setattr(server._server.config, "timeout_keep_alive", 1)
    with connect(server, answered) as connection:
        received = read(connection)
    assert received == b"" if not answered else received.endswith(b'{"status": "ok"}') and received.count(b"HTTP/1.1") == 1


def test_a_body_that_nobody_reads_is_not_waited_for_either(hasty):
    server, _ = hasty
    with connect(server, b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n") as connection:
        received = read(connection, drip=b"a")
    assert received.startswith(b"HTTP/1.1 404 ") and received.count(b"HTTP/1.1") == 1


def read_nothing(server, request):
    """Return a connection whose client does not read the answer. The system keeps little for both sides, so the rest waits."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(address(server))
    port = connection.getsockname()[1]
    wait_for(lambda: port in [other.client[1] for other in server._server.server_state.connections])
    (accepted,) = (other for other in server._server.server_state.connections if other.client[1] == port)
    accepted.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    connection.sendall(request)
    wait_for(lambda: accepted.flow.write_paused)
    return connection


@pytest.mark.parametrize("name", UNREAD)
def test_a_client_that_does_not_read_its_answer_loses_its_connection(hasty, name):
    server, _ = hasty
    with read_nothing(server, UNREAD[name]):
        wait_for(lambda: server.service.active == 0 and not server._server.server_state.connections)


# ---------------------------------------------------------------------------------------------------- how many
def test_a_connection_above_the_limit_is_refused_until_others_have_ended(runs):
    with serve(runs["sentences"], network_timeout=1, max_connections=3) as (server, client):
        assert client.get("/health").status_code == 200  # the first of three
        with connect(server), connect(server) as second, connect(server, GET) as fourth:
            error = check(read(fourth), 503, "too_many_connections")
            assert "--max-connections" in error["what_to_do"]
            second.sendall(GET)  # those that are open are served
            assert second.recv(1000).startswith(b"HTTP/1.1 200 ")
            assert figure(client, "paddle_ft_connections") == 3
        assert client.get("/health").status_code == 200
        wait_for(lambda: server.service.connections == 1)
        assert figure(client, 'paddle_ft_requests_total{path="other",status="503"}') == 1
        with connect(server, GET) as connection:
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_crowd_is_refused_and_the_server_lives(runs, monkeypatch):
    monkeypatch.setattr(connections_module, "SPARE", 2)
    with serve(runs["sentences"], max_connections=2) as (server, client), contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(connect(server))
        crowd = [stack.enter_context(connect(server)) for _ in range(100)]
        assert all(b'"too_many_connections"' in read(connection) for connection in crowd)
        stack.close()
        wait_for(lambda: server.service.connections == 0 and not server._server.server_state.connections)
        assert client.post("/predict", json={"texts": ["a"]}).status_code == 200


def test_the_system_must_allow_as_many_open_files(runs):
    command = f"ulimit -n 64; exec {sys.executable} -m paddle_ft serve {runs['sentences']} --port 0"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "this takes up to 1184 open files, and the system allows this process 64 (ulimit -n)" in done.stderr


def test_the_limit_of_open_files_is_raised_as_far_as_needed():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
        allow_open_files(70)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, hard)
        allow_open_files(71)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (OTHERS + 71 * EACH, hard)
        if hard != resource.RLIM_INFINITY:
            with pytest.raises(UserError, match=rf"Lower it to at most {(hard - OTHERS) // EACH}, or raise that limit\."):
                allow_open_files(hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# ---------------------------------------------------------------------------------------------------- HTTP
@pytest.mark.parametrize(("data", "status", "reason"), [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400, "illegal request line."),  # TLS
    (b"GET /health\r\n\r\n", 400, "illegal request line."),
    (b"GET /health HTTP/1.1\r\n\r\n", 400, "Missing mandatory Host: header."),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400, "illegal header line."),
    (POST + b"Content-Length: -1\r\n\r\n", 400, "bad Content-Length."),
    (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n", 400, "conflicting Content-Length headers."),
    (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501, "Only Transfer-Encoding: chunked is supported."),
    (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "illegal chunk header."),
    (GET + b"\0\r\n\r\n", 400, "illegal request line."),
])  # fmt: skip
def test_what_is_not_http_is_answered_in_json(sentences, data, status, reason):
    server, client = sentences
    name = f'paddle_ft_requests_total{{path="{"/predict" if b"zz" in data else "other"}",status="{status}"}}'
    before = figure(client, name)
    with connect(server, data) as connection:
        error = check(read(connection), status, "malformed_http")
    assert error["message"] == f"The request cannot be read as HTTP: {reason}"
    assert figure(client, name) == before + 1


def test_headers_that_are_too_large_are_answered_although_more_of_them_arrives(sentences, monkeypatch):
    server, _ = sentences
    monkeypatch.setattr(connections_module, "LINGER", LONG)
    with connect(server, b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000) as connection:
        first = connection.recv(9)
        for _ in range(3):
            connection.sendall(b"a" * 200_000)
        check(first + read(connection), 431, "headers_too_large")


FILLED = b"GET /health HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n"


@pytest.mark.parametrize(("excess", "answer"), [(0, b"HTTP/1.1 200 "), (1, b"HTTP/1.1 431 "), (100_000, b"HTTP/1.1 431 ")])
@pytest.mark.parametrize("cut", [None, 20, connections_module.MAX_HEADERS])
@pytest.mark.parametrize("filling", [b"a", b" "])
def test_headers_have_the_same_limit_however_they_arrive(sentences, excess, answer, cut, filling):
    server, _ = sentences
    request = FILLED % (filling * (connections_module.MAX_HEADERS + excess - len(FILLED % b"")))
    with connect(server, request[:cut]) as connection:
        if cut is not None:
            with contextlib.suppress(ConnectionError):
                connection.sendall(request[cut:])
        assert connection.makefile("rb").readline().startswith(answer)


def test_headers_after_a_body_have_the_limit_too(sentences):
    server, _ = sentences
    trailer = b"X: " + b"a" * connections_module.MAX_HEADERS + b"\r\n\r\n"
    body = b'10\r\n{"texts": ["a"]}\r\n0\r\n'
    for end, answer in ((b"\r\n", b"HTTP/1.1 200 "), (trailer, b"HTTP/1.1 431 ")):
        with connect(server, POST + b"Transfer-Encoding: chunked\r\n\r\n" + body + end) as connection:
            assert connection.makefile("rb").readline().startswith(answer)


def test_a_malformed_rest_of_a_request_that_was_answered_ends_the_connection(sentences, capfd):
    server, client = sentences
    with connect(server, b"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 404 ")
        connection.sendall(b"zz\r\n")
        assert b"HTTP/1.1" not in read(connection)
    assert client.get("/health").status_code == 200 and "Traceback" not in capfd.readouterr().err


def test_a_body_that_is_announced_as_endless_is_refused_at_once(sentences):
    server, _ = sentences
    with connect(server, POST + b"Content-Length: 99999999999999\r\n\r\n") as connection:
        assert connection.makefile("rb").readline().startswith(b"HTTP/1.1 413 ")


def test_requests_that_are_sent_before_the_answer_to_the_first_are_answered_in_order(sentences):
    server, _ = sentences
    bodies = [json.dumps({"texts": [text]}).encode() for text in ("good", "bad", "film")]
    requests = [POST + f"Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
    with connect(server, b"".join(requests) + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as connection:
        received = read(connection)
    answers = [json.loads(part.partition(b"\r\n\r\n")[2]) for part in received.split(b"HTTP/1.1 200 OK")[1:]]
    assert [answer["predictions"][0]["text"] for answer in answers[:3]] == ["good", "bad", "film"]
    assert answers[3] == {"status": "ok"}


def test_a_client_cannot_send_without_end_while_it_is_being_answered(runs, monkeypatch):
    """Between the events of a stream, the server listens whether the client is still there, and so reads what it sends."""
    import paddle_ft.generation as generation

    stopped = threading.Event()

    def endless(*arguments):
        try:
            while True:
                time.sleep(0.001)
                yield 40
        finally:
            stopped.set()

    with serve(runs["causal_lm"]) as (server, client):
        body = b'{"prompt": "the fox", "stream": true}'
        monkeypatch.setattr(generation, "stream", endless, raising=False)
        request = POST.replace(b"/predict", b"/generate") + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
        with connect(server, request) as connection, pytest.raises(ConnectionError):
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
            for _ in range(10_000):
                connection.sendall(b"a" * 65536)
        assert stopped.wait(LONG)
        wait_for(lambda: figure(client, 'paddle_ft_requests_total{path="/generate",status="499"}') == 1)


def test_answers_do_not_wait_for_the_acknowledgement_of_their_headers(sentences):
    server, client = sentences
    assert client.get("/health").status_code == 200
    accepted = [connection.transport.get_extra_info("socket") for connection in server._server.server_state.connections]
    assert accepted and all(each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in accepted)


# ---------------------------------------------------------------------------------------------------- the end of the service
def test_what_has_arrived_in_part_is_refused_when_the_service_is_stopped(runs, monkeypatch):
    with serve(runs["sentences"]) as (server, _):
        held = Held(server, monkeypatch)
        accepted = in_thread(ask, server, ["accepted"])
        assert held.entered.wait(LONG)
        partial = POST + b"Content-Length: 10\r\n\r\n{"
        with connect(server, b"GET /hea") as head, connect(server, partial) as body, connect(server) as none:
            wait_for(lambda: server.service.active == 2 and server.service.connections == 4)
            server.stop()
            for connection in (head, body):
                check(read(connection), 503, "stopping")
            held.release.set()
            assert accepted().status_code == 200
            assert read(none) == b""


def test_a_reader_that_stalls_does_not_hold_up_the_end(runs, caplog):
    with serve(runs["sentences"], grace=0.2) as (server, _), read_nothing(server, FILE):
        server.stop()
        server._thread.join(LONG)
        assert server._result == [0]
    assert "uvicorn.error" not in [record.name for record in caplog.records]  # it reports what has not ended after 2 s
