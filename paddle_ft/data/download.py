"""Download files once, verify them and resume broken downloads. One error lists every file that cannot be had.

PADDLE_FT_HOME    the folder for downloads and caches (default ~/.cache/paddle_ft)
PADDLE_FT_MIRROR  replaces scheme and host of every URL, e.g. http://mirror.local:8000
HTTP_PROXY, HTTPS_PROXY and NO_PROXY are respected.
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
from paddle_ft.system.files import home
from paddle_ft.system.progress import Progress

CONNECT_TIMEOUT = 5  # seconds; also the limit for resolving a host name
READ_TIMEOUT = 60  # seconds without a byte
CHUNK_SIZE = 1 << 16  # bytes; a broken connection loses less than this
MAX_IDLE_TRIES = 2  # tries in a row that receive nothing


@dataclass(frozen=True)
class RemoteFile:
    """A file that a run needs from the network.

    Attributes:
        url: where it is downloaded from.
        path: where it is kept.
        md5, sha256: expected checksums in hexadecimal, where known.
        description: what the file is, for people.
        unpacked: if `path` is an archive, a file from it that makes the archive unnecessary once it exists.
    """

    url: str
    path: str
    md5: str | None = None
    sha256: str | None = None
    description: str = "file"
    unpacked: str | None = None


class FetchError(UserError):
    """One download failed. `offline` says that the host could not be reached, so its other files need not be tried."""

    def __init__(self, message: str, offline: bool = False):
        super().__init__(message)
        self.offline = offline



def data_home() -> Path:
    """Return the folder for downloaded data sets."""
    return home() / "datasets"


def mirrored_url(url: str) -> str:
    """Return the URL that is really requested, with PADDLE_FT_MIRROR in place of scheme and host."""
    mirror = os.environ.get("PADDLE_FT_MIRROR")
    if not mirror:
        return url
    parts = urlsplit(url)
    return mirror.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")


def checksum(path: str | Path, algorithm: str = "md5") -> str:
    """Return the hexadecimal digest of a file."""
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file, Progress(os.path.getsize(path), f"check {Path(path).name}", unit="B") as progress:
        while chunk := file.read(CHUNK_SIZE):
            digest.update(chunk)
            progress.update(len(chunk))
    return digest.hexdigest()


def checksum_error(path: str | Path, md5: str | None = None, sha256: str | None = None) -> str | None:
    """Return what is wrong with a file's checksum, or None if it is right or unknown."""
    for algorithm, expected in (("md5", md5), ("sha256", sha256)):
        if expected and (actual := checksum(path, algorithm)) != expected.lower():
            return f"its {algorithm} is {actual}, expected {expected}"
    return None


def fetch(
    url: str, path: str | Path, *, md5: str | None = None, sha256: str | None = None, label: str | None = None
) -> Path:
    """Download a URL to `path`, by way of `path`.part, which a later call resumes and which is renamed at the end.

    A broken connection is retried as long as bytes arrive. When none arrive, there is one retry.

    Args:
        url: what to download; PADDLE_FT_MIRROR applies.
        path: the file to write. Its folder is created.
        md5, sha256: expected checksums in hexadecimal.
        label: what the progress bar shows.

    Returns:
        `path`.

    Raises:
        FetchError: the download failed; the message names the URL and the cause.
        UserError: the folder cannot be written.
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
                _receive(mirrored_url(url), part, label, has_checksum=bool(md5 or sha256))
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                idle = idle + 1 if _size(part) <= size else 0
                if idle >= MAX_IDLE_TRIES:
                    raise FetchError(f"{mirrored_url(url)}: {_cause(error)}", offline=_size(part) == 0) from None
        if fault := checksum_error(part, md5, sha256):
            _remove_part(part)
            raise FetchError(f"{mirrored_url(url)}: what was downloaded is not the file that was expected: {fault}")
        os.replace(part, path)
        _remove_part(part)
    except requests.RequestException as error:
        raise FetchError(f"{mirrored_url(url)}: {_cause(error)}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
    return path


def _receive(url: str, part: Path, label: str, has_checksum: bool) -> None:
    """Append to `part` what is missing.

    Without a checksum that will show whether the pieces fit, only a file with a strong ETag is resumed.
    """
    tag_file = part.with_name(part.name + ".tag")
    tag = tag_file.read_text() if tag_file.exists() else ""
    size = _size(part) if tag or has_checksum else 0
    headers = {"Accept-Encoding": "identity"}
    if size:
        headers |= {"Range": f"bytes={size}-"} | ({"If-Range": tag} if tag else {})
    _resolve(url)
    with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)) as response:
        if response.status_code == 416:  # no bytes beyond what we have: it is complete, or of another version
            if has_checksum and response.headers.get("Content-Range") == f"bytes */{size}":
                return
            _remove_part(part)
            raise requests.ConnectionError("the half-finished download does not fit the file; it starts again")
        if response.status_code >= 400:
            raise requests.HTTPError(f"HTTP {response.status_code} {response.reason}")
        if response.status_code != 206:
            size = 0
        validator = response.headers.get("ETag", "")
        tag_file.write_text("" if validator.startswith("W/") else validator)
        length = response.headers.get("Content-Length")
        total = size + int(length) if length else None
        with open(part, "ab" if size else "wb") as file, Progress(total, label, unit="B", initial=size) as progress:
            for chunk in response.iter_content(CHUNK_SIZE):
                file.write(chunk)
                progress.update(len(chunk))
    if total is not None and _size(part) != total:
        raise requests.ConnectionError(f"the connection broke after {_size(part)} of {total} bytes")


def connection_error(url: str) -> str | None:
    """Return within seconds why a host cannot be reached, or None if it gives any response."""
    try:
        _resolve(url)
        requests.head(url, timeout=(CONNECT_TIMEOUT, CONNECT_TIMEOUT))
    except requests.RequestException as error:
        return _cause(error)
    return None


def _resolve(url: str) -> None:
    """Raise requests.ConnectionError if the host name is not resolved in time. requests itself has no such limit."""
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
    """Return the cause in a few words. Exceptions of requests wrap it in several layers."""
    if isinstance(error, requests.ConnectTimeout):
        return f"no answer within {CONNECT_TIMEOUT} s"
    if isinstance(error, requests.ReadTimeout):
        return f"no data for {READ_TIMEOUT} s"
    reason = getattr(error.args[0], "reason", None) if error.args else None
    text = str(reason or error)
    return text.split(": ", 1)[1] if reason is not None and ": " in text else text


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _remove_part(part: Path) -> None:
    for path in (part, part.with_name(part.name + ".tag")):
        path.unlink(missing_ok=True)


def download_missing(files: list[RemoteFile]) -> None:
    """Download every file that does not exist yet.

    An existing file with a wrong checksum is never replaced, because somebody may have put it there.

    Raises:
        UserError: some files are missing or wrong. The one message gives description, URL, checksum and place of each.
    """
    missing: list[tuple[RemoteFile, str]] = []
    unreachable_hosts: dict[str, str] = {}
    for file in files:
        if (file.unpacked and os.path.exists(file.unpacked)) or any(file.path == other.path for other, _ in missing):
            continue
        if os.path.exists(file.path):
            if fault := checksum_error(file.path, file.md5, file.sha256):
                missing.append((file, f"there is a file already, but {fault}; put the right one there, or delete it"))
            continue
        host = urlsplit(mirrored_url(file.url)).netloc
        if host in unreachable_hosts:
            missing.append((file, unreachable_hosts[host]))
            continue
        try:
            fetch(file.url, file.path, md5=file.md5, sha256=file.sha256, label=f"download {file.description}")
        except FetchError as error:
            missing.append((file, str(error)))
            if error.offline:
                unreachable_hosts[host] = f"{host} cannot be reached either"
    if missing:
        raise UserError(_missing_files_message(missing))


def _missing_files_message(missing: list[tuple[RemoteFile, str]]) -> str:
    count = "1 file is" if len(missing) == 1 else f"{len(missing)} files are"
    lines = [f"{count} needed and not here. Fetch on a machine with network, put in place, start again:"]
    for file, reason in missing:
        lines += [f"  {file.description}", f"    from    {file.url}"]
        lines += [f"    {name:7} {value}" for name, value in (("md5", file.md5), ("sha256", file.sha256)) if value]
        lines += [f"    put at  {file.path}", f"    now     {reason}"]
    lines.append("A proxy is taken from HTTPS_PROXY, a mirror with the same paths from PADDLE_FT_MIRROR=https://HOST.")
    return "\n".join(lines)
