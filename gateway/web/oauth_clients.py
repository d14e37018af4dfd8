"""Which app a request to an OAuth endpoint comes from (RFC 6749, 2.3).

Rules:
- An app with a secret sends it in the header (`client_secret_basic`) or in the form
  (`client_secret_post`), never both. An app without one only names itself.
- Wrong secrets are not counted: they cannot be guessed, and counting them would let anybody lock
  out an app.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from scopegate.gateway.access import app_secrets, apps
from scopegate.gateway.access.apps import App
from scopegate.gateway.access.consent import APP_ID
from scopegate.gateway.transport.http import HttpRequest
from scopegate.gateway.web.oauth_messages import OAuthError
from scopegate.store.transactions import Snapshot

METHODS = ["client_secret_basic", "client_secret_post"]
"""How an app can show its secret."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The app that a request names, and the secret that it shows."""

    client_id: str
    secret: str | None

    @property
    def app_id(self) -> int:
        """The id of the app; 0, which no app has, if the client id is none."""
        return int(self.client_id) if APP_ID.fullmatch(self.client_id) else 0

    def check(self, reader: Snapshot) -> None:
        """Raise `OAuthError` unless the request shows what the app needs: its secret, or none."""
        if app_secrets.fits(reader, self.app_id, self.secret):
            return
        if self.secret is None:
            raise _invalid_client("The app has a client_secret: send it.")
        if app_secrets.has_one(reader, self.app_id):
            raise _invalid_client("The client_secret is wrong.")
        raise _invalid_client("The app has no client_secret: send only client_id.")

    def known(self, reader: Snapshot) -> App:
        """Return the app. Raises like `check`, and if there is none, or it is disabled."""
        self.check(reader)
        app = apps.get(reader, self.app_id)
        if app is None:
            raise _invalid_client("There is no app with this client_id.")
        if app.disabled_at is not None:
            raise _invalid_client("The operator has disabled the app.")
        return app

    def confidential(self, reader: Snapshot) -> App:
        """Return the app. Raises like `known`, and if it shows no secret."""
        app = self.known(reader)
        if self.secret is None:
            raise _invalid_client("Only apps with a client_secret can use this endpoint.")
        return app


def credentials_of(request: HttpRequest, form: Mapping[str, str]) -> Credentials:
    """Return which app a request names. Raises `OAuthError` if it names none, or two."""
    header = request.headers.get("authorization")
    if header is None:
        if "client_id" not in form:
            raise OAuthError("invalid_request", "Missing parameters: client_id.")
        return Credentials(form["client_id"], form.get("client_secret"))
    if "client_secret" in form:
        raise OAuthError("invalid_request", "Send the client_secret once: in the header or here.")
    client_id, secret = _basic(header)
    if form.get("client_id", client_id) != client_id:
        raise OAuthError("invalid_request", "The client_id is not the one in the header.")
    return Credentials(client_id, secret)


def _basic(header: str) -> tuple[str, str]:
    """Return the client id and the secret of a header, both form-encoded within it."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            decoded = ""
        client_id, separator, secret = decoded.partition(":")
        if separator:
            return unquote_plus(client_id), unquote_plus(secret)
    raise _invalid_client(
        "The Authorization header must be Basic, with client_id and client_secret."
    )


def _invalid_client(sentence: str) -> OAuthError:
    challenge = 'Basic realm="scopegate", charset="UTF-8"'
    return OAuthError("invalid_client", sentence, 401, {"www-authenticate": challenge})
