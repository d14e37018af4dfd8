"""Requests to the OAuth endpoints, and their responses: forms and errors (RFC 6749, 5.2)."""

import functools
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import orjson

from scopegate.gateway.calls.errors import storage_unavailable
from scopegate.gateway.transport.http import HttpRequest, HttpResponse
from scopegate.store.errors import StoreUnavailableError

T = TypeVar("T")

Endpoint = Callable[[HttpRequest], HttpResponse | Coroutine[Any, Any, HttpResponse]]

HEADERS = {
    "cache-control": "no-store",
    "pragma": "no-cache",
    # Any page may read the response: no cookie is involved, and only a code yields tokens.
    "access-control-allow-origin": "*",
    "x-content-type-options": "nosniff",
}


class OAuthError(Exception):
    """An error response: its code (RFC 6749, 5.2, or that of the endpoint), status and headers."""

    def __init__(
        self, error: str, sentence: str, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(error)
        self.error = error
        self.sentence = sentence
        self.status = status
        self.headers = headers or {}

    def response(self) -> HttpResponse:
        """Return the response with this error."""
        body = {"error": self.error, "error_description": self.sentence}
        return answer(self.status, body, self.headers)


def answer(
    status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return a response that no cache stores."""
    return HttpResponse(
        status, orjson.dumps(body), "application/json", {**HEADERS, **(headers or {})}
    )


def answering(
    respond: Callable[[T, HttpRequest], Awaitable[HttpResponse]],
) -> Callable[[T, HttpRequest], Coroutine[Any, Any, HttpResponse]]:
    """Let an endpoint's method return a response also where it raises `OAuthError`.

    While the store fails, it is `temporarily_unavailable` (RFC 6749, 4.1.2.1) with status 503.
    """

    @functools.wraps(respond)
    async def with_errors(endpoint: T, request: HttpRequest) -> HttpResponse:
        try:
            return await respond(endpoint, request)
        except OAuthError as error:
            return error.response()
        except StoreUnavailableError:  # the store has logged it
            sentence = storage_unavailable().message
            return OAuthError("temporarily_unavailable", sentence, 503).response()

    return with_errors


def form_of(request: HttpRequest) -> dict[str, str]:
    """Return the fields of a form that was sent with POST; empty ones count as left out.

    Raises `OAuthError` if there is no valid form.
    """
    if request.method != "POST":
        raise OAuthError("invalid_request", "Send a POST request.", 405, {"allow": "POST"})
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "The body must be application/x-www-form-urlencoded.")
    try:
        pairs = parse_qsl(
            request.body.decode(), keep_blank_values=True, max_num_fields=50, errors="strict"
        )
    except ValueError:
        raise OAuthError("invalid_request", "The body is malformed.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "Each parameter may appear only once.")
    return {name: value for name, value in form.items() if value}


def require(form: Mapping[str, str], *names: str) -> None:
    """Raise `OAuthError` unless the form has all of these fields."""
    missing = [name for name in names if name not in form]
    if missing:
        raise OAuthError("invalid_request", f"Missing parameters: {' and '.join(missing)}.")
