"""Files from the network: fetched once, verified, resumed when cut; and one error for all that cannot be had.

PADDLE_FT_HOME    the folder for what is downloaded and cached (default ~/.cache/paddle_ft)
PADDLE_FT_MIRROR  replaces scheme and host of every address, e.g. http://mirror.local:8000
HTTP_PROXY, HTTPS_PROXY, NO_PROXY are respected.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

CONNECT_TIMEOUT = 5  # seconds; names are resolved within the same time
READ_TIMEOUT = 60  # seconds without a byte
CHUNK = 1 << 16  # bytes; what a broken connection loses is less than this
TRIES_WITHOUT_PROGRESS = 2


@dataclass(frozen=True)
class Wanted:
    """A file that a run needs. `what` says for people what it is.

    `unpacked`: where `path` is an archive, a file that makes it superfluous once it is there.
    """

    url: str
    path: str
    md5: str | None = None
    sha256: str | None = None
    what: str = "file"
    unpacked: str | None = None


class FetchError(UserError):
    """One download failed. `offline`: the host could not be reached at all, so that its other files need no try."""

    def __init__(self, message: str, offline: bool = False):
        super().__init__(message)
        self.offline = offline


def home() -> Path:
    """The folder for downloads and caches."""
    return Path(os.environ.get("PADDLE_FT_HOME") or Path.home() / ".cache" / "paddle_ft")


def data_home() -> Path:
    """The folder for downloaded datasets."""
    return home() / "datasets"


def mirrored(url: str) -> str:
    """The address that is really asked: PADDLE_FT_MIRROR in place of scheme and host."""
    mirror = os.environ.get("PADDLE_FT_MIRROR")
    if not mirror:
        return url
    parts = urlsplit(url)
    return mirror.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")


def checksum(path: str | Path, algorithm: str = "md5") -> str:
    """Hexadecimal digest of a file."""
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file, Progress(os.path.getsize(path), f"check {Path(path).name}", unit="B") as progress:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            progress.update(len(chunk))
    return digest.hexdigest()


def wrong_checksum(path: str | Path, md5: str | None = None, sha256: str | None = None) -> str | None:
    """What is wrong with the file's checksum, None if nothing is, or none is known."""
    for algorithm, expected in (("md5", md5), ("sha256", sha256)):
        if expected and (found := checksum(path, algorithm)) != expected.lower():
            return f"its {algorithm} is {found}, expected {expected}"
    return None


def fetch(
    url: str, path: str | Path, *, md5: str | None = None, sha256: str | None = None, label: str | None = None
) -> Path:
    """Downloads `url` to `path` through `path`.part, which a later call resumes; the rename comes last.

    A connection that breaks is taken up again as long as bytes come in; without any, there is one retry.

    Raises: FetchError naming the address and the cause; UserError if the folder cannot be written.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    label = label or f"download {path.name}"
    idle = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            size = _size(part)
            try:
                _receive(mirrored(url), part, label, known=bool(md5 or sha256))
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                idle = idle + 1 if _size(part) <= size else 0
                if idle >= TRIES_WITHOUT_PROGRESS:
                    raise FetchError(f"{mirrored(url)}: {_cause(error)}", offline=_size(part) == 0) from None
        if fault := wrong_checksum(part, md5, sha256):
            _forget(part)
            raise FetchError(f"{mirrored(url)}: what was downloaded is not the file that was expected: {fault}")
        os.replace(part, path)
        _forget(part)
    except requests.RequestException as error:
        raise FetchError(f"{mirrored(url)}: {_cause(error)}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
    return path


def _receive(url: str, part: Path, label: str, known: bool) -> None:
    """Appends to `part` what is missing. `known`: a checksum will tell whether the pieces fit."""
    tag_file = part.with_name(part.name + ".tag")
    tag = tag_file.read_text() if tag_file.exists() else ""
    size = _size(part) if tag or known else 0
    headers = {"Accept-Encoding": "identity"}
    if size:
        headers |= {"Range": f"bytes={size}-"} | ({"If-Range": tag} if tag else {})
    _resolve(url)
    with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)) as answer:
        if answer.status_code == 416:  # nothing lies behind what we have: complete, or of another version
            if known and answer.headers.get("Content-Range") == f"bytes */{size}":
                return
            _forget(part)
            raise requests.ConnectionError("the half-finished download does not fit the file, it starts afresh")
        if answer.status_code >= 400:
            raise requests.HTTPError(f"HTTP {answer.status_code} {answer.reason}")
        if answer.status_code != 206:
            size = 0
        validator = answer.headers.get("ETag", "")
        tag_file.write_text("" if validator.startswith("W/") else validator)
        length = answer.headers.get("Content-Length")
        total = size + int(length) if length else None
        with open(part, "ab" if size else "wb") as file, Progress(total, label, unit="B", initial=size) as progress:
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                progress.update(len(chunk))
    if total is not None and _size(part) != total:
        raise requests.ConnectionError(f"the connection broke after {_size(part)} of {total} bytes")


def unreachable(url: str) -> str | None:
    """Why a host cannot be reached, known within seconds; None if it answers, with whatever."""
    try:
        _resolve(url)
        requests.head(url, timeout=(CONNECT_TIMEOUT, CONNECT_TIMEOUT))
    except requests.RequestException as error:
        return _cause(error)
    return None


def _resolve(url: str) -> None:
    """Raises requests.ConnectionError if the host's name finds no address in time (requests would wait on and on)."""
    host = urlsplit(url).hostname or ""
    if requests.utils.get_environ_proxies(url):
        return
    failure: list[str] = ["its name was not resolved in time"]

    def look_up():
        try:
            socket.getaddrinfo(host, None)
            failure.clear()
        except OSError as error:
            failure[0] = error.strerror or str(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT)
    if failure:
        raise requests.ConnectionError(f"no connection to {host}: {failure[0]}")


def _cause(error: Exception) -> str:
    """The cause in a few words; what requests raises wraps it three times over."""
    if isinstance(error, requests.ConnectTimeout):
        return f"no answer within {CONNECT_TIMEOUT} s"
    if isinstance(error, requests.ReadTimeout):
        return f"no data for {READ_TIMEOUT} s"
    reason = getattr(error.args[0], "reason", None) if error.args else None
    text = str(reason or error)
    return text.split(": ", 1)[1] if reason is not None and ": " in text else text


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _forget(part: Path) -> None:
    for path in (part, part.with_name(part.name + ".tag")):
        path.unlink(missing_ok=True)


def ensure(files: list[Wanted]) -> None:
    """Sees to it that every file is there, fetching those that are not.

    A file that lies there with another checksum is never replaced: somebody put it there.

    Raises: one UserError for all that is missing or wrong: what it is, its address, its checksum, where to put it.
    """
    missing: list[tuple[Wanted, str]] = []
    unreachable: dict[str, str] = {}
    for file in files:
        if (file.unpacked and os.path.exists(file.unpacked)) or any(file.path == other.path for other, _ in missing):
            continue
        if os.path.exists(file.path):
            if fault := wrong_checksum(file.path, file.md5, file.sha256):
                missing.append((file, f"a file lies there, but {fault}; put the right one there, or delete it"))
            continue
        host = urlsplit(mirrored(file.url)).netloc
        if host in unreachable:
            missing.append((file, unreachable[host]))
            continue
        try:
            fetch(file.url, file.path, md5=file.md5, sha256=file.sha256, label=f"download {file.what}")
        except FetchError as error:
            missing.append((file, str(error)))
            if error.offline:
                unreachable[host] = f"{host} cannot be reached either"
    if missing:
        raise UserError(_report(missing))


def _report(missing: list[tuple[Wanted, str]]) -> str:
    count = "1 file is" if len(missing) == 1 else f"{len(missing)} files are"
    lines = [f"{count} needed and not here. Fetch on a machine with network, put in place, start again:"]
    for file, reason in missing:
        lines += [f"  {file.what}", f"    from    {file.url}"]
        lines += [f"    {name:7} {value}" for name, value in (("md5", file.md5), ("sha256", file.sha256)) if value]
        lines += [f"    put at  {file.path}", f"    now     {reason}"]
    lines.append("A proxy is taken from HTTPS_PROXY, a mirror with the same paths from PADDLE_FT_MIRROR=https://HOST.")
    return "\n".join(lines)
