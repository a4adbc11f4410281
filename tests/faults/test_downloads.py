"""Kill and cut downloads of a data set, and take the server away: the next start takes up what has arrived.

tests/data/test_download.py has the details of resuming, and tests/convert/test_hub.py downloads of models.
"""

import io
import signal
import tarfile
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.faults import Result
from tests.support.tiny_causal_lm import SIZES

pytestmark = pytest.mark.slow

BOOK = "1\t/m/1\tTitle\tAuthor\t1999\t\tThe sea was calm and the ship sailed on to the harbour of the town number {}.\n"


@pytest.fixture(scope="module")
def archive() -> bytes:
    """Return booksummaries.tar.gz with 40,000 invented books, which is not compressed, so that it takes many reads."""
    text = "".join(BOOK.format(i) for i in range(40_000)).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=0) as tar:
        member = tarfile.TarInfo("booksummaries/booksummaries.txt")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """Serve one file with an ETag.

    Attributes:
        cut: the number of bytes after which connections break, or None.
        answers: how many requests are answered; the connections of the others are closed.
        ranges: what was asked for.
    """

    def __init__(self, body: bytes):
        self.body, self.cut, self.answers, self.ranges = body, None, 99, []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        if not server.answers:
            self.close_connection = True
            return
        server.answers -= 1
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        start = int(asked[6:-1]) if asked else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(server.body) - start))
        self.send_header("ETag", '"one"')
        self.end_headers()
        with suppress(ConnectionError):  # the other side has been killed
            self.wfile.write(server.body[start : start + server.cut if server.cut else None])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(archive):
    server = Server(archive)
    yield server
    server.stop()


@pytest.fixture
def check(prepared, tmp_path):
    """Return a function that runs --check of a training on the data set, which is downloaded first."""
    sizes = ", ".join(f"{key}: {value}" for key, value in SIZES.items())

    def run(port: int, at=()) -> Result:
        arguments = [
            "train", "--config", "gpt2_booksum", "--check", "device=cpu", "model.pretrained=null", f"model.config={{{sizes}}}",
            "model.new_vocabulary=257", "data.source=booksummaries", "data.limit_train=100", "task.max_text_length=16",
            f"output_dir={tmp_path}/run",
        ]  # fmt: skip
        environment = {"PADDLE_FT_HOME": str(tmp_path / "home"), "PADDLE_FT_MIRROR": f"http://127.0.0.1:{port}"}
        return Result.of(*prepared.run(arguments, at=at, environment=environment))

    return run


def test_a_killed_download_goes_on_where_it_stopped(check, server, tmp_path):
    killed = check(server.server_port, ("paddle_ft.system.progress.Progress.update", "10", "kill"))
    assert killed.code == -signal.SIGKILL, killed.errors
    size = (tmp_path / "home/datasets/booksummaries.tar.gz.part").stat().st_size
    assert size >= 8 * 2**16
    check(server.server_port).check()
    assert server.ranges[-1] == f"bytes={size}-"
    assert (tmp_path / "home/datasets/booksummaries.tar.gz").read_bytes() == server.body
    assert [path.name for path in (tmp_path / "home/datasets").iterdir()] == ["booksummaries.tar.gz"]


def test_a_connection_that_breaks_again_and_again(check, server, tmp_path):
    server.cut = 700_000
    check(server.server_port).check()
    assert len(server.ranges) == -(-len(server.body) // 700_000)
    assert (tmp_path / "home/datasets/booksummaries.tar.gz").read_bytes() == server.body


def test_a_server_that_is_gone_in_the_middle(check, server, archive, tmp_path):
    """One error says what is missing and where to put it; when the server is back, the download goes on."""
    server.cut, server.answers = 700_000, 1
    error = check(server.server_port).error()
    assert "booksummaries.tar.gz" in error and f"put at  {tmp_path}/home/datasets/booksummaries.tar.gz" in error
    size = (tmp_path / "home/datasets/booksummaries.tar.gz.part").stat().st_size
    assert 700_000 - 2**16 < size <= 700_000  # the libraries below drop the last block if it is not whole
    server.cut, server.answers = None, 9
    check(server.server_port).check()
    assert server.ranges[-1] == f"bytes={size}-"
    assert (tmp_path / "home/datasets/booksummaries.tar.gz").read_bytes() == archive


def test_a_disk_that_is_full(check, server, small_disk, tmp_path):
    (tmp_path / "home").symlink_to(small_disk)
    (small_disk / "filler").write_bytes(bytes(5 * 2**20))
    error = check(server.server_port).error()
    assert "No space left on device" in error and "booksummaries.tar.gz" in error
    (small_disk / "filler").unlink()
    check(server.server_port).check()
    assert server.ranges[-1].startswith("bytes=")
    assert (tmp_path / "home/datasets/booksummaries.tar.gz").read_bytes() == server.body
