"""Device authorization (RFC 8628): how programs without a browser ask for consent.

Rule: the user decides at the page `/device`, and the program learns the decision, and gets its
tokens, at the token endpoint (`gateway.web.oauth`).
"""

from urllib.parse import urlencode

from scopegate.gateway.access import apps, consent, devices
from scopegate.gateway.access.guard import Access
from scopegate.gateway.transport.http import HttpRequest, HttpResponse
from scopegate.gateway.web.oauth_clients import Credentials, credentials_of
from scopegate.gateway.web.oauth_messages import OAuthError, answer, answering, form_of
from scopegate.gateway.web.oauth_metadata import DEVICE, issuer_of
from scopegate.schemas.scopes import Scopes
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot, Transaction


class DeviceAuthorization:
    """`POST /oauth2/device_authorization`: a code for a program, and one for its user."""

    def __init__(self, store: Store, access: Access, scopes: Scopes, *, secure: bool) -> None:
        self._store = store
        self._access = access
        self._scopes = scopes
        self._secure = secure

    @answering
    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the response to one request, with both codes."""
        form = form_of(request)
        credentials = credentials_of(request, form)
        scope = form.get("scope", "")

        def check(reader: Snapshot) -> tuple[apps.App, frozenset[str]]:
            return self._asked(reader, credentials, scope)

        def create(transaction: Transaction) -> tuple[str, str]:
            app, scopes = check(transaction)
            return devices.create(transaction, app, scopes, request.address)

        await self._store.read(check)
        try:
            device_code, user_code = await self._access.write_for_app(credentials.app_id, create)
        except devices.TooManyRequestsError as limit:
            raise OAuthError(
                "temporarily_unavailable",
                f"Too many requests wait for their users: the limit is {limit}. Try again in a few"
                " minutes.",
                429,
                {"retry-after": "60"},
            ) from None
        page = issuer_of(request, secure=self._secure) + DEVICE
        return answer(
            200,
            {
                "device_code": device_code,
                "user_code": user_code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?{urlencode({'user_code': user_code})}",
                "expires_in": int(devices.LIFETIME),
                "interval": int(devices.POLL_SECONDS),
            },
        )

    def _asked(
        self, reader: Snapshot, credentials: Credentials, scope: str
    ) -> tuple[apps.App, frozenset[str]]:
        """Return the app and the scopes of a request. Raises `OAuthError` if it is refused."""
        app = credentials.known(reader)
        if not app.device_flow:
            raise OAuthError(
                "unauthorized_client",
                f"{app.name} does not use the device flow. Its owner can switch it on.",
            )
        scopes = consent.requested_scopes(app, {"scope": scope}, self._scopes, OAuthError)
        if not scopes:
            raise OAuthError("invalid_scope", f"{app.name} is not registered for any scope.")
        return app, scopes
