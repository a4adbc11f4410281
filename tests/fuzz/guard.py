"""Run one case of a target, and say what is wrong with its end: an exception, the time, the memory, files, or code that ran."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from tests.fuzz.target import Files, Target, write_files

# In the source of code that a hostile input brings: compiling it is the proof that the input can run code.
CODE_MARK = "FUZZ_CODE"

WAIT = 6  # a case that waits for something, or for the processor, may take this many times the seconds of its target

_STARTS_A_PROCESS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.spawn")
_CHANGES_A_PATH = ("os.mkdir", "os.rename", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.remove", "os.rmdir")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Find:
    """A case that ended as it must not.

    Attributes:
        kind: exception, time, memory, file or code.
        place: what tells one find from another: the exception's type and the line that raised it, say.
        details: the traceback, or what was seen.
    """

    kind: str
    place: str
    details: str


class _TooLongError(BaseException):
    """The time of a case is over. Not an Exception, so that no handler for exceptions takes it."""


class _Watch:
    """What the audit hook sees while a case runs. A hook cannot be removed, so there is one, which is silent between cases."""

    def __init__(self) -> None:
        self.folders: tuple[str, ...] = ()
        self.seen: list[tuple[str, str]] = []
        self._is_set = False

    @contextlib.contextmanager
    def over(self, *folders: Path) -> Iterator[list[tuple[str, str]]]:
        """Yield the list of what is seen: (kind, what). Files may be written in the folders."""
        if not self._is_set:
            sys.addaudithook(self._hook)
            self._is_set = True
        self.seen = []
        self.folders = tuple(os.path.join(os.path.realpath(folder), "") for folder in folders)
        try:
            yield self.seen
        finally:
            self.folders = ()

    def _hook(self, event: str, arguments: tuple) -> None:
        if not self.folders:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool((flags or 0) & _WRITES)
            if writes and isinstance(path, str | bytes):
                self._check("opened for writing", path)
        elif event in _CHANGES_A_PATH:
            for path in arguments:
                if isinstance(path, str | bytes):
                    self._check(event, path)
        elif event.startswith(_STARTS_A_PROCESS):
            self.seen.append(("code", f"{event} {arguments[:2]!r}"))
        elif event == "compile" and CODE_MARK in _source(arguments[0]):
            self.seen.append(("code", f"compiled {arguments[0]!r}"))

    def _check(self, what: str, path: str | bytes) -> None:
        folders, self.folders = self.folders, ()  # what follows must not call this hook
        real = os.path.join(os.path.realpath(os.fsdecode(os.path.dirname(path)) or "."), os.path.basename(os.fsdecode(path)))
        if not real.startswith(folders) and real != os.devnull and "__pycache__" not in real:
            self.seen.append(("file", f"{what}: {real}"))
        self.folders = folders


_WATCH = _Watch()


def run_case(target: Target, files: Files, folder: Path) -> Find | None:
    """Write the files of a case into a folder, run the target there, and return what is wrong, or None.

    Args:
        target: what is run.
        files: the input.
        folder: an empty folder, in which the case and its temporary files are. It is empty again afterwards.
    """
    _prepare(target)
    case, temporary = folder / "case", folder / "temporary"
    write_files(case, files)
    temporary.mkdir()
    working_folder, default_temporary = Path.cwd(), tempfile.tempdir
    os.chdir(case)
    tempfile.tempdir = str(temporary)
    try:
        cache = {"PADDLE_FT_HOME": str(temporary / "cache")}  # rows that take long to read are kept there
        with patch.dict(os.environ, cache), _WATCH.over(case, temporary) as seen:
            find = _run(target, case)
    finally:
        tempfile.tempdir = default_temporary
        os.chdir(working_folder)
        shutil.rmtree(case)
        shutil.rmtree(temporary)
    if seen and find is None:
        kind, what = seen[0]
        return Find(kind, what, "\n".join(f"{kind}: {what}" for kind, what in seen))
    return find


_PREPARED: set[str] = set()


def _prepare(target: Target) -> None:
    if target.name not in _PREPARED:
        target.prepare()
        _PREPARED.add(target.name)


def _run(target: Target, folder: Path) -> Find | None:
    """Run a case within the bounds of its target. Its output is not shown."""
    begin = time.process_time()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), _limits(target):
            target.run(folder)
    except target.errors:
        pass
    except _TooLongError as error:
        return Find("time", _place(error), f"more than {target.seconds:g} s\n{traceback.format_exc()}")
    except MemoryError as error:
        gc.collect()
        return Find("memory", _place(error), f"more than {target.megabytes} MB\n{traceback.format_exc()}")
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # SystemExit and what extensions derive from BaseException too
        return Find("exception", f"{type(error).__name__} {_place(error)}", traceback.format_exc())
    if (seconds := time.process_time() - begin) > target.seconds:  # code that does not return to Python is not interrupted
        return Find("time", f"{target.name}", f"{seconds:.1f} s instead of {target.seconds:g} s")
    return None


@contextlib.contextmanager
def _limits(target: Target) -> Iterator[None]:
    """Raise _TooLongError or MemoryError inside if a case takes more time or memory than its target allows."""

    def stop(signum: int, frame: object) -> None:
        raise _TooLongError

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    handlers = {number: signal.signal(number, stop) for number in (signal.SIGPROF, signal.SIGALRM)}
    pages = int(Path("/proc/self/statm").read_text().split()[5]) if sys.platform == "linux" else 0  # written memory of the process
    try:
        if pages:
            limit = pages * resource.getpagesize() + target.megabytes * 2**20
            resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
        signal.setitimer(signal.ITIMER_PROF, target.seconds)
        signal.setitimer(signal.ITIMER_REAL, WAIT * target.seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _place(error: BaseException) -> str:
    """Return the line of the project that an exception came through last: convert/files.py:120."""
    root = str(Path(__file__).resolve().parents[2])
    lines = [f"{frame.filename[len(root) + 1 :]}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename.startswith(root) and "/.venv/" not in frame.filename]  # fmt: skip
    ours = [line for line in lines if not line.startswith("tests/fuzz/guard")]
    return ours[-1] if ours else "?"


def _source(code: object) -> str:
    return os.fsdecode(code) if isinstance(code, bytes) else code if isinstance(code, str) else ""
