"""Responses over plain HTTP: the pages, the descriptions of the calls, the OAuth endpoints.

Rules:
- No inline code, no framing, no other host, no cookie; a page does everything over the WebSocket.
- The JavaScript client (`client/scopegate-client.js`) is served for pages of any origin.
- `gateway/web/pages/layout.html` is the layout of every page; a page is `NAME.html` beside it,
  whose first line is its title in a comment. Other files there are served under `/assets/`.
- Everything is served from memory: files are read at start, descriptions made on first request.
- Requests are rate-limited for each address block. Those that a browser makes for these pages, or
  when its user opens one, are counted apart from those that pages of other origins cause.
"""

import functools
import gzip
import hashlib
import importlib.resources
import re
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

import orjson

from scopegate.gateway.access import consent
from scopegate.gateway.access.apps import App
from scopegate.gateway.access.restrictions import RestrictionKinds
from scopegate.gateway.calls.counting import RequestLimiter, block_of
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.hosts import is_public, name_of
from scopegate.gateway.calls.registry import Call, Registry
from scopegate.gateway.calls.scheduling import Workers
from scopegate.gateway.transport.http import SECURITY, HttpRequest, HttpResponse
from scopegate.gateway.web import description, metrics_page
from scopegate.gateway.web.metrics_page import MetricsPage
from scopegate.gateway.web.oauth_messages import Endpoint
from scopegate.gateway.web.oauth_metadata import AUTHORIZE as CONSENT

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
_HTML = "text/html; charset=utf-8"
_JSON = "application/json"

_HSTS = "max-age=31536000"
"""How long, in seconds, a browser must connect to this host over TLS only (RFC 6797): a year."""

OPERATOR = "/operator"
_PATHS = {"start": "/", "welcome": "/", "consent": CONSENT}
"""The paths of pages that are not served under their own name."""
_OF_EXCHANGE = frozenset({"start", "account"})
"""The pages that only a gateway with the paper exchange has."""
_INSTEAD = frozenset({"welcome"})
"""The pages that only a gateway without the paper exchange has."""
_PARTS_OF_EXCHANGE = re.compile(r"<!-- exchange -->(.*?)<!-- /exchange -->", re.DOTALL)
"""The parts of the layout that only a gateway with the exchange has."""

_FOR_PAGES = frozenset(["none", "same-origin"])
"""The values of `Sec-Fetch-Site` in requests that no page of another origin has caused."""

MAX_HOSTS = 8
"""Host names for which the encoded AsyncAPI document is cached."""

READY = "/readyz"
"""Where a load balancer asks whether this gateway can serve clients."""
ALIVE = "/healthz"
"""Where a supervisor asks whether this process still answers, whatever else is wrong."""
_SCHEMA = re.compile(r"/schemas/v3/([A-Za-z0-9_-]{1,50})/(send|receive)\.json")


class Site:
    """Answers HTTP requests."""

    def __init__(
        self,
        registry: Registry,
        endpoints: Mapping[str, Endpoint],
        *,
        app_of: Callable[[int], App | None],
        kinds: RestrictionKinds,
        secure: bool,
        workers: Workers,
        limiter: RequestLimiter,
        keeps_to_tls: bool = False,
        has_exchange: bool = True,
        has_operator: bool = False,
        fault: Callable[[], str | None] = lambda: None,
        metrics: MetricsPage | None = None,
    ) -> None:
        """`endpoints` are those of OAuth, by path.

        `fault` returns why clients should be sent to another gateway at present, if they should.

        `keeps_to_tls` sends `Strict-Transport-Security` in responses under a public host name.

        `has_exchange` includes the pages about the paper exchange, `has_operator` that of the
        operator.
        """
        self._registry = registry
        self._endpoints = endpoints
        self._app_of = app_of
        self._kinds = kinds
        self._secure = secure
        self._keeps_to_tls = keeps_to_tls
        self._pages = dict(_pages(has_exchange=has_exchange))
        if not has_operator:
            del self._pages[OPERATOR]
        self._schema = functools.cache(_schema)
        self._workers = workers
        self._limiter = limiter
        self._fault = fault
        self._metrics = metrics
        self._document: dict[str, Any] | None = None
        self._described: dict[str, _Encodings] = {}

    def __call__(self, request: HttpRequest) -> HttpResponse | Coroutine[Any, Any, HttpResponse]:
        """Return the response to one request, or a coroutine that returns it."""
        answer = self._answer(request)
        if not (self._keeps_to_tls and is_public(name_of(request.host))):
            return answer
        return _with_hsts(answer) if isinstance(answer, HttpResponse) else _with_hsts_later(answer)

    def _answer(self, request: HttpRequest) -> HttpResponse | Coroutine[Any, Any, HttpResponse]:
        if request.path == READY:  # not counted: balancers ask every second
            return self._ready()
        if request.path == ALIVE:
            return _plain(200, "alive")
        for_pages = request.headers.get("sec-fetch-site") in _FOR_PAGES
        broken = self._limiter.count(request.address, for_pages=for_pages)
        if broken is not None:
            return _too_many(broken)
        if (endpoint := self._endpoints.get(request.path)) is not None:
            return endpoint(request)
        if request.method not in ("GET", "HEAD"):
            return _refused(405, "Use GET or HEAD.", allow="GET, HEAD")
        if request.path == metrics_page.PATH and self._metrics is not None:
            return self._metrics(request)
        if request.path == "/asyncapi.json":
            described = self._described.get(request.host)
            return self._describe(request) if described is None else described.fitting(request)
        found = self._found(request)
        return _refused(404, "Page not found.") if found is None else _fresh(request, found)

    def _ready(self) -> HttpResponse:
        """Return 200 if clients can be served, and 503 with the reason if not."""
        fault = self._fault()
        return _plain(200, "ready") if fault is None else _plain(503, fault)

    async def _describe(self, request: HttpRequest) -> HttpResponse:
        client, host = block_of(request.address), request.host
        try:
            made = await self._workers.compute(client, request.path, self._encoded(host))
        except ApiError as full:
            return _too_many(str((full.details or {}).get("limit", "")))
        if len(self._described) >= MAX_HOSTS:
            del self._described[next(iter(self._described))]
        self._described[host] = made
        return made.fitting(request)

    def _encoded(self, host: str) -> Generator[None, None, "_Encodings"]:
        """Encode the AsyncAPI document for clients that reach the gateway by this host name."""
        document = self._document
        if document is None:  # simultaneous first requests each make it
            document = description.asyncapi(self._registry, version("scopegate"))
            self._document = document
            yield
        servers = description.servers(host, secure=self._secure)
        body = orjson.dumps(document | {"servers": servers})
        yield
        return _Encodings.of(_JSON, body)

    def _found(self, request: HttpRequest) -> HttpResponse | None:
        page = self._pages.get(request.path)
        if page is not None:
            return self._consent(request, page) if request.path == CONSENT else page
        if (named := _SCHEMA.fullmatch(request.path)) is not None:
            call = self._registry.get(named[1])
            return None if call is None else self._schema(call, named[2])
        if request.path.rstrip("/") == "/websockets/v3":
            return _refused(
                426,
                "This address speaks WebSocket: connect with a WebSocket client.",
                upgrade="websocket",
                connection="upgrade",
            )
        return None

    def _consent(self, request: HttpRequest, page: HttpResponse) -> HttpResponse:
        """Return the consent page, with status 400 if the authorization request is invalid."""
        try:
            consent.understand(request.query, self._app_of, self._registry.scopes, self._kinds)
        except ApiError:  # the page itself explains what is wrong
            headers = {name: value for name, value in page.headers.items() if name != "etag"}
            return HttpResponse(400, page.body, page.content_type, headers)
        return page


class _Encodings(NamedTuple):
    """A large response, plain and compressed with gzip."""

    plain: HttpResponse
    zipped: HttpResponse

    @classmethod
    def of(cls, kind: str, body: bytes) -> "_Encodings":
        """Encode a body in both ways."""
        plain = _cached(kind, body)
        headers = {**plain.headers, "vary": "accept-encoding"}
        of_zipped = {"content-encoding": "gzip", "etag": f'{headers["etag"][:-1]}-gzip"'}
        return cls(
            HttpResponse(200, body, kind, headers),
            HttpResponse(200, gzip.compress(body, mtime=0), kind, headers | of_zipped),
        )

    def fitting(self, request: HttpRequest) -> HttpResponse:
        """Return the response in an encoding that the client accepts; 304 if it has it already."""
        accepts = _accepts_gzip(request.headers.get("accept-encoding", ""))
        return _fresh(request, self.zipped if accepts else self.plain)


def _accepts_gzip(header: str) -> bool:
    """Whether `Accept-Encoding` allows gzip (RFC 9110, 12.5.3)."""
    weights: dict[str, float] = {}
    for part in header.lower().split(","):
        name, _, parameter = part.partition(";")
        weight = parameter.strip().removeprefix("q=")
        try:
            weights[name.strip()] = float(weight or 1)
        except ValueError:
            weights[name.strip()] = 0.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _schema(call: Call, direction: str) -> HttpResponse:
    make = description.send_schema if direction == "send" else description.receive_schema
    return _cached(_JSON, orjson.dumps(make(call), option=orjson.OPT_INDENT_2))


def _fresh(request: HttpRequest, found: HttpResponse) -> HttpResponse:
    """Return `found`, or 304 if the browser has it already."""
    known = request.headers.get("if-none-match", "").split(",")
    if found.headers.get("etag") in {tag.strip().removeprefix("W/") for tag in known}:
        return HttpResponse(304, b"", found.content_type, found.headers)
    return found


def _with_hsts(response: HttpResponse) -> HttpResponse:
    headers = {**response.headers, "strict-transport-security": _HSTS}
    return replace(response, headers=headers)


async def _with_hsts_later(answer: Coroutine[Any, Any, HttpResponse]) -> HttpResponse:
    return _with_hsts(await answer)


def _refused(status: int, sentence: str, **headers: str) -> HttpResponse:
    return HttpResponse(status, f"{sentence}\n".encode(), headers={**SECURITY, **headers})


def _plain(status: int, sentence: str) -> HttpResponse:
    headers = {**SECURITY, "cache-control": "no-store"}
    return HttpResponse(status, f"{sentence}\n".encode(), headers=headers)


def _too_many(limit: str) -> HttpResponse:
    sentence = f"Too many requests: the limit is {limit}. Wait a minute, then try again."
    return _refused(429, sentence, **{"retry-after": "60", "connection": "close"})


def _cached(kind: str, body: bytes) -> HttpResponse:
    """Return a response that a browser may cache, but must revalidate by its `ETag`."""
    tag = hashlib.sha256(body).hexdigest()[:16]
    headers = {**SECURITY, "cache-control": "no-cache", "etag": f'"{tag}"'}
    return HttpResponse(200, body, kind, headers)


def _pages(*, has_exchange: bool) -> Iterator[tuple[str, HttpResponse]]:
    """Yield the path and the response of every page and asset."""
    left_out = _INSTEAD if has_exchange else _OF_EXCHANGE
    folder = importlib.resources.files("scopegate.gateway.web") / "pages"
    yield from _assets(folder, "/assets/")
    yield from _client_files()
    layout = (folder / "layout.html").read_text()
    layout = _PARTS_OF_EXCHANGE.sub(r"\1" if has_exchange else "", layout)
    for entry in folder.iterdir():
        name, _, suffix = entry.name.rpartition(".")
        if suffix == "html" and name != "layout" and name not in left_out:
            whole = _composed(layout, name, entry.read_text())
            yield _PATHS.get(name, f"/{name}"), _cached(_HTML, whole)


def _client_files() -> Iterator[tuple[str, HttpResponse]]:
    """Yield the path and the response of the JavaScript client, which pages of any origin may load.

    It is found by its folder: importing the package would load the client for Python.
    """
    folder = importlib.resources.files("scopegate") / "client"
    for name, kind in (("scopegate-client.js", "js"), ("scopegate-client.d.ts", "txt")):
        response = _cached(_TYPES[kind], (folder / name).read_bytes())
        headers = {**response.headers, "access-control-allow-origin": "*"}
        yield f"/{name}", replace(response, headers=headers)


def _assets(folder: Traversable, prefix: str) -> Iterator[tuple[str, HttpResponse]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _assets(entry, f"{prefix}{entry.name}/")
        elif (kind := _TYPES.get(entry.name.rpartition(".")[2])) is not None:
            yield prefix + entry.name, _cached(kind, entry.read_bytes())


def _composed(layout: str, name: str, text: str) -> bytes:
    """Return a whole page: the layout with this page's title, content and script."""
    first, _, main = text.partition("\n")
    title = first.removeprefix("<!--").removesuffix("-->").strip()
    whole = layout.replace("{{title}}", title).replace("{{name}}", name)
    return whole.replace("{{main}}", main.rstrip()).encode()
