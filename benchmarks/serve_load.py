"""Load served runs, and print the table of docs/serve.md: throughput and latency with and without batches, and under overload.

    python benchmarks/serve_load.py runs/distilbert_sst2_sample runs/bart_lcsts_sample

Clients work in a closed loop: each sends a text of the run's test split, waits for the answer, checks it against the offline
prediction of that text, and sends the next. Clients and server share the machine. If a single answer is lost or wrong, the exit
code is 1.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import platform
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

WARM_UP = 2.0  # seconds that are not counted
OVERLOAD_QUEUE = 8
PAUSE = 0.05  # seconds that a client waits after it was refused
COLUMNS = ("run", "batches", "clients", "texts/s", "p50, ms", "p99, ms", "texts in a batch", "answers", "refused (429)", "lost",
           "wrong")  # fmt: skip


@dataclass
class Outcome:
    """What the clients of one measurement saw.

    Attributes:
        seconds: latency of each right answer that arrived after the warm-up and before the end.
        answers: number of answers with the status 200, of the warm-up too. Each was compared with the text's offline prediction.
        refused: number of answers with the status 429.
        wrong: number of answers with the status 200 that are not the offline prediction.
        lost: number of requests without an answer, or with another status.
        texts_per_batch: mean number of texts computed together.
    """

    seconds: list[float] = field(default_factory=list)
    answers: int = 0
    refused: int = 0
    wrong: int = 0
    lost: int = 0
    texts_per_batch: float = 0.0


@dataclass
class Progress:
    """Print on standard error what is measured, and how long the rest takes.

    Attributes:
        left: number of measurements that are not done.
        seconds: what each takes.
    """

    left: int
    seconds: float

    def next(self, run: str, batches: str, clients: int) -> None:
        """Announce the next measurement."""
        rest = self.left * self.seconds / 60
        print(f"{run}, batches: {batches}, clients: {clients} (about {rest:.1f} min left)", file=sys.stderr, flush=True)
        self.left -= 1


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="directories of finished runs")
    parser.add_argument("--seconds", type=float, default=12, metavar="S", help="length of each measurement (default: 12)")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64], metavar="N", help="clients at once (default: 1 8 64)")
    parser.add_argument("--texts", type=int, default=200, metavar="N", help="different texts (default: 200)")
    options = parser.parse_args()
    measurements = len(options.runs) * (2 * len(options.clients) + 1)
    progress = Progress(measurements, WARM_UP + options.seconds + 4)  # 4: starts, ends, and the last answers
    rows = [row for run in options.runs for row in measure_run(run, options, progress)]
    print(table(rows, options))
    bad = sum(outcome.lost + outcome.wrong for _, _, _, outcome in rows)
    if bad:
        print(f"{bad} answers are lost or wrong", file=sys.stderr)
    return 1 if bad else 0


def measure_run(run: str, options: argparse.Namespace, progress: Progress) -> list[tuple[str, str, int, Outcome]]:
    """Return run, batches, number of clients and what they saw, for each measurement of a run."""
    name = Path(run).resolve().name
    expected = offline_predictions(run, options.texts)
    rows = []

    def row(batches: str, port: int, clients: int) -> None:
        progress.next(name, batches, clients)
        rows.append((name, batches, clients, measure(port, expected, clients, options.seconds)))

    with served(run, []) as batched, served(run, ["--max-batch", "1"]) as unbatched:
        for clients in options.clients:  # in turn, so that a change of the machine's other load meets both
            row("yes", batched, clients)
            row("no", unbatched, clients)
    with served(run, ["--max-queue", str(OVERLOAD_QUEUE), "--max-texts", str(OVERLOAD_QUEUE)]) as port:
        row(f"yes, room for {OVERLOAD_QUEUE}", port, max(options.clients))
    return rows


def offline_predictions(run: str, count: int) -> list[tuple[Any, Any]]:
    """Return (input, prediction) for texts of the run, as `predict` gives them in a process of its own."""
    code = f"""
import json, sys
from paddle_ft.reporting.records import read_run
from paddle_ft.runs.inference import open_run
task, predictions = open_run({run!r}, ["data.cache=false"]), read_run({run!r}).predictions
rows = predictions.get("test") or predictions["validation"]
name = task.required_fields[0]
texts = [(row[name], row["text_pair"]) if "text_pair" in row else row.get(name, row.get("source")) for row in rows]
texts = list(dict.fromkeys(texts))[:{count}]
print(json.dumps(list(zip(texts, task.predict(texts, "offline"), strict=True))))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def environment() -> dict[str, str]:
    """Return the environment of a process that imports this repository."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}


@contextmanager
def served(run: str, flags: list[str]) -> Iterator[int]:
    """Serve the run in a process of its own, and give its port."""
    command = [sys.executable, "-m", "paddle_ft", "serve", run, "--port", "0", *flags]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            header = process.stdout.readline()
            if " at http" not in header:
                raise SystemExit(process.wait() or 1)
            port = int(header.split(" at ")[1].split()[0].rpartition(":")[2])
            while request(http.client.HTTPConnection("127.0.0.1", port), "GET", "/ready")[0] != 200:
                time.sleep(0.1)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def request(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    """Send a request and return status and content of the answer."""
    content = None if body is None else json.dumps(body).encode()
    connection.request(method, path, content, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def batch_figures(port: int) -> tuple[float, float]:
    """Return the number of batches, and of texts in them, from /metrics."""
    text = request(http.client.HTTPConnection("127.0.0.1", port), "GET", "/metrics")[1].decode()
    sums = {"count": 0.0, "sum": 0.0}
    for line in text.splitlines():
        for name in sums:
            if line.startswith(f"paddle_ft_batch_texts_{name}"):
                sums[name] += float(line.rpartition(" ")[2])
    return sums["count"], sums["sum"]


def measure(port: int, expected: list[tuple[Any, Any]], clients: int, seconds: float) -> Outcome:
    """Return what so many clients saw in so many seconds, after a warm-up."""
    outcome, lock = Outcome(), threading.Lock()
    start = time.monotonic() + WARM_UP
    end = start + seconds

    def work(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        position = number * 7
        while time.monotonic() < end:
            text, wanted = expected[position % len(expected)]
            position += 1
            began = time.monotonic()
            body = {"pairs": [text]} if isinstance(text, list) else {"texts": [text]}
            try:
                status, content = request(connection, "POST", "/predict", body)
            except (OSError, http.client.HTTPException):
                status, content = 0, b""
                connection.close()
            took = time.monotonic() - began
            right = status == 200 and is_answer(content, wanted)
            with lock:
                outcome.answers += status == 200
                outcome.refused += status == 429
                outcome.lost += status not in (200, 429)
                outcome.wrong += status == 200 and not right
                if right and start <= began + took <= end:
                    outcome.seconds.append(took)
            if status == 429:
                time.sleep(PAUSE)

    batches, texts = batch_figures(port)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    all_batches, all_texts = batch_figures(port)
    outcome.texts_per_batch = (all_texts - texts) / max(1, all_batches - batches)
    return outcome


def is_answer(content: bytes, wanted: Any) -> bool:
    """Return whether the body of an answer is one expected prediction."""
    try:
        return same(json.loads(content), {"predictions": [wanted]})
    except ValueError:
        return False


def same(row: Any, wanted: Any) -> bool:
    """Return whether a prediction is the expected one: texts and labels equal, numbers to 1e-5."""
    if isinstance(wanted, dict):
        return isinstance(row, dict) and row.keys() == wanted.keys() and all(same(row[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return isinstance(row, list) and len(row) == len(wanted) and all(map(same, row, wanted))
    if isinstance(wanted, float):
        return isinstance(row, float | int) and math.isclose(row, wanted, abs_tol=1e-5)
    return row == wanted


def table(rows: list[tuple[str, str, int, Outcome]], options: argparse.Namespace) -> str:
    """Return the measurements as a Markdown table, with the machine and the versions."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"| {' | '.join(['---'] * len(COLUMNS))} |"]
    for name, batches, clients, outcome in rows:
        times = sorted(outcome.seconds) or [math.nan]
        p99 = times[min(len(times) - 1, math.ceil(0.99 * len(times)) - 1)]
        cells = (name, batches, clients, f"{len(outcome.seconds) / options.seconds:.1f}", f"{1000 * statistics.median(times):.0f}",
                 f"{1000 * p99:.0f}", f"{outcome.texts_per_batch:.1f}", outcome.answers, outcome.refused, outcome.lost,
                 outcome.wrong)  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    versions = ", ".join(f"{name} {version(name)}" for name in ("paddlepaddle", "fastapi", "uvicorn"))
    machine = f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores"
    length = f"{options.seconds:g} s each, up to {options.texts} texts"
    lines.append(f"\n{machine}, Python {platform.python_version()}, {versions}; {length}; {date.today()}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
