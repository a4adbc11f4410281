"""Start the service, and stop it without losing what it accepted."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
import threading
from typing import Any

from paddle_ft.config.load import load_config
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.inference import open_run
from paddle_ft.serving.limits import Limits
from paddle_ft.serving.open_files import allow_open_files
from paddle_ft.system.errors import UserError
from paddle_ft.system.listening import describe_reach, is_loopback, listen, url_of
from paddle_ft.system.progress import print_info
from paddle_ft.system.runtime import import_frameworks_quietly
from paddle_ft.tasks import find_task
from paddle_ft.tasks.base import Task

# The extra [serve] of pyproject.toml.
PACKAGES = ("fastapi>=0.115", "fastapi-offline>=1.7", "uvicorn>=0.30", "prometheus_client>=0.20")
HOST, PORT = "127.0.0.1", 8000
KEY_VARIABLE = "PADDLE_FT_API_KEY"
POLL_SECONDS = 0.05


class Server:
    """A run that is being served.

    Attributes:
        url: its address.
        reach: a line that says that other machines reach it too, or "".
        limits: the limits of its requests.
    """

    def __init__(self, path: str, limits: Limits, host: str = HOST, port: int = PORT, key: str | None = None):
        """Check everything that can be wrong, listen, and begin to load the model.

        Args:
            path: the run's directory.
            limits: the limits.
            host: the address to listen on. One that other machines can reach needs a key.
            port: the port; 0: any free one.
            key: what clients must send as `Authorization: Bearer KEY`; None: the environment's PADDLE_FT_API_KEY, or no key.

        Raises:
            UserError: a package is missing, there is no run, the key is missing, or the port is taken.
        """
        _require_packages()
        key = _check_key(host, os.environ.get(KEY_VARIABLE) if key is None else key)
        task = _check_run(path)
        allow_open_files(limits.max_connections)
        self._socket = listen("serve", host, port)
        self.limits = limits
        port = self._socket.getsockname()[1]
        self.url, self.reach = url_of(host, port), describe_reach(host, port)
        self._signals = 0

        from paddle_ft.serving.app import Service
        from paddle_ft.serving.connections import make_server
        from paddle_ft.serving.examples import find_examples
        from paddle_ft.serving.metrics import Metrics
        from paddle_ft.serving.worker import Worker

        import_frameworks_quietly()
        metrics = Metrics()
        # data.cache: the texts of clients stay off the disk
        overrides = {"data.cache": False, "eval.eval_batch_size": limits.max_batch}
        self.worker = Worker(path, lambda: open_run(path, overrides), limits, metrics)
        examples = find_examples(RunDirectory(path).path, task, public=key is not None)
        self.service = Service(task, self.worker, limits, metrics, key, examples)
        self._server = make_server(self.service)

    def run(self) -> int:
        """Serve until SIGTERM or Ctrl-C, and return the exit code: 0 if everything that was accepted was answered, else 1.

        Raises:
            UserError: the model cannot be loaded.
        """
        return asyncio.run(self._serve())

    async def _serve(self) -> int:
        loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop)
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))
        lost = 0
        try:
            if await self._until(self.worker.loaded.is_set, serving) and self.worker.ready:
                print_info("ready")
            if self.worker.failure is None:
                await self._until(lambda: self._signals > 0, serving)
                lost = await self._finish()
        finally:
            self._server.should_exit = True
            await serving
            self.worker.close()
        if self.worker.failure is not None and not self._signals:
            raise self.worker.failure
        print_info(f"stopped; {lost} requests were given up" if lost else "stopped; everything that was accepted was answered")
        return 1 if lost else 0

    async def _until(self, condition: Any, serving: asyncio.Future[None]) -> bool:
        """Wait until a condition holds, a signal has arrived or the server has ended. Return whether the condition holds."""
        while not (condition() or self._signals or serving.done()):
            await asyncio.sleep(POLL_SECONDS)
        return bool(condition())

    async def _finish(self) -> int:
        """Refuse new work, wait until the open requests are answered, and return how many had to be given up."""
        self.service.stopping = True
        end = asyncio.get_running_loop().time() + self.limits.grace
        while self.service.active and self._signals < 2 and asyncio.get_running_loop().time() < end:
            self._server.refuse_arriving()
            await asyncio.sleep(POLL_SECONDS)
        lost = self.service.abandon()
        if lost:
            await asyncio.sleep(2 * POLL_SECONDS)  # for their last answers
        return lost

    def stop(self) -> None:
        """Stop serving when the open requests are answered. A second call does not wait for them. Any thread may call this."""
        self._signals += 1
        if self._signals == 1:
            print_info("\nstopping: no new requests; those that are open are answered first (once more to give them up)")

    # -------------------------------------------------------------------------------- in a thread, for tests and programs
    def __enter__(self) -> Server:
        self._result: list[int | BaseException] = []
        self._thread = threading.Thread(target=self._run_in_thread, name="serve-http", daemon=True)
        self._thread.start()
        self.worker.loaded.wait()
        if self.worker.failure is not None:
            self._thread.join()
            raise self.worker.failure
        return self

    def _run_in_thread(self) -> None:
        try:
            self._result.append(self.run())
        except BaseException as error:
            self._result.append(error)

    def __exit__(self, *exc: Any) -> None:
        self.stop()
        self._thread.join()
        self.worker.close(self.limits.timeout)


def _require_packages() -> None:
    """Raise UserError if a package of the extra is missing."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name.partition(">")[0].replace("-", "_")) is None]
    if missing:
        names = ", ".join(name.partition(">")[0] for name in missing)
        packages = " ".join(f"'{name}'" for name in PACKAGES)
        problem = f"serve: this needs {names}, missing in {sys.executable}. Install the extra"
        raise UserError(f"{problem}:\n  pip install {packages}")


def _check_run(path: str) -> type[Task]:
    """Return the task of a run. Raise UserError if there is no run, or if it has no model."""
    run = RunDirectory.open_existing(path)
    if not any((run / name).is_dir() for name in ("best", "last")):
        raise UserError(f"{path}: this run has no model yet (neither best/ nor last/).")
    task: type[Task] = find_task(load_config(str(run / "config.yaml")).task.name)
    return task


def _check_key(host: str, key: str | None) -> str | None:
    """Return the key. Raise UserError if the host needs one and there is none, or if a header cannot carry it."""
    if key is not None and (not key.isascii() or not key.isprintable() or " " in key or not key):
        raise UserError("--api-key: the key must be visible ASCII characters without spaces, and at least one.")
    if key is None and not is_loopback(host):
        raise UserError(
            f"--host {host}: other machines can reach this address, so clients need a key. Set the environment variable"
            f" {KEY_VARIABLE}, or --api-key KEY, which other users of this machine can see in its list of processes."
        )
    return key
