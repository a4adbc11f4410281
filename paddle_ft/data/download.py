"""Download files once, verify their checksums, and resume broken downloads.

Files go below PADDLE_FT_HOME. PADDLE_FT_MIRROR (e.g. http://mirror.local:8000) replaces the scheme and host of every URL.
HTTP_PROXY, HTTPS_PROXY and NO_PROXY are respected. If files cannot be downloaded, one error lists all of them.
"""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import requests

from convert.files import cache_folder, file_digest
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

CONNECT_TIMEOUT = 5  # seconds; also the limit for resolving a host name
READ_TIMEOUT = 60  # seconds without receiving a byte
CHUNK_SIZE = 1 << 16  # bytes; a broken connection loses less than one chunk
MAX_IDLE_TRIES = 2  # give up after this many tries in a row that receive nothing


@dataclass(frozen=True)
class RemoteFile:
    """A file that a run needs from the network.

    Attributes:
        url: where it is downloaded from.
        path: where it is stored.
        md5, sha256: expected checksums in hexadecimal, if known.
        description: what the file is, for messages.
        unpacked: if `path` is an archive, a file from it. Once that file exists, the archive is not needed.
    """

    url: str
    path: str
    md5: str | None = None
    sha256: str | None = None
    description: str = "file"
    unpacked: str | None = None


class FetchError(UserError):
    """A download failed. If `offline` is set, the host could not be reached, and its other files need not be tried."""

    def __init__(self, message: str, offline: bool = False):
        super().__init__(message)
        self.offline = offline


def data_home() -> Path:
    """Return the folder for downloaded data sets."""
    return cache_folder() / "datasets"


def mirrored_url(url: str) -> str:
    """Return the URL to request: `url` with its scheme and host replaced by PADDLE_FT_MIRROR, if that is set."""
    mirror = os.environ.get("PADDLE_FT_MIRROR")
    if not mirror:
        return url
    parts = urlsplit(url)
    return mirror.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")


def checksum(path: str | Path, algorithm: str) -> str:
    """Return the checksum of a file in hexadecimal, with a progress bar. `algorithm` is a name that hashlib knows.

    A source asks for each split, and its files may be large. A file with the same size and time of change is not read again.
    """
    status = os.stat(path)
    return _checksum(str(path), algorithm, status.st_size, status.st_mtime_ns)


@cache
def _checksum(path: str, algorithm: str, size: int, mtime_ns: int) -> str:
    with Progress(size, f"check {Path(path).name}", unit="B") as progress:
        return file_digest(path, algorithm, progress.update)


def checksum_error(path: str | Path, md5: str | None = None, sha256: str | None = None) -> str | None:
    """Compare a file with its expected checksums, if they are known.

    Returns:
        What is wrong, or None if nothing is.
    """
    for algorithm, expected in (("md5", md5), ("sha256", sha256)):
        if expected and (actual := checksum(path, algorithm)) != expected.lower():
            return f"its {algorithm} is {actual}, expected {expected}"
    return None


def fetch(url: str, path: str | Path, *, md5: str | None = None, sha256: str | None = None, label: str | None = None) -> Path:
    """Download a file.

    The data goes to `path`.part, which is renamed when it is complete. If the download is stopped, the next call resumes it.
    A broken connection is retried as long as bytes arrive, and once if none arrive.

    Args:
        url: what to download; PADDLE_FT_MIRROR applies.
        path: the file to write. Its folder is created.
        md5, sha256: expected checksums in hexadecimal.
        label: text in front of the progress bar.

    Returns:
        `path`.

    Raises:
        FetchError: the download failed. The message names the URL and the cause.
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
        if problem := checksum_error(part, md5, sha256):
            _remove_part(part)
            raise FetchError(f"{mirrored_url(url)}: the downloaded file is not the one that was expected: {problem}")
        os.replace(part, path)
        _remove_part(part)
    except requests.RequestException as error:
        raise FetchError(f"{mirrored_url(url)}: {_cause(error)}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
    return path


def _receive(url: str, part: Path, label: str, has_checksum: bool) -> None:
    """Download the missing bytes of `part` and append them.

    A checksum would reveal that the two pieces do not belong together. Without one, only a file with a strong ETag is resumed.
    """
    tag_file = part.with_name(part.name + ".tag")
    tag = tag_file.read_text() if tag_file.exists() else ""
    size = _size(part) if tag or has_checksum else 0
    headers = {"Accept-Encoding": "identity"}
    if size:
        headers |= {"Range": f"bytes={size}-"} | ({"If-Range": tag} if tag else {})
    _resolve(url)
    with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)) as response:
        if response.status_code == 416:  # the server has no bytes after ours: the file is complete, or another version
            if has_checksum and response.headers.get("Content-Range") == f"bytes */{size}":
                return
            _remove_part(part)
            raise requests.ConnectionError("the unfinished download does not match the file; it starts again")
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
    """Return why a host cannot be reached, or None if it responds. This takes a few seconds at most."""
    try:
        _resolve(url)
        requests.head(url, timeout=(CONNECT_TIMEOUT, CONNECT_TIMEOUT))
    except requests.RequestException as error:
        return _cause(error)
    return None


def _resolve(url: str) -> None:
    """Raise requests.ConnectionError if the host name is not resolved in time. The requests library has no limit for this."""
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
    """Return the cause of an error in a few words. The requests library wraps the cause in several exceptions."""
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

    An existing file with a wrong checksum is not replaced, because the user may have put it there on purpose.

    Raises:
        UserError: some files are missing or wrong. One message gives the description, URL, checksum and path of each.
    """
    missing: list[tuple[RemoteFile, str]] = []
    unreachable_hosts: dict[str, str] = {}
    for file in files:
        is_known_missing = any(file.path == missing_file.path for missing_file, _ in missing)
        if (file.unpacked and os.path.exists(file.unpacked)) or is_known_missing:
            continue
        if os.path.exists(file.path):
            if problem := checksum_error(file.path, file.md5, file.sha256):
                missing.append((file, f"there is a file already, but {problem}; put the right one there, or delete it"))
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
    lines = [f"{count} missing or wrong. Download on a machine with network access, put at the path below, and start again:"]
    for file, reason in missing:
        lines += [f"  {file.description}", f"    from    {file.url}"]
        lines += [f"    {name:7} {value}" for name, value in (("md5", file.md5), ("sha256", file.sha256)) if value]
        lines += [f"    put at  {file.path}", f"    now     {reason}"]
    lines.append("A proxy is taken from HTTPS_PROXY, a mirror with the same paths from PADDLE_FT_MIRROR=https://HOST.")
    return "\n".join(lines)
