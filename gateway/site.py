"""The pages: files that the gateway serves from its own port, from memory, to any browser.

Rules: no inline code, no framing, no other host; a page does everything over the WebSocket.
"""

import hashlib
import importlib.resources

from gateway.http import HttpRequest, HttpResponse

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

SECURITY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Pages:
    """Answers HTTP requests with the files of `gateway/pages`."""

    def __init__(self) -> None:
        self._files: dict[str, HttpResponse] = {}
        for entry in (importlib.resources.files("gateway") / "pages").iterdir():
            suffix = entry.name.rpartition(".")[2]
            if suffix in _TYPES:
                body = entry.read_bytes()
                tag = hashlib.sha256(body).hexdigest()[:16]
                headers = {**SECURITY, "cache-control": "no-cache", "etag": f'"{tag}"'}
                path = "/" if entry.name == "index.html" else f"/{entry.name}"
                self._files[path] = HttpResponse(200, body, _TYPES[suffix], headers)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The response to one request."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(
                405, b"Pages are read with GET.\n", headers={**SECURITY, "allow": "GET, HEAD"}
            )
        found = self._files.get(request.path)
        if found is not None:
            if request.headers.get("if-none-match") == found.headers["etag"]:
                return HttpResponse(304, b"", found.content_type, found.headers)
            return found
        if request.path == "/websockets/v3":
            return HttpResponse(
                426,
                b"This address speaks WebSocket: connect with a WebSocket client.\n",
                headers={**SECURITY, "upgrade": "websocket", "connection": "upgrade"},
            )
        return HttpResponse(404, b"There is nothing here.\n", headers=SECURITY)
