"""Upload files to the model library of Baidu AI Studio with aistudio_sdk.

The SDK uploads one file after the other, each as a commit of its own. It returns errors as dictionaries, prints while it works,
and says why storing a large file failed only in its log. `_listen` keeps all of that off the screen and collects the log.

STUDIO_GIT_HOST and STUDIO_MODEL_API_URL_PREFIX, which the SDK reads, name other servers.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote as quote_url

from convert.files import file_digest
from paddle_ft.publishing.failures import AGAIN, Target, check_token, explain, explain_status, quote
from paddle_ft.publishing.files import PublishedFile
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import format_size
from paddle_ft.system.progress import print_info

TOKEN = "AISTUDIO_ACCESS_TOKEN"
LOAD = ", from_aistudio=True"
GIT_HOST = "http://git.aistudio.baidu.com"  # the SDK's own default
BRANCH = "master"
TIMEOUT = 30  # seconds for an answer of the git host
COMMON_LIMIT = 5 << 20  # bytes; the SDK sends larger files as LFS objects only
EXISTS, TOO_LARGE = 10003, 10006  # error codes of the SDK
HTTP_LOG = "urllib3.connectionpool"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}"


def find_target(repo: str) -> Target:
    """Return the repository of this name."""
    server = os.environ.get("STUDIO_GIT_HOST", GIT_HOST).rstrip("/")
    return Target("AI Studio", repo, server, "https://aistudio.baidu.com/account/accessToken", TOKEN)


def find_token(target: Target) -> str:
    """Return the token. Raise UserError if there is none."""
    return check_token(target, os.environ.get(TOKEN))


def upload(target: Target, files: list[PublishedFile], public: bool, message: str) -> None:
    """Create the repository if it does not exist, and upload files one after the other.

    Args:
        target: the repository.
        files: what to upload, in this order. Files that are in the repository already are skipped.
        public: whether everybody may see the repository, if it is created now.
        message: the message of the commits.

    Raises:
        UserError: there is no token, or the upload fails.
    """
    token = find_token(target)
    os.environ[TOKEN] = token  # the SDK reads it there too
    uploader = _Uploader(target, token)
    uploader.create(public)
    print_info(f"uploading to {target.url}")
    for file in files:
        if uploader.has(file):
            print_info(f"  {file.name}: is there already")
            continue
        print_info(f"  {file.name}: sending {format_size(file.size)}")
        uploader.send(file, message)


class _Uploader:
    """The calls of the SDK for one repository, with its errors as UserError."""

    def __init__(self, target: Target, token: str):
        self.target = target
        self.token = token
        self.user, self.name = target.repo.split("/")
        self.log = _Log()

    def create(self, public: bool) -> None:
        """Create the repository. Raise UserError if it is not private and `public` is not set."""
        from aistudio_sdk import hub

        model = {"repo_id": self.target.repo, "model_name": self.name, "private": not public, "token": self.token}
        answer = self._call("creating the repository", lambda: hub.create_repo(**model))
        if answer.get("error_code") == EXISTS:
            self._refuse_public(public)
            return
        self._refuse_error(answer, "creating the repository")
        if not public and answer.get("private") is not True:
            raise UserError(
                f"AI Studio created {self.target.repo}, but not as a private repository. Nothing was uploaded: make it private on"
                " the website, or add --public if everybody may see it."
            )
        print_info(f"created {self.target.repo}, {'public' if public else 'private'}; licence there: {answer.get('license')}")

    def _refuse_public(self, public: bool) -> None:
        """Raise UserError for a repository that exists and is not known to be private, unless everybody may see it."""
        if public:
            print_info(f"{self.target.repo} exists; its visibility stays as it is")
            return
        if self._is_private() is not True:
            raise UserError(
                f"{self.target.repo} exists on AI Studio and is not known to be private. Nothing was uploaded. Look at it on the"
                " website. If it is private there, or if everybody may see this model, add --public: it changes nothing about a"
                " repository that exists. Otherwise make it private, or name another with --repo."
            )
        print_info(f"{self.target.repo} exists and is private; it stays so")

    def _is_private(self) -> bool | None:
        """Ask the git host whether the repository is private. None: it does not say. The SDK has no call for this."""
        import requests

        url = f"{self.target.server}/api/v1/repos/{quote_url(self.user)}/{quote_url(self.name)}"
        try:
            answer = requests.get(url, headers={"Authorization": f"token {self.token}"}, timeout=TIMEOUT)
            private = answer.json().get("private") if answer.status_code == 200 else None
        except (requests.RequestException, ValueError, AttributeError):
            return None
        return private if isinstance(private, bool) else None

    def has(self, file: PublishedFile) -> bool:
        """Return whether a file is in the repository with the same content."""
        from aistudio_sdk.requests import hub as requests_hub

        doing = f"looking for {file.name}"
        place = (self.target.server, self.user, self.name)
        info = self._call(doing, lambda: requests_hub.request_aistudio_git_file_info(*place, file.name, BRANCH, self.token))
        if info.get("biz_code") == 404:
            return False
        self._refuse_error(info, doing)
        sha256 = file_digest(file.path)
        pointer = POINTER.format(sha256=sha256, size=file.size).encode()
        if info.get("sha") in (_git_hash(pointer), _git_hash(pointer + b"\n")):  # then ask whether the content is there too
            access = self._call(
                doing,
                lambda: requests_hub.request_aistudio_git_upload_access(*place, BRANCH, file.size, sha256, self.token),
            )
            self._refuse_error(access, doing)
            return not access["upload"]
        return file.size <= COMMON_LIMIT and info.get("sha") == _git_hash(file.path.read_bytes())

    def send(self, file: PublishedFile, message: str) -> None:
        """Upload a file."""
        from aistudio_sdk import hub

        doing = f"sending {file.name}"
        arguments = {"repo_id": self.target.repo, "path_or_fileobj": str(file.path.resolve()), "path_in_repo": file.name}
        answer = self._call(doing, lambda: hub.upload(**arguments, commit_message=message, token=self.token))
        if answer.get("error_code") == TOO_LARGE:
            raise UserError(f"AI Studio does not take {file.name}: it is too large ({format_size(file.size)}).")
        failures = [line for line in self.log.lines if "lfs file failed" in line]  # the answer does not say why
        if answer.get("error_code") and failures:
            answered = f"status {self.log.status}, " if self.log.status >= 400 else ""
            reason = quote(answered + failures[0], self.token)
            raise UserError(f"{file.name} did not reach the storage of AI Studio. Check the connection. {AGAIN}{reason}")
        self._refuse_error(answer, doing)

    def _call(self, doing: str, call: Callable[[], Any]) -> dict[str, Any]:
        """Call the SDK, with self.log as its log, and return its answer. Raise UserError if it fails with an exception."""
        self.log = _Log()
        try:
            with _listen(self.log), _temporary_folder():
                answer = call()
        except Exception as error:  # the SDK does not check the hub's answers before it reads them
            if isinstance(error, OSError) and error.filename is not None:  # a file of this machine
                raise
            if self.log.status >= 400 and isinstance(error, LookupError | TypeError | ValueError):  # it was no answer to read
                raise explain_status(self.target, self.log.status, "", self.token) from None
            raise explain(self.target, error, self.token, doing) from None
        for line in self.log.lines:
            if "POST /batch" in line and "'error':" in line:  # the SDK takes this for "is there already"
                reason = quote(line.partition("'error':")[2], self.token)
                raise UserError(f"AI Studio refused the content while {doing}. Its entry there is not complete.{reason}")
        if not isinstance(answer, dict):
            raise explain(self.target, ValueError(f"{type(answer).__name__} instead of an object"), self.token, doing)
        return answer

    def _refuse_error(self, answer: dict[str, Any], doing: str) -> None:
        """Raise UserError if an answer of the SDK is an error. `doing` says what was being done, for the message."""
        if not answer.get("error_code"):
            return
        said = str(answer.get("error_msg"))
        if self.log.status >= 400:
            raise explain_status(self.target, self.log.status, said, self.token)
        raise UserError(
            f"AI Studio reported an error, or gave an answer that is not understood, while {doing}.{quote(said, self.token)}"
            f" If it is about the token: make one at {self.target.token_page}."
        )


class _Log(logging.Handler):
    """Collect what the SDK logs.

    Attributes:
        lines: the messages.
        status: the HTTP status of the last answer, 0 if there was none. The SDK does not always pass it on, but urllib3 logs it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.status = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        if record.name != HTTP_LOG:
            self.lines.append(record.getMessage())
        elif isinstance(record.args, tuple) and len(record.args) > 6 and isinstance(record.args[6], int):
            self.status = record.args[6]


def _git_hash(content: bytes) -> str:
    """Return the hash by which git knows a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@contextlib.contextmanager
def _temporary_folder() -> Iterator[None]:
    """Work in a temporary folder, because the SDK writes a file into the current one, which may be read-only."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


@contextlib.contextmanager
def _listen(log: _Log) -> Iterator[None]:
    """Keep what the SDK prints and logs off the screen, and collect its log."""
    from aistudio_sdk import log as _  # noqa: F401 it sets up the SDK's logger, with a handler for the screen

    loggers = [logging.getLogger(name) for name in ("", "aistudio_sdk", HTTP_LOG)]
    before = [(logger, logger.handlers, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [log], False
    for logger in loggers[1:]:
        logger.setLevel(logging.DEBUG)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        for logger, handlers, level, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
