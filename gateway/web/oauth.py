"""The token endpoint: `POST /oauth2/token` exchanges a code for tokens (RFC 6749, 4.1.3).

Rules: apps have no secret, so a code is bound to its app by the PKCE challenge. Errors are those of
RFC 6749, 5.2, and `temporarily_unavailable` (4.1.2.1) while the store fails. Wrong codes are not
counted: they cannot be guessed, and counting them would let anybody who opens an app's callback
lock out its other users.
"""

import re
from collections.abc import Mapping

from scopegate.gateway.access import codes
from scopegate.gateway.access.codes import Exchanged
from scopegate.gateway.access.consent import APP_ID
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.errors import ApiError, storage_unavailable
from scopegate.gateway.transport.http import HttpRequest, HttpResponse
from scopegate.gateway.web.oauth_messages import Endpoint, OAuthError, answer, form_of, require
from scopegate.gateway.web.oauth_metadata import METADATA, TOKEN, Metadata
from scopegate.schemas.scopes import Scopes
from scopegate.store.errors import StoreUnavailableError
from scopegate.store.store import Store

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


class TokenEndpoint:
    """`POST /oauth2/token`: exchanges a code for tokens (RFC 6749, 4.1.3)."""

    def __init__(self, store: Store, scopes: Scopes) -> None:
        self._store = store
        self._scopes = scopes

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the response to one request; an error is one of RFC 6749, 5.2, or a 503."""
        try:
            return await self._answer(request)
        except OAuthError as error:
            return error.response()
        except StoreUnavailableError:  # the store has logged it
            sentence = storage_unavailable().message
            return OAuthError("temporarily_unavailable", sentence, 503).response()

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        form = form_of(request)
        if "authorization" in request.headers or "client_secret" in form:
            raise OAuthError(
                "invalid_client", "Apps have no client_secret: send only client_id.", 401
            )
        if form.get("grant_type") != "authorization_code":
            raise OAuthError("unsupported_grant_type", "grant_type must be authorization_code.")
        require(form, "client_id", "code", "code_verifier")
        exchanged = await self._exchange(form)
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
                    code,
                    app_id=int(app_id),
                    redirect_uri=form.get("redirect_uri"),
                    verifier=verifier,
                )
            )
        except ApiError:  # the user was disabled meanwhile
            return None


def endpoints(store: Store, scopes: Scopes, *, secure: bool) -> Mapping[str, Endpoint]:
    """Return the OAuth endpoints by path; `secure` if the gateway itself has TLS."""
    return {
        METADATA: Metadata(scopes, secure=secure),
        TOKEN: TokenEndpoint(store, scopes),
    }
