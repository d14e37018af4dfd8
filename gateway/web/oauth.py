"""The token endpoint: `POST /oauth2/token` exchanges a code for tokens (RFC 6749, 4.1.3).

Rules: a code is bound to its app by the PKCE challenge, and by the app's secret if it has one.
Errors are those of RFC 6749, 5.2. Wrong codes are not counted: they cannot be guessed, and counting
them would let anybody who opens an app's callback lock out its other users.
"""

import re
from collections.abc import Mapping

from scopegate.gateway.access import codes
from scopegate.gateway.access.codes import Exchanged
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.transport.http import HttpRequest, HttpResponse
from scopegate.gateway.web.oauth_clients import Credentials, credentials_of
from scopegate.gateway.web.oauth_messages import (
    Endpoint,
    OAuthError,
    answer,
    answering,
    form_of,
    require,
)
from scopegate.gateway.web.oauth_metadata import INTROSPECT, METADATA, REVOKE, TOKEN, Metadata
from scopegate.gateway.web.token_status import Introspection, Revocation
from scopegate.schemas.scopes import Scopes
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot, Transaction

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


class TokenEndpoint:
    """`POST /oauth2/token`: exchanges a code for tokens (RFC 6749, 4.1.3)."""

    def __init__(self, store: Store, access: Access, scopes: Scopes) -> None:
        self._store = store
        self._access = access
        self._scopes = scopes

    @answering
    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the response to one request; an error is one of RFC 6749, 5.2."""
        form = form_of(request)
        if form.get("grant_type") != "authorization_code":
            raise OAuthError("unsupported_grant_type", "grant_type must be authorization_code.")
        credentials = credentials_of(request, form)
        require(form, "code", "code_verifier")
        exchanged = await self._exchange(credentials, form)
        if exchanged is None:
            raise OAuthError(
                "invalid_grant",
                "The code is unknown, used, older than a minute, or for another client_id,"
                " redirect_uri or code_verifier.",
            )
        return answer(
            200,
            {
                "access_token": exchanged.tokens[0][1],
                "token_type": "Bearer",
                "expires_in": codes.TOKENS_LAST,
                "scope": " ".join(
                    self._scopes.in_order(exchanged.link.scopes & self._scopes.names)
                ),
                "accounts": [
                    {"loginid": loginid, "token": token} for loginid, token in exchanged.tokens
                ],
            },
        )

    async def _exchange(
        self, credentials: Credentials, form: Mapping[str, str]
    ) -> Exchanged | None:
        code, verifier = form["code"], form["code_verifier"]

        def is_known(reader: Snapshot) -> bool:
            credentials.check(reader)
            return codes.is_known(reader, code)

        def exchange(transaction: Transaction) -> Exchanged | None:
            credentials.check(transaction)
            return codes.exchange(
                transaction,
                code,
                app_id=credentials.app_id,
                redirect_uri=form.get("redirect_uri"),
                verifier=verifier,
            )

        if not await self._store.read(is_known) or not _VERIFIER.fullmatch(verifier):
            return None
        try:
            return await self._access.write_for_app(credentials.app_id, exchange)
        except ApiError:  # the user was disabled meanwhile
            return None


def endpoints(
    store: Store, access: Access, scopes: Scopes, *, secure: bool
) -> Mapping[str, Endpoint]:
    """Return the OAuth endpoints by path; `secure` if the gateway itself has TLS."""
    return {
        METADATA: Metadata(scopes, secure=secure),
        TOKEN: TokenEndpoint(store, access, scopes),
        INTROSPECT: Introspection(store, scopes, secure=secure),
        REVOKE: Revocation(store, access),
    }
