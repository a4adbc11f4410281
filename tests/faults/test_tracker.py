"""Take the server of Weights & Biases away, before a training and in the middle: the training goes on without it.

tests/training/test_trackers.py reads what trackers log. The server here answers the few questions that the real client asks.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from paddle_ft.training.trackers import WANDB_LIMITS
from tests.support.faults import Training

pytestmark = pytest.mark.slow

CLOSED = "http://127.0.0.1:9"  # the discard port: nothing listens
BUCKET = {
    "id": "bucket", "name": "abc123", "displayName": "run", "description": "", "config": "{}", "historyLineCount": 0,
    "project": {"id": "project", "name": "paddle_ft", "entity": {"id": "entity", "name": "me"}},
}  # fmt: skip
VIEWER = {"id": "viewer", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.server.is_gone or "file_stream" in self.path:
            self.server.is_gone = True
            self.close_connection = True
            return
        self.server.asked += 1
        data = {"viewer": VIEWER, "serverInfo": {"features": []}}
        if b"upsertBucket" in body:
            data = {"upsertBucket": {"bucket": BUCKET, "inserted": True}}
        answer = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    """Return a server that opens a run, and that is gone when the first figures arrive."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.is_gone, server.asked = False, 0
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def track(training: Training, address: str, **environment: str) -> str:
    """Train with the real client, and return what the training wrote to stderr."""
    training.environment |= {
        "WANDB_API_KEY": "0123456789" * 4,
        "WANDB_BASE_URL": address,
        "HOME": str(training.folder),
        **environment,
    }
    return training.start("tracking.wandb=online").check().errors


def check_goes_on(errors: str, training: Training, uninterrupted) -> None:
    assert errors.count("warning: wandb failed and is switched off for this run") == 1, errors
    training.check_weights(uninterrupted)
    assert (training.run / "report.html").is_file()


def test_a_tracker_whose_server_is_not_there(training, uninterrupted):
    check_goes_on(track(training, CLOSED, WANDB_INIT_TIMEOUT="5"), training, uninterrupted)


def test_a_tracker_whose_server_is_gone_in_the_middle(server, training, uninterrupted):
    """Without a limit the client would go on trying when the training has ended."""
    assert WANDB_LIMITS == {"WANDB_FINISH_TIMEOUT": "120", "WANDB_FINISH_TIMEOUT_RAISES": "true"}
    errors = track(training, f"http://127.0.0.1:{server.server_port}", WANDB_FINISH_TIMEOUT="5")
    assert server.is_gone and server.asked, errors
    check_goes_on(errors, training, uninterrupted)
