"""Introspection (RFC 7662) and revocation (RFC 7009) of tokens.

Rule: both serve apps that show their secret, and only for tokens of their own: those that were
issued to the app, and those that it created with them.
"""

from collections.abc import Mapping
from typing import Any

from scopegate.gateway.access import issuing, tokens
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.issuing import RefreshToken
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
        of_client = {"active": True, "client_id": credentials.client_id}
        token, refresh_token = _found(reader, text)
        if token is not None and token.app_id == app.id and not token.suspended:
            status = of_client | {
                "token_type": "Bearer",
                "scope": self._scope(token.scopes),
                "sub": token.loginid,
                "iat": int(token.created_at),
            }
            expires_at = {} if token.expires_at is None else {"exp": int(token.expires_at)}
            return status | expires_at
        if (
            refresh_token is not None
            and refresh_token.link.app.id == app.id
            and refresh_token.active
        ):
            return of_client | {
                "scope": self._scope(refresh_token.link.scopes),
                "iat": int(refresh_token.created_at),
                "exp": int(refresh_token.expires_at),
            }
        return _INACTIVE

    def _scope(self, scopes: frozenset[str]) -> str:
        return " ".join(self._scopes.in_order(scopes & self._scopes.names))


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
    token, refresh_token = _found(reader, text)
    owners = [] if token is None else [token.app_id]
    owners += [] if refresh_token is None else [refresh_token.link.app.id]
    if owners and owners != [app.id]:
        raise OAuthError("invalid_grant", "The token was not issued to this app.")
    return bool(owners)


def _revoke(transaction: Transaction, credentials: Credentials, text: str) -> None:
    if _may_revoke(transaction, credentials, text):
        token, refresh_token = _found(transaction, text)
        if token is not None:
            tokens.end(transaction, [token.id])
        if refresh_token is not None:
            issuing.end_line(transaction, refresh_token)


def _asked(request: HttpRequest) -> tuple[Credentials, str]:
    """Return the app that asks, and the token that it asks about.

    `token_type_hint` is ignored: tokens of all types are found as quickly.
    """
    form = form_of(request)
    credentials = credentials_of(request, form)
    require(form, "token")
    return credentials, form["token"]


def _found(reader: Snapshot, text: str) -> tuple[Token | None, RefreshToken | None]:
    """Return the token or the refresh token with this text; it may be any app's, or no app's."""
    if not token_form.well_formed(text):
        return None, None
    token = tokens.find(reader, token_form.digest(text))
    return token, issuing.find(reader, text) if token is None else None
