"""What pages do that a user should never have to see, noted for the test that opened them.

Noted are requests to other hosts, warnings and errors on the console, errors that nobody caught,
violations of the content security policy, and crashes. A test takes out what it provokes.
"""

import re
from urllib.parse import urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    WebError,
    WebSocket,
)

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_WITHOUT_HOST = ("about", "blob", "data", "file")

_VIOLATION = "content security policy: "
_TELL_VIOLATIONS = f"""
document.addEventListener("securitypolicyviolation", (event) => {{
  console.error("{_VIOLATION}" + event.effectiveDirective + " " + event.blockedURI);
}});
"""


class Watch:
    """Notes what goes wrong in the pages of one test."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def follow(self, context: BrowserContext) -> None:
        """Note what happens in this context, from now on."""
        context.add_init_script(_TELL_VIOLATIONS)
        context.on("page", self._page)
        context.on("request", self._request)
        context.on("console", self._console)
        context.on("weberror", self._error)

    def take(self, pattern: str) -> list[str]:
        """Take out what this regular expression is found in; there must be some."""
        taken = [line for line in self.found if re.search(pattern, line)]
        assert taken, f"nothing like {pattern!r} in {self.found}"
        self.found = [line for line in self.found if line not in taken]
        return taken

    def _page(self, page: Page) -> None:
        page.on("websocket", self._socket)
        page.on("crash", self._crash)

    def _request(self, request: Request) -> None:
        self._reached(request.url)

    def _socket(self, socket: WebSocket) -> None:
        self._reached(socket.url)

    def _reached(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _WITHOUT_HOST and parts.hostname not in _LOOPBACK:
            self.found.append(f"request to another host: {url}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.text.startswith(_VIOLATION):
            self.found.append(message.text)
        elif message.type in ("warning", "error"):
            place = message.location
            self.found.append(
                f"console {message.type}: {message.text} ({place['url']}:{place['lineNumber']})"
            )

    def _error(self, error: WebError) -> None:
        self.found.append(f"error not caught: {error.error}")

    def _crash(self, page: Page) -> None:
        self.found.append(f"crash: {page.url}")
