"""The paths of the service, laid out with FastAPI."""

from __future__ import annotations

import hmac
import math
import time
from typing import Any

from fastapi import FastAPI, Request, Response, Security
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from paddle_ft.serving import inputs
from paddle_ft.serving.answers import CLIENT_GONE, STATUS, Answer, ClientGone, EventStream, JsonResponse, error_response
from paddle_ft.serving.batching import Job
from paddle_ft.serving.errors import ApiError, as_api_error
from paddle_ft.serving.examples import Examples
from paddle_ft.serving.limits import Limits
from paddle_ft.serving.metrics import Metrics
from paddle_ft.serving.worker import QueueFull, Worker
from paddle_ft.system.version import __version__
from paddle_ft.tasks.base import Task

STOPPING = ApiError(503, "stopping", "The server is being stopped.", "Send the request to another server, or try again later.",
                    {"Connection": "close", "Retry-After": "10"})  # fmt: skip
LOADING = ApiError(503, "loading", "The model is being loaded.", "Try again in a few seconds; GET /ready says when.",
                   {"Retry-After": "5"})  # fmt: skip
UNAUTHORIZED = ApiError(401, "unauthorized", "The key is missing or wrong.", "Send the header Authorization: Bearer KEY.",
                        {"WWW-Authenticate": "Bearer"})  # fmt: skip
# Paths that need no key. The page of the paths shows what the service takes, and nothing of the run or of its clients.
OPEN, OPEN_FOLDER = ("/health", "/docs", "/openapi.json"), "/static-offline-docs/"


class Service:
    """A run that is being served: its paths, and the requests that are open.

    Attributes:
        active: number of requests that are not answered yet.
        connections: number of open connections.
        stopping: whether new work is refused.
        app: the ASGI application.
    """

    def __init__(self, task: type[Task], worker: Worker, limits: Limits, metrics: Metrics, key: str | None, examples: Examples):
        self.worker, self.limits, self.metrics, self._key = worker, limits, metrics, key
        self.active = self.connections = 0
        self.stopping = False
        self._jobs: set[Job] = set()
        self._predict = inputs.predict_fields(task, limits)
        self._generate = inputs.generate_fields(task, limits)
        self._api = self._build(task, examples)
        self._paths = {getattr(route, "path", "") for route in self._api.routes}

    # -------------------------------------------------------------------------------- paths
    def _build(self, task: type[Task], examples: Examples) -> FastAPI:
        api = FastAPIOffline(
            docs_url="/docs", redoc_url=None, title=f"paddle_ft: {examples.name}", version=__version__,
            description=f"A run of {task.name}. Errors are JSON: `error` with `code`, `message` and `what_to_do`."
            + ("" if self._key is None else " Requests need the key: give it with the button Authorize."),
        )  # fmt: skip
        api.router.redirect_slashes = False
        api.add_exception_handler(HTTPException, self._answer_http_error)
        api.add_exception_handler(Exception, _answer_error)
        api.add_exception_handler(ApiError, _answer_error)
        get: dict[str, Any] = {"methods": ["GET"], "response_class": JsonResponse}
        # The key is checked in __call__; this tells the page to ask for it.
        key: dict[str, Any] = {"dependencies": [Security(HTTPBearer(auto_error=False))]} if self._key is not None else {}
        api.add_api_route("/health", self._health, summary="Is the process alive?", **get)
        api.add_api_route("/ready", self._ready, summary="Is the model loaded, and is new work accepted?", **get, **key)
        for path, answer in (("/health", self._health), ("/ready", self._ready)):  # as balancers may ask
            api.add_api_route(path, answer, methods=["HEAD"], include_in_schema=False)
        api.add_api_route("/metrics", self._metrics, summary="Figures for Prometheus", **get | {"response_class": Response}, **key)
        post: dict[str, Any] = {"methods": ["POST"], "response_class": JsonResponse, **key}
        api.add_api_route("/predict", self._post_predict, summary="What the command predict gives, for each text",
                          openapi_extra=examples.body(self._predict, examples.predict), **post)  # fmt: skip
        if self._generate is not None:
            api.add_api_route("/generate", self._post_generate, summary="Write texts, whole or piece by piece",
                              openapi_extra=examples.body(self._generate, examples.generate), **post)  # fmt: skip
        return api

    async def _health(self) -> Response:
        return JsonResponse({"status": "ok"})

    async def _ready(self) -> Response:
        self._refuse_unless_ready()
        return JsonResponse({"status": "ready"})

    async def _metrics(self) -> Response:
        return Response(self.metrics.text(), media_type=self.metrics.content_type)

    async def _post_predict(self, request: Request) -> Response:
        self._refuse_unless_ready()
        kind, texts = inputs.predict_inputs(await self._read_fields(request, self._predict))
        answer = Answer(request)
        job = Job(kind, texts, answer.send, time.monotonic() + self.limits.timeout)
        self._submit(job)
        try:
            return JsonResponse({"predictions": (await answer.next(job))[1]})
        finally:
            self._close(job)

    async def _post_generate(self, request: Request) -> Response:
        self._refuse_unless_ready()
        assert self._generate is not None
        values = await self._read_fields(request, self._generate)
        if values["stream"] and values["n"] > 1:
            raise ApiError(422, "invalid_request", f"stream: one text is shown while it is written, but n is {values['n']}.",
                           "Set n to 1, or leave stream out.")  # fmt: skip
        answer = Answer(request)
        writing = [inputs.writing_values(values)]
        job = Job("generate", writing, answer.send, time.monotonic() + self.limits.timeout, values["stream"])
        self._submit(job)
        response: Response | None = None
        try:
            event = await answer.next(job)
            if not values["stream"]:
                return JsonResponse({"generations": event[1][0]})
            response = EventStream(event, lambda patience: answer.next(job, patience), lambda: self._close(job))
            return response
        finally:
            if response is None:
                self._close(job)

    # -------------------------------------------------------------------------------- work
    def _refuse_unless_ready(self) -> None:
        if self.stopping:
            raise STOPPING
        if not self.worker.ready:
            raise LOADING

    async def _read_fields(self, request: Request, model: type[BaseModel]) -> dict[str, Any]:
        """Return the fields of a request, from the JSON object in its body."""
        content_type = request.headers.get("content-type", "missing")
        if content_type.partition(";")[0].strip().lower() != "application/json":
            raise ApiError(415, "unsupported_media_type", f"Content-Type is {content_type}; it must be application/json.",
                           "Send the header Content-Type: application/json.")  # fmt: skip
        encoding = request.headers.get("content-encoding", "identity")
        if encoding.strip().lower() != "identity":
            raise ApiError(415, "unsupported_media_type", f"Content-Encoding is {encoding}; the body is read as it is.",
                           "Send the body uncompressed, without this header.")  # fmt: skip
        limit = self.limits.max_body_mb * inputs.MB
        announced = int(request.headers.get("content-length", "0"))
        if announced > limit and ("expect" in request.headers or announced > inputs.DISCARDED_MB * inputs.MB):
            raise inputs.too_large(limit)  # the client waits for this answer before it sends the body, or it sends too much
        body = await inputs.read_body(request.stream(), limit)
        return inputs.read_fields(model, inputs.parse_json(body, self.limits.max_texts, next(iter(model.model_fields))))

    def _submit(self, job: Job) -> None:
        if self.stopping:  # since the request's body was read
            raise STOPPING
        try:
            self.worker.submit(job)
        except QueueFull as full:
            seconds = min(60, max(1, math.ceil(full.seconds)))
            raise ApiError(429, "queue_full", "Too many texts wait already.",
                           f"Try again in {seconds} s. The server's limit is --max-queue.", {"Retry-After": str(seconds)}
                           ) from None  # fmt: skip
        self._jobs.add(job)

    def _close(self, job: Job) -> None:
        """Give up what is still to be computed of a job."""
        self._jobs.discard(job)
        self.worker.forget(job)

    def abandon(self) -> int:
        """Answer all open requests with an error, and return how many these are."""
        jobs = list(self._jobs)
        for job in jobs:
            job.fail(STOPPING)
        return len(jobs)

    # -------------------------------------------------------------------------------- around all paths
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: check the key, count the request, and let no exception out."""
        if scope["type"] != "http":
            return
        start, status = time.monotonic(), 0
        state = scope.setdefault("state", {})

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self.active += 1
        try:
            app = self._api if self._is_allowed(scope) else error_response(UNAUTHORIZED)
            await app(scope, receive, note_status)
        except (ClientGone, ClientDisconnect):
            status = status or CLIENT_GONE
        except Exception as error:
            if not status:  # Starlette raises an exception again after it was answered
                await error_response(as_api_error(error))(scope, receive, note_status)
        finally:
            self.active -= 1
            path = scope["path"] if scope["path"] in self._paths else "other"
            self.metrics.request(path, state.get(STATUS, status or CLIENT_GONE), time.monotonic() - start)

    def _is_allowed(self, scope: Scope) -> bool:
        """Return whether a request has the key, if one is needed."""
        if self._key is None or scope["path"] in OPEN or scope["path"].startswith(OPEN_FOLDER):
            return True
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, key = given.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(key.strip(), self._key.encode())

    async def _answer_http_error(self, request: Request, error: Exception) -> Response:
        """Answer a path or method that does not exist."""
        assert isinstance(error, HTTPException)
        paths = ", ".join(["POST /predict", *(["POST /generate"] if self._generate else []), "GET /health", "GET /ready",
                           "GET /metrics", "GET /docs"])  # fmt: skip
        path = request.scope["path"][:100]
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "")
            problem = ApiError(405, "method_not_allowed", f"{path} does not take {request.method[:100]}.",
                               f"Use {allowed}.", dict(error.headers or {}))  # fmt: skip
        elif error.status_code == 404:
            problem = ApiError(404, "not_found", f"There is no path {path} here.", f"The paths are {paths}.")
        else:
            problem = ApiError(error.status_code, "http_error", str(error.detail), f"The paths are {paths}.")
        return error_response(problem)


async def _answer_error(request: Request, error: Exception) -> Response:
    """Answer an exception."""
    if isinstance(error, ClientGone | ClientDisconnect):
        raise error
    return error_response(as_api_error(error))
