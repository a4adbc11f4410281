"""Turn what goes wrong during an upload into messages. No message contains the token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from paddle_ft.system.errors import UserError

AGAIN = "Run the same command again: what has arrived is not sent again."
DETAIL_LENGTH = 300  # characters of a hub's own words in our message


@dataclass(frozen=True)
class Target:
    """A repository on a hub.

    Attributes:
        hub: the name of the hub, for messages.
        repo: the repository, USER/NAME.
        server: the address that the SDK talks to.
        token_page: where a token is made.
        token_variable: the environment variable for the token.
    """

    hub: str
    repo: str
    server: str
    token_page: str
    token_variable: str

    @property
    def url(self) -> str:
        """The address of the repository."""
        return f"{self.server}/{self.repo}"


def check_token(target: Target, token: str | None, alternative: str = "") -> str:
    """Return a token without surrounding white space.

    Args:
        target: the repository.
        token: the token, if there is one.
        alternative: what can be done instead of setting the variable, for the message.

    Raises:
        UserError: there is no token, or it cannot be one.
    """
    cleaned = (token or "").strip()
    if not cleaned:
        raise UserError(
            f"{target.hub} needs an access token that may write, and there is none. Make one at {target.token_page}, then"
            f" export {target.token_variable}=YOUR_TOKEN{alternative}."
        )
    if not (cleaned.isascii() and cleaned.isprintable()) or " " in cleaned:
        raise UserError(f"{target.token_variable}: this is no token, because it has spaces or characters outside ASCII.")
    return cleaned


def explain_status(target: Target, status: int, detail: str = "", token: str = "") -> UserError:
    """Return the error for a status that a hub has answered with.

    Args:
        target: the repository.
        status: the HTTP status.
        detail: the hub's own words.
        token: what must not be in the message.
    """
    hub, variable, said = target.hub, target.token_variable, quote(detail, token)
    meaning = {
        401: f"{hub} does not accept the token. It may be mistyped or expired: make one at {target.token_page} and set {variable}.",
        403: f"the token may not write to {target.repo}. Make one that may write at {target.token_page} and set {variable}. Also"
        " check that USER in USER/NAME is you or an organization that you may write to.",
        404: f"{hub} has no repository {target.repo} that this token may write to. Check that USER in USER/NAME is the name of the"
        " account that the token belongs to.",
        409: f"{hub} reports a conflict: somebody else is changing {target.repo} right now, or the name is taken. {AGAIN}",
        413: f"{hub} does not take a file of this size.",
        429: f"{hub} gets too many requests from you. Wait a few minutes. {AGAIN}",
    }.get(status)
    if meaning is None and status >= 500:
        meaning = f"{hub} has a problem of its own (status {status}). Try later. {AGAIN}"
    elif meaning is None:
        meaning = f"{hub} refuses the upload to {target.repo} (status {status})."
    return UserError(f"{meaning}{said}")


def explain(target: Target, error: BaseException, token: str, doing: str = "") -> UserError:
    """Return the error for an exception of an SDK.

    Args:
        target: the repository.
        error: the exception. Those that caused it are looked at too.
        token: what must not be in the message.
        doing: what was being done, for the message.
    """
    import requests

    where = f" while {doing}" if doing else ""
    for cause in _causes(error):
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int) and status >= 400:
            return explain_status(target, status, getattr(cause, "server_message", None) or "", token)
        if isinstance(cause, requests.exceptions.JSONDecodeError):
            break
        if isinstance(cause, ConnectionError | TimeoutError | requests.RequestException):
            server = _server_of(error) or target.server
            return UserError(
                f"the connection to {server} failed{where}. Check it, and HTTPS_PROXY. {AGAIN}{quote(_reason(error), token)}"
            )
    detail = quote(f"{type(error).__name__}: {error}", token)
    return UserError(
        f"{target.server} refused something{where}, or gave an answer that is not understood; a proxy may be in between."
        f" {AGAIN}{detail}"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _server_of(error: BaseException) -> str:
    """Return the server that a failed request was sent to, "" if the exception does not say. A hub has several."""
    for cause in _causes(error):
        try:
            url = urlsplit(str(cause.request.url))  # type: ignore[attr-defined]
        except (AttributeError, RuntimeError, ValueError):  # httpx raises RuntimeError where there is no request
            continue
        if url.hostname:
            host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
            return f"{url.scheme}://{host}" + (f":{url.port}" if url.port else "")
    return ""


def _reason(error: BaseException) -> str:
    """Return why a connection failed in the words of the system. What is around them repeats them, with addresses in memory."""
    innermost = list(_causes(error))[-1]
    return str(getattr(innermost, "strerror", None) or innermost)


def quote(detail: str, token: str) -> str:
    """Return a hub's own words as the end of a message: in one line, shortened, and without the token."""
    words = " ".join((detail.replace(token, "[token]") if token else detail).split())
    if not words:
        return ""
    return f" ({words[:DETAIL_LENGTH]}{'...' if len(words) > DETAIL_LENGTH else ''})"
