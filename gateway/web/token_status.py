"""Introspection (RFC 7662) and revocation (RFC 7009) of tokens.

Rule: both serve apps that show their secret, and only for tokens of their own: those that were
issued to the app, and those that it created with them.
"""

from collections.abc import Mapping
from typing import Any

from scopegate.gateway.access import tokens
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.tokens import Token
from scopegate.gateway.calls import token_form
from scopegate.gateway.transport.http import HttpRequest, HttpResponse
from scopegate.gateway.web.oauth_clients import Credentials, credentials_of
from scopegate.gateway.web.oauth_messages import OAuthError, answer, answering, form_of, require
from scopegate.gateway.web.oauth_metadata import issuer_of
from scopegate.schemas.scopes import Scopes
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot, Transaction

_INACTIVE = {"active": False}


class Introspection:
    """`POST /oauth2/introspect`: whether a token is valid, and for what (RFC 7662)."""

    def __init__(self, store: Store, scopes: Scopes, *, secure: bool) -> None:
        self._store = store
        self._scopes = scopes
        self._secure = secure

    @answering
    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the response to one request; any token that is not the app's is inactive."""
        credentials, text = _asked(request)
        found = await self._store.read(lambda reader: self._status(reader, credentials, text))
        if found["active"]:
            found = {**found, "iss": issuer_of(request, secure=self._secure)}
        return answer(200, found)

    def _status(self, reader: Snapshot, credentials: Credentials, text: str) -> Mapping[str, Any]:
        app = credentials.confidential(reader)
        token = _token(reader, text)
        if token is None or token.app_id != app.id or token.suspended:
            return _INACTIVE
        status: dict[str, Any] = {
            "active": True,
            "client_id": credentials.client_id,
            "token_type": "Bearer",
            "scope": " ".join(self._scopes.in_order(token.scopes & self._scopes.names)),
            "sub": token.loginid,
            "iat": int(token.created_at),
        }
        if token.expires_at is not None:
            status["exp"] = int(token.expires_at)
        return status


class Revocation:
    """`POST /oauth2/revoke`: ends a token, and what was created with it (RFC 7009)."""

    def __init__(self, store: Store, access: Access) -> None:
        self._store = store
        self._access = access

    @answering
    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the response to one request: 200 also for a token that is not valid any more."""
        credentials, text = _asked(request)
        if await self._store.read(lambda reader: _may_revoke(reader, credentials, text)):
            await self._access.write_for_app(
                credentials.app_id, lambda transaction: _revoke(transaction, credentials, text)
            )
        return answer(200, {})


def _may_revoke(reader: Snapshot, credentials: Credentials, text: str) -> bool:
    """Whether the token is one that this app can revoke; an error if it is another app's."""
    app = credentials.confidential(reader)
    token = _token(reader, text)
    if token is not None and token.app_id != app.id:
        raise OAuthError("invalid_grant", "The token was not issued to this app.")
    return token is not None


def _revoke(transaction: Transaction, credentials: Credentials, text: str) -> None:
    if _may_revoke(transaction, credentials, text):
        token = _token(transaction, text)
        tokens.end(transaction, [] if token is None else [token.id])


def _asked(request: HttpRequest) -> tuple[Credentials, str]:
    """Return the app that asks, and the token that it asks about.

    `token_type_hint` is ignored: tokens of all types are found as quickly.
    """
    form = form_of(request)
    credentials = credentials_of(request, form)
    require(form, "token")
    return credentials, form["token"]


def _token(reader: Snapshot, text: str) -> Token | None:
    return tokens.find(reader, token_form.digest(text)) if token_form.well_formed(text) else None
