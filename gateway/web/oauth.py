"""The token endpoint, `POST /oauth2/token`: tokens for codes of all kinds and refresh tokens.

The response names the restrictions that the user has set (`authorization_details`, RFC 9396, 7).

Rules: a code is bound to its app by the PKCE challenge, and by the app's secret if it has one.
Errors are those of RFC 6749, 5.2. Wrong codes and refresh tokens are not counted: they cannot be
guessed, and counting them would let anybody who opens an app's callback lock out its other users.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from scopegate.gateway.access import codes, devices, issuing, restrictions
from scopegate.gateway.access.consent import DETAILS_TYPE
from scopegate.gateway.access.devices import Refusal
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.issuing import Issued
from scopegate.gateway.access.restrictions import RestrictionKinds
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.transport.http import HttpRequest, HttpResponse
from scopegate.gateway.web.device_endpoint import DeviceAuthorization
from scopegate.gateway.web.oauth_clients import Credentials, credentials_of
from scopegate.gateway.web.oauth_messages import (
    Endpoint,
    OAuthError,
    answer,
    answering,
    form_of,
    require,
)
from scopegate.gateway.web.oauth_metadata import (
    DEVICE_AUTHORIZATION,
    DEVICE_GRANT,
    INTROSPECT,
    METADATA,
    REVOKE,
    TOKEN,
    Metadata,
)
from scopegate.gateway.web.token_status import Introspection, Revocation
from scopegate.schemas.scopes import Scopes
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot, Transaction

_Exchange = Callable[[Credentials, Mapping[str, str]], Awaitable[Issued]]
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


class TokenEndpoint:
    """`POST /oauth2/token`: exchanges a code or a refresh token for tokens (RFC 6749, 4.1.3, 6)."""

    def __init__(
        self, store: Store, access: Access, scopes: Scopes, kinds: RestrictionKinds
    ) -> None:
        self._kinds = kinds
        self._store = store
        self._access = access
        self._scopes = scopes
        self._exchanges: Mapping[str, _Exchange] = {
            "authorization_code": self._of_code,
            "refresh_token": self._of_refresh_token,
            DEVICE_GRANT: self._of_device_code,
        }

    @answering
    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the response to one request; an error is one of RFC 6749, 5.2."""
        form = form_of(request)
        exchange = self._exchanges.get(form.get("grant_type", ""))
        if exchange is None:
            raise OAuthError(
                "unsupported_grant_type", f"grant_type must be {' or '.join(self._exchanges)}."
            )
        issued = await exchange(credentials_of(request, form), form)
        body: dict[str, Any] = {
            "access_token": issued.tokens[0][1],
            "token_type": "Bearer",
            "expires_in": issued.lifetime,
            "refresh_token": issued.refresh_token,
            "scope": " ".join(self._scopes.in_order(issued.scopes & self._scopes.names)),
            "accounts": [{"loginid": loginid, "token": token} for loginid, token in issued.tokens],
        }
        number = issued.link.restrictions_id
        if number is not None:  # as granted: RFC 9396, 7
            held = await self._store.read(
                lambda reader: restrictions.all_in_force(reader, self._kinds, number)
            )
            if held[0].values:
                body["authorization_details"] = [{"type": DETAILS_TYPE, **held[0].values}]
        return answer(200, body)

    async def _of_code(self, credentials: Credentials, form: Mapping[str, str]) -> Issued:
        require(form, "code", "code_verifier")
        code, verifier = form["code"], form["code_verifier"]
        wrong = OAuthError(
            "invalid_grant",
            "The code is unknown, used, older than a minute, or for another client_id, redirect_uri"
            " or code_verifier.",
        )
        await self._check(credentials, lambda reader: codes.is_known(reader, code), wrong)
        if not _VERIFIER.fullmatch(verifier):
            raise wrong
        return await self._issued(
            credentials,
            lambda transaction: codes.exchange(
                transaction,
                code,
                app_id=credentials.app_id,
                redirect_uri=form.get("redirect_uri"),
                verifier=verifier,
            ),
            wrong,
        )

    async def _of_refresh_token(self, credentials: Credentials, form: Mapping[str, str]) -> Issued:
        require(form, "refresh_token")
        text = form["refresh_token"]
        scopes = frozenset(form.get("scope", "").split()) or None
        wrong = OAuthError(
            "invalid_grant",
            "The refresh_token is unknown, used, expired, or for another client_id, or its user"
            " must consent again.",
        )
        await self._check(credentials, lambda reader: issuing.find(reader, text) is not None, wrong)
        try:
            return await self._issued(
                credentials,
                lambda transaction: issuing.refresh(
                    transaction, text, app_id=credentials.app_id, scopes=scopes
                ),
                wrong,
            )
        except issuing.ScopeNotGrantedError:
            raise OAuthError(
                "invalid_scope", "The user has not granted all of these scopes."
            ) from None

    async def _of_device_code(self, credentials: Credentials, form: Mapping[str, str]) -> Issued:
        require(form, "device_code")
        text = form["device_code"]
        await self._check(
            credentials, lambda reader: devices.is_known(reader, text), _of_device(Refusal.INVALID)
        )

        def poll(transaction: Transaction) -> Issued | Refusal:
            credentials.check(transaction)
            return devices.poll(transaction, text, app_id=credentials.app_id)

        try:
            outcome = await self._access.write_for_app(credentials.app_id, poll)
        except ApiError:  # the user was disabled meanwhile
            outcome = Refusal.DENIED
        if isinstance(outcome, Refusal):
            raise _of_device(outcome)
        return outcome

    async def _check(
        self, credentials: Credentials, is_known: Callable[[Snapshot], bool], wrong: OAuthError
    ) -> None:
        """Raise `OAuthError` before anything is written, if the app or what it sends is wrong."""

        def check(reader: Snapshot) -> bool:
            credentials.check(reader)
            return is_known(reader)

        if not await self._store.read(check):
            raise wrong

    async def _issued(
        self,
        credentials: Credentials,
        issue: Callable[[Transaction], Issued | None],
        wrong: OAuthError,
    ) -> Issued:
        """Return what a job issues; the app's credentials are checked in its transaction again."""

        def job(transaction: Transaction) -> Issued | None:
            credentials.check(transaction)
            return issue(transaction)

        try:
            issued = await self._access.write_for_app(credentials.app_id, job)
        except ApiError:  # the user was disabled meanwhile
            raise wrong from None
        if issued is None:
            raise wrong
        return issued


_WHY = {
    Refusal.PENDING: "The user has not decided yet. Ask again later.",
    Refusal.SLOW_DOWN: f"Wait {devices.POLL_SECONDS:.0f} seconds more than before between polls.",
    Refusal.DENIED: "The user has refused.",
    Refusal.EXPIRED: "The device_code has expired. Ask for a new one.",
    Refusal.INVALID: "The device_code is unknown, used, or for another client_id.",
}


def _of_device(refusal: Refusal) -> OAuthError:
    return OAuthError(refusal, _WHY[refusal])


def endpoints(
    store: Store, access: Access, scopes: Scopes, kinds: RestrictionKinds, *, secure: bool
) -> Mapping[str, Endpoint]:
    """Return the OAuth endpoints by path; `secure` if the gateway itself has TLS."""
    return {
        METADATA: Metadata(scopes, secure=secure),
        TOKEN: TokenEndpoint(store, access, scopes, kinds),
        DEVICE_AUTHORIZATION: DeviceAuthorization(store, access, scopes, secure=secure),
        INTROSPECT: Introspection(store, scopes, secure=secure),
        REVOKE: Revocation(store, access),
    }
