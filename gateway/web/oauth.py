"""The token endpoint: `POST /oauth2/token` exchanges a code for tokens (RFC 6749, 4.1.3).

The response names the restrictions that the user has set (`authorization_details`, RFC 9396, 7).

Rules: apps have no secret, so a code is bound to its app by the PKCE challenge. Errors are those of
RFC 6749, 5.2, and `temporarily_unavailable` (4.1.2.1) while the store fails. Wrong codes are not
counted: they cannot be guessed, and counting them would let anybody who opens an app's callback
lock out its other users.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from scopegate.gateway.access import codes
from scopegate.gateway.access.codes import Exchanged
from scopegate.gateway.access.consent import APP_ID, DETAILS_TYPE
from scopegate.gateway.access.restrictions import RestrictionKinds
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.errors import ApiError, storage_unavailable
from scopegate.gateway.transport.http import HttpRequest, HttpResponse
from scopegate.schemas.scopes import Scopes
from scopegate.store.errors import StoreUnavailableError
from scopegate.store.store import Store

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)
_HEADERS = {
    "cache-control": "no-store",
    "pragma": "no-cache",
    # Any page may read the response: no cookie is involved, and only a code yields tokens.
    "access-control-allow-origin": "*",
    "x-content-type-options": "nosniff",
}


class TokenEndpoint:
    """`POST /oauth2/token`: exchanges a code for tokens (RFC 6749, 4.1.3)."""

    def __init__(self, store: Store, scopes: Scopes, kinds: RestrictionKinds) -> None:
        self._kinds = kinds
        self._store = store
        self._scopes = scopes

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the response to one request; an error is one of RFC 6749, 5.2, or a 503."""
        form = _form(request)
        if isinstance(form, HttpResponse):
            return form
        if "authorization" in request.headers or "client_secret" in form:
            return _failed(
                "invalid_client", "Apps have no client_secret: send only client_id.", 401
            )
        if form.get("grant_type") != "authorization_code":
            return _failed("unsupported_grant_type", "grant_type must be authorization_code.")
        missing = [name for name in ("client_id", "code", "code_verifier") if not form.get(name)]
        if missing:
            return _failed("invalid_request", f"Missing parameters: {' and '.join(missing)}.")
        try:
            exchanged = await self._exchange(form)
        except StoreUnavailableError:  # the store has logged it
            return _failed("temporarily_unavailable", storage_unavailable().message, 503)
        if exchanged is None:
            return _failed(
                "invalid_grant",
                "The code is unknown, used, older than a minute, or for another client_id,"
                " redirect_uri or code_verifier.",
            )
        body: dict[str, Any] = {
            "access_token": exchanged.tokens[0][1],
            "token_type": "Bearer",
            "expires_in": exchanged.lifetime,
            "scope": " ".join(self._scopes.in_order(exchanged.link.scopes & self._scopes.names)),
            "accounts": [
                {"loginid": loginid, "token": token} for loginid, token in exchanged.tokens
            ],
        }
        if exchanged.restrictions:  # as granted: RFC 9396, 7
            body["authorization_details"] = [{"type": DETAILS_TYPE, **exchanged.restrictions}]
        return _answer(200, body)

    async def _exchange(self, form: Mapping[str, str]) -> Exchanged | None:
        code, verifier, app_id = form["code"], form["code_verifier"], form["client_id"]
        if not (
            token_form.well_formed(code)
            and _VERIFIER.fullmatch(verifier)
            and APP_ID.fullmatch(app_id)
        ):
            return None
        if not await self._store.read(lambda reader: codes.is_known(reader, code)):
            return None
        try:
            return await self._store.write(
                lambda transaction: codes.exchange(
                    transaction,
                    self._kinds,
                    code,
                    app_id=int(app_id),
                    redirect_uri=form.get("redirect_uri") or None,
                    verifier=verifier,
                )
            )
        except ApiError:  # the user was disabled meanwhile
            return None


def _form(request: HttpRequest) -> dict[str, str] | HttpResponse:
    """Return the fields of the form, or the error response if there is no valid form."""
    if request.method != "POST":
        refused = _failed("invalid_request", "Request tokens with POST.", 405)
        return HttpResponse(
            405, refused.body, refused.content_type, {**refused.headers, "allow": "POST"}
        )
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return _failed("invalid_request", "The body must be application/x-www-form-urlencoded.")
    try:
        pairs = parse_qsl(
            request.body.decode(), keep_blank_values=True, max_num_fields=50, errors="strict"
        )
    except ValueError:
        return _failed("invalid_request", "The body is malformed.")
    form = dict(pairs)
    if len(form) != len(pairs):
        return _failed("invalid_request", "Each parameter may appear only once.")
    return form


def _failed(error: str, sentence: str, status: int = 400) -> HttpResponse:
    return _answer(status, {"error": error, "error_description": sentence})


def _answer(status: int, body: Mapping[str, Any]) -> HttpResponse:
    return HttpResponse(status, orjson.dumps(body), "application/json", _HEADERS)
