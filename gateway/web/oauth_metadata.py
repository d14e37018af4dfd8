"""The metadata of the gateway as an OAuth authorization server (RFC 8414).

Rule: the issuer is the origin at which the client reaches the gateway, as `iss` in redirects is the
one at which the browser does. The gateway answers only to names that are its own
(`gateway.calls.hosts`), so nobody chooses the issuer. A proxy that terminates TLS says so with
`X-Forwarded-Proto`.
"""

from typing import Any

from scopegate.gateway.transport.http import HttpRequest, HttpResponse
from scopegate.gateway.web.oauth_clients import METHODS
from scopegate.gateway.web.oauth_messages import OAuthError, answer
from scopegate.schemas.scopes import Scopes

METADATA = "/.well-known/oauth-authorization-server"
AUTHORIZE = "/oauth2/authorize"
TOKEN = "/oauth2/token"  # noqa: S105 - a path
INTROSPECT = "/oauth2/introspect"
REVOKE = "/oauth2/revoke"
DEVICE_AUTHORIZATION = "/oauth2/device_authorization"
DEVICE = "/device"
"""The page at which users enter the codes of devices."""
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def issuer_of(request: HttpRequest, *, secure: bool) -> str:
    """Return the origin at which a request has reached the gateway; `secure` if it has TLS."""
    secure = secure or request.headers.get("x-forwarded-proto") == "https"
    scheme, port = ("https", ":443") if secure else ("http", ":80")
    return f"{scheme}://{request.host.lower().removesuffix(port)}"


class Metadata:
    """`GET /.well-known/oauth-authorization-server`: what clients discover."""

    def __init__(self, scopes: Scopes, *, secure: bool) -> None:
        self._scopes = scopes
        self._secure = secure

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the metadata for the name by which the client reaches the gateway."""
        if request.method not in ("GET", "HEAD"):
            allowed = {"allow": "GET, HEAD"}
            return OAuthError("invalid_request", "Use GET or HEAD.", 405, allowed).response()
        return answer(200, self._document(issuer_of(request, secure=self._secure)))

    def _document(self, issuer: str) -> dict[str, Any]:
        return {
            "issuer": issuer,
            "authorization_endpoint": issuer + AUTHORIZE,
            "token_endpoint": issuer + TOKEN,
            "scopes_supported": list(self._scopes),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", DEVICE_GRANT],
            "token_endpoint_auth_methods_supported": ["none", *METHODS],
            "introspection_endpoint": issuer + INTROSPECT,
            "introspection_endpoint_auth_methods_supported": METHODS,
            "device_authorization_endpoint": issuer + DEVICE_AUTHORIZATION,
            "revocation_endpoint": issuer + REVOKE,
            "revocation_endpoint_auth_methods_supported": METHODS,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
