"""Count what the service does, for GET /metrics in the format of Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, float("inf"))
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, float("inf"))


class Metrics:
    """The figures of one service."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter("paddle_ft_requests", "answered requests", ["path", "status"], registry=registry)
        self._seconds = Histogram("paddle_ft_request_seconds", "seconds from a request to the end of its answer", ["path"],
                                  buckets=SECONDS, registry=registry)  # fmt: skip
        self._connections = Gauge("paddle_ft_connections", "open connections", registry=registry)
        self._queue = Gauge("paddle_ft_queue_texts", "texts that wait", registry=registry)
        self._batches = Histogram("paddle_ft_batch_texts", "texts computed together", ["kind"], buckets=TEXTS, registry=registry)
        self._batch_seconds = Histogram("paddle_ft_batch_seconds", "seconds that a batch takes", ["kind"],
                                        buckets=SECONDS, registry=registry)  # fmt: skip
        self._tokens = Counter("paddle_ft_tokens", "tokens: read by predict, written by generate", ["kind"], registry=registry)
        self._padding = Counter("paddle_ft_padding_tokens", "padding in the batches of predict", registry=registry)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request.

        Args:
            path: a path that the service has, or "other".
            status: the HTTP status of the answer.
            seconds: how long it took.
        """
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def connections(self, count: int) -> None:
        """Set how many connections are open."""
        self._connections.set(count)

    def queue(self, rows: int) -> None:
        """Set how many texts wait."""
        self._queue.set(rows)

    def batch(self, kind: str, lengths: list[int], seconds: float) -> None:
        """Count a computed batch.

        Args:
            kind: "text", "pair" or "generate".
            lengths: tokens of each of its texts.
            seconds: how long it took.
        """
        self._batches.labels(kind).observe(len(lengths))
        self._batch_seconds.labels(kind).observe(seconds)
        self._tokens.labels(kind).inc(sum(lengths))
        if kind != "generate":
            self._padding.inc(max(lengths) * len(lengths) - sum(lengths))

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self._registry)
