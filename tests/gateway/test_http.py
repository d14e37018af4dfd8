"""HTTP beside the WebSocket: what waits, what is bounded, and what no rebound name gets."""

import asyncio
import gzip
import re
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from importlib.resources import files
from typing import Any

import pytest
import structlog

from scopegate import testing
from scopegate.gateway.calls.hosts import Hosts, is_own_page, is_public, name_of, refusal
from scopegate.gateway.calls.scheduling import Work
from scopegate.gateway.transport import http as http_module
from scopegate.gateway.transport import server as server_module
from scopegate.gateway.transport.http import (
    SECURITY,
    HttpConversation,
    HttpPeer,
    HttpRequest,
    HttpResponse,
)
from scopegate.gateway.transport.server import MAX_LOGGED_HOSTS
from scopegate.testing import World
from tests.gateway.test_server import HEAD, Raw, listening, raw, text

PAGES = files("scopegate.gateway.web") / "pages"
GET = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Conversation:
    """A conversation whose site answers when the test lets it."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False
        self.asked: list[str] = []
        self.answers: list[asyncio.Future[HttpResponse]] = []
        self.reading = True
        peer = HttpPeer(
            address_for=lambda _: "127.0.0.1",
            refuses=lambda _: None,
            write=self.write,
            close=self.close,
            pause=lambda: self.read(now=False),
            resume=lambda: self.read(now=True),
            run=self.run,
            batched=lambda work: work(),
        )
        self.core = HttpConversation(self.site, peer)

    def run(self, work: Work) -> None:
        work.serve(time.perf_counter() + 1)

    def read(self, *, now: bool) -> None:
        assert self.reading is not now
        self.reading = now

    def site(self, request: HttpRequest) -> Any:
        self.asked.append(request.path)
        future: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()
        self.answers.append(future)

        async def answer() -> HttpResponse:
            return await future

        return answer()

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    async def answer(self, body: bytes | Exception) -> None:
        future = self.answers.pop(0)
        if isinstance(body, Exception):
            future.set_exception(body)
        else:
            future.set_result(HttpResponse(200, body))
        answering = self.core._answering
        assert answering is not None
        await asyncio.wait([answering])


async def test_one_request_is_answered_after_the_other() -> None:
    talk = Conversation()
    talk.core.receive(GET % b"a" + GET % b"b")
    assert talk.asked == ["/a"]
    await talk.answer(b"first")
    assert talk.asked == ["/a", "/b"]
    await talk.answer(b"second")
    assert talk.written.index(b"first") < talk.written.index(b"second")
    assert not talk.closed


async def test_nothing_is_read_while_an_answer_is_under_way() -> None:
    talk = Conversation()
    talk.core.receive(GET % b"a")
    assert not talk.reading
    talk.core.receive(GET % b"b")  # had been read already
    await talk.answer(b"first")
    assert not talk.reading
    await talk.answer(b"second")
    assert talk.reading
    assert talk.written.count(b"HTTP/1.1 200") == 2


async def test_who_is_hung_up_on_is_heard_hanging_up() -> None:
    talk = Conversation()
    talk.core.receive((GET % b"a").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert not talk.reading
    await talk.answer(b"last")
    assert talk.closed
    assert talk.reading


async def test_many_requests_in_one_go_let_others_have_a_turn(world: World) -> None:
    """A client that asks for a thousand pages at once is not answered before the others."""
    async with listening(world) as (_, port), raw(port) as other, raw(port, b"") as many:
        many.writer.write((GET % b"nothing") * 5_000)
        await many.head()  # the first turn is over
        other.writer.write(text({"ping": 1}))
        await other.message()
        reading = many.reader._buffer.count(b"HTTP/1.1 404")
        assert reading < 4_000, "all were answered before the other client's one"


async def test_nobody_is_answered_who_has_left() -> None:
    talk = Conversation()
    talk.core.receive(GET % b"a")
    talk.core.leave()
    await asyncio.gather(talk.core._answering, return_exceptions=True)
    assert talk.written == b""


async def test_a_page_that_fails_tells_the_log_and_not_the_client() -> None:
    talk = Conversation()
    talk.core.receive(GET % b"a")
    with structlog.testing.capture_logs() as logged:
        await talk.answer(RuntimeError("sesame"))
    assert talk.written.startswith(b"HTTP/1.1 500 ")
    assert b"sesame" not in talk.written
    assert [entry["event"] for entry in logged] == ["a page failed"]


# Ambiguous requests, slow requests, many requests.


@pytest.mark.parametrize("upgrades", [False, True])
@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"X-Long: a\r\n b\r\n",
        b"X-Long: a\r\n\tTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
    ],
)
async def test_an_ambiguous_request_is_refused_and_ends_the_connection(
    world: World, headers: bytes, upgrades: bool
) -> None:
    opening = HEAD if upgrades else b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\n\r\n"
    sent = opening.replace(b"\r\n\r\n", b"\r\n" + headers + b"\r\n") + b"0\r\n\r\n" + GET % b"x"
    async with listening(world) as (_, port), raw(port, b"") as client:
        client.writer.write(sent)
        assert (await client.head()).startswith(b"HTTP/1.1 400 ")
        async with asyncio.timeout(10):
            assert b"HTTP/1.1" not in await client.reader.read()


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("method", [b"HEAD", b"POST"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", b"400"),
        (b"Content-Length: 70000\r\n\r\n" + b"x" * 70_000, b"413"),
        (b"X: a\r\n b\r\n\r\n", b"400"),
    ],
)
async def test_a_refusal_of_any_method_ends_the_connection(
    method: bytes, headers: bytes, status: bytes, before: int
) -> None:
    """Also where its response has no body, as to HEAD, or one to HEAD came before."""
    talk = Conversation()
    for _ in range(before):
        talk.core.receive((GET % b"").replace(b"GET", b"HEAD"))
        await talk.answer(b"answer")
    talk.core.receive(method + b" / HTTP/1.1\r\nHost: localhost\r\n" + headers)
    assert talk.closed
    _, _, refusal = talk.written.rpartition(b"HTTP/1.1 ")
    assert refusal.startswith(status)


@pytest.mark.parametrize("size", [1_000, 1, 7])
async def test_a_folded_header_is_noticed_in_every_cut_and_in_every_request(size: int) -> None:
    talk = Conversation()
    body = b"a\n b\r\n\r\n\tc"  # which may have whatever it likes
    post = b"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    folded = (GET % b"c").replace(b"\r\n\r\n", b"\r\nX: a\r\n b\r\n\r\n")
    sent = post + body + GET % b"b" + folded
    for start in range(0, len(sent), size):
        talk.core.receive(sent[start : start + size])
        if talk.answers:
            await talk.answer(b"answer")
    while talk.answers:
        await talk.answer(b"answer")
    assert talk.asked == ["/a", "/b"]
    assert talk.written.count(b"HTTP/1.1 400") == 1
    assert talk.closed


class Seconds:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = time.monotonic()  # where connections have theirs

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic


async def test_a_request_that_comes_slowly_has_no_more_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte of a body used to give it another ten seconds."""
    seconds = Seconds()
    monkeypatch.setattr(server_module, "time", seconds)
    monkeypatch.setattr(http_module, "time", seconds)
    post = b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"

    async with listening(world) as (server, port), raw(port, b"") as client:

        async def pass_on(data: bytes, by: float) -> None:
            client.writer.write(data)
            await raw_turn(port)
            seconds.now += by
            for peer in list(server.peers):
                peer.check(seconds.now)

        # A connection that is kept has its time anew with each request.
        await pass_on(b"", 8.0)
        await pass_on(GET % b"assets/none", 0.0)
        assert (await client.head()).startswith(b"HTTP/1.1 404 ")
        await client.reader.readuntil(b"\n")
        await pass_on(b"", 8.0)
        for _ in range(3):
            await pass_on(post or b"a", 4.0)
            post = b""
        async with asyncio.timeout(10):
            assert await client.reader.read() == b""


async def raw_turn(port: int) -> None:
    """Have the gateway answer another connection, after what others have sent before."""
    async with raw(port, b"") as other:
        other.writer.write(GET % b"other")
        await other.head()


async def test_the_description_is_compressed_and_sent_once(world: World) -> None:
    async with listening(world) as (_, port), raw(port, b"") as client:

        async def ask(**headers: bytes) -> tuple[dict[str, str], bytes]:
            more = b"".join(
                b"%b: %b\r\n" % (name.replace("_", "-").encode(), value)
                for name, value in headers.items()
            )
            client.writer.write((GET % b"asyncapi.json")[:-2] + more + b"\r\n")
            status, *lines = (await client.head()).decode().strip().split("\r\n")
            told = dict(line.lower().split(": ", 1) for line in lines)
            body = await client.reader.readexactly(int(told.get("content-length", 0)))
            return {"status": status.split()[1], **told}, body

        plain, whole = await ask()
        assert plain["vary"] == "accept-encoding"
        zipped, small = await ask(accept_encoding=b"br, gzip")
        assert zipped["content-encoding"] == "gzip"
        assert gzip.decompress(small) == whole
        assert len(small) < len(whole) / 5
        assert zipped["etag"] != plain["etag"]
        for refused in (b"gzip;q=0, *", b"identity", b"br", b"*;q=0"):
            assert "content-encoding" not in (await ask(accept_encoding=refused))[0]
        for tag in (zipped["etag"], f'"x", W/{zipped["etag"]}'):
            headers, _ = await ask(accept_encoding=b"gzip", if_none_match=tag.encode())
            assert headers["status"] == "304"
            assert "content-length" not in headers
        assert (await ask(if_none_match=zipped["etag"].encode()))[0]["status"] == "200"


async def test_an_address_block_asks_for_so_many_pages_a_minute() -> None:
    async with testing.world(http_per_minute=3) as world, listening(world) as (_, port):
        for _ in range(3):
            await raw_turn(port)
        async with raw(port, b"") as client:
            client.writer.write(GET % b"")
            head = await client.head()
            assert head.startswith(b"HTTP/1.1 429 ")
            assert b"retry-after: 60" in head
            async with asyncio.timeout(10):
                assert b"3 requests a minute" in await client.reader.read()
        async with raw(port) as socket:  # which counts for itself
            socket.writer.write(text({"ping": 1}))
            assert (await socket.message())["ping"] == "pong"


async def test_no_other_page_uses_up_the_requests_for_the_gateways_own() -> None:
    """A page elsewhere has the owner's browser ask, again and again."""

    async def answered(port: int, site: bytes) -> bytes:
        async with raw(port, b"") as client:
            client.writer.write((GET % b"")[:-2] + b"Sec-Fetch-Site: %b\r\n\r\n" % site)
            return (await client.head()).split()[1]

    async with testing.world(http_per_minute=3) as world, listening(world) as (_, port):
        for site in (b"cross-site", b"same-site", b"cross-site"):
            assert await answered(port, site) == b"200"
        for site in (b"cross-site", b"same-site", b"anything"):
            assert await answered(port, site) == b"429"
        for site in (b"none", b"same-origin", b"same-origin"):
            assert await answered(port, site) == b"200"
        assert await answered(port, b"same-origin") == b"429"


async def test_silent_sockets_make_room_for_others(world: World) -> None:
    """The oldest without a WebSocket goes, before the process has no files left."""
    async with listening(world, max_sockets=4) as (server, port), AsyncExitStack() as stack:

        async def connected(opening: bytes = b"") -> Raw:
            return await stack.enter_async_context(raw(port, opening))

        speaking = await connected(HEAD)
        silent = [await connected(), await connected()]
        await raw_turn(port)  # all have arrived
        *_, another = [await connected(HEAD) for _ in range(3)]
        async with asyncio.timeout(10):
            for client in silent:
                assert await client.reader.read() == b""
        for client in (speaking, another):
            client.writer.write(text({"ping": 1}))
            assert (await client.message())["ping"] == "pong"
        # If all sockets have a WebSocket, the new one is cut.
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await connected(HEAD)
        assert len(server.peers) == 4


# Names.


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:5555", True),
        ("localhost.:5555", True),
        ("app.localhost", True),
        ("127.0.0.1:5555", True),
        ("127.8.9.1", True),
        ("[::1]:5555", True),
        ("trade.example.com", True),
        ("TRADE.example.com:443", True),
        ("192.0.2.1:5555", True),  # the address that the connection came to
        ("192.0.2.2:5555", False),
        ("evil.test", False),
        ("127.0.0.1.evil.test", False),
        ("localhost.evil.test", False),
        ("trade.example.com.evil.test", False),
        ("eviltrade.example.com", False),
        ("notlocalhost", False),
        ("localhost:x", False),
        ("localhost@evil.test", False),
        ("localhost, evil.test", False),
        ("2130706433", False),
        ("0x7f.1", False),
        ("", False),
    ],
)
def test_a_host_is_answered_that_nobody_can_rebind(host: str, allowed: bool) -> None:
    hosts = Hosts(["trade.example.com", "0.0.0.0"])  # noqa: S104 - a name, not bound
    assert hosts.allows(host, "192.0.2.1") is allowed


def test_a_refusal_says_what_to_do_and_repeats_no_rubbish() -> None:
    assert "--allowed-host trade.example.com" in refusal("trade.example.com:443")
    assert "<" not in refusal("<script>")
    assert name_of("<script>") == ""


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://127.0.0.1:5555", "127.0.0.1:5555", True),
        ("https://trade.example.com", "trade.example.com", True),
        ("http://127.0.0.1:5556", "127.0.0.1:5555", False),
        ("http://localhost:5555", "127.0.0.1:5555", False),
        ("null", "127.0.0.1:5555", False),
        ("", "127.0.0.1:5555", False),
        ("http://", "", False),
        ("http://evil.test", "127.0.0.1:5555", False),
        ("ftp://127.0.0.1:5555", "127.0.0.1:5555", False),
    ],
)
def test_a_page_is_the_gateways_own_where_its_origin_is_the_host(
    origin: str, host: str, own: bool
) -> None:
    assert is_own_page(origin, host) is own


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("trade.example.com", True),
        ("example.org", True),
        ("trade.internal", False),
        ("trade.home.arpa", False),
        ("gate.local", False),
        ("a.localhost", False),
        ("gate", False),
        ("", False),
        ("203.0.113.9", False),
        ("2001:db8::1", False),
        ("a..com", False),
    ],
)
def test_a_public_name_is_one_that_anybody_can_look_up(name: str, public: bool) -> None:
    assert is_public(name) is public


REBOUND = b"Host: evil.test:5555"
"""What a browser says when a page's name was rebound to this machine."""


async def test_a_rebound_name_gets_no_page_and_no_socket(world: World) -> None:
    openings: list[Callable[[], bytes]] = [
        lambda: HEAD,
        lambda: GET % b"",
        lambda: GET % b"oauth2/authorize?app_id=1089",
        lambda: GET % b"asyncapi.json",
        lambda: b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    ]
    async with listening(world) as (_, port):
        for opening in openings:
            async with raw(port, b"") as client:
                client.writer.write(opening().replace(b"Host: localhost", REBOUND))
                head = await client.head()
                assert head.startswith(b"HTTP/1.1 421 ")


async def test_a_refused_host_is_logged_once_with_what_would_allow_it(world: World) -> None:
    asked = ["evil.test", "EVIL.test:80", "other.test", "<script>", *("evil.test",) * 3]
    with structlog.testing.capture_logs() as logged:
        async with listening(world) as (_, port):
            for host in asked:
                for opening in (HEAD, GET % b""):
                    async with raw(port, b"") as client:
                        name = b"Host: " + host.encode()
                        client.writer.write(opening.replace(b"Host: localhost", name))
                        assert (await client.head()).startswith(b"HTTP/1.1 421 ")
    assert [(line["host"], line["allow_it_with"]) for line in logged] == [
        ("evil.test", "--allowed-host evil.test"),
        ("other.test", "--allowed-host other.test"),
    ]


async def test_no_more_than_some_refused_hosts_are_logged(world: World) -> None:
    with structlog.testing.capture_logs() as logged:
        async with listening(world) as (server, _):
            for number in range(500):
                server.refused(f"{number}.evil.test")
            server.refused("x" * 300 + ".test")
    assert len(logged) == MAX_LOGGED_HOSTS + 1
    assert logged[-1]["event"] == "further refused names in Host are not logged"


@pytest.mark.parametrize(
    ("opening", "status"),
    [
        (HEAD.replace(b"Host: localhost", REBOUND), b"421"),
        ((GET % b"").replace(b"Host: localhost", REBOUND), b"421"),
        (HEAD.replace(b"/websockets/v3", b"/elsewhere"), b"404"),
        (HEAD.replace(b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 12"), b"400"),
        (b"not HTTP at all\r\n\r\n", b"400"),
        (
            b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n"
            + b"x" * 70_000,
            b"413",
        ),
    ],
)
async def test_every_refusal_carries_the_policy_of_the_pages(
    world: World, opening: bytes, status: bytes
) -> None:
    async with listening(world) as (_, port), raw(port, b"") as client:
        client.writer.write(opening)
        head = (await client.head()).lower()
    assert head.split()[1] == status
    for name, value in SECURITY.items():
        assert f"{name}: {value.lower()}".encode() in head


async def test_two_hosts_are_no_host(world: World) -> None:
    async with listening(world) as (_, port):
        for opening in (HEAD, GET % b""):
            async with raw(port, b"") as client:
                two = b"Host: localhost\r\nHost: evil.test"
                client.writer.write(opening.replace(b"Host: localhost", two))
                assert (await client.head()).split()[1] in (b"400", b"421")


async def test_a_foreign_origin_may_connect_and_is_not_at_the_pages(world: World) -> None:
    async with listening(world) as (_, port):
        for origin, error in ((b"http://evil.test", "PermissionDenied"), (b"http://localhost", "")):
            opening = HEAD.replace(b"Upgrade: ", b"Origin: " + origin + b"\r\nUpgrade: ", 1)
            async with raw(port, opening) as client:
                client.writer.write(text({"page_info": 1}))
                reply = await client.message()
                assert reply.get("error", {}).get("code", "") == error


@pytest.mark.parametrize("path", [b"", b"oauth2/authorize?app_id=1089", b"assets/start.js"])
async def test_every_page_carries_a_strict_policy(world: World, path: bytes) -> None:
    async with listening(world) as (_, port), raw(port, b"") as client:
        client.writer.write(GET % path)
        head = (await client.head()).decode().lower()
    for line in (
        "x-frame-options: deny",
        "referrer-policy: no-referrer",
        "x-content-type-options: nosniff",
        "cross-origin-opener-policy: same-origin",
    ):
        assert line in head
    policy = head.split("content-security-policy: ")[1].split("\r\n")[0]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "set-cookie" not in head


async def test_no_path_leads_out_of_the_pages(world: World) -> None:
    async with listening(world) as (_, port):
        for path in (
            b"assets/../site.py",
            b"assets/%2e%2e/site.py",
            b"assets/..%2fsite.py",
            b"assets//etc/passwd",
            b"../../pyproject.toml",
            b"assets/vendor/../../../oauth.py",
            b"assets/layout.html",
            b"assets/dom.js%00.css",
        ):
            async with raw(port, b"") as client:
                client.writer.write(GET % path)
                assert (await client.head()).split()[1] == b"404", path


def test_no_script_of_a_page_makes_markup_or_code_of_text() -> None:
    """Names of apps, users and tokens, and what others send, are shown as text alone."""
    makes = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|srcdoc|setHTML"
        r"|document\.write|\beval\(|new Function|DOMParser|javascript:|setTimeout\([\"'`]"
    )
    assert makes.search("element.innerHTML = text")
    scripts = [path for path in PAGES.iterdir() if path.name.endswith(".js")]
    assert len(scripts) > 10
    for script in scripts:
        assert not makes.search(script.read_text()), script.name


async def test_the_consent_page_says_by_its_status_whether_it_can_ask(world: World) -> None:
    app = await world.app("read")
    async with listening(world) as (_, port):
        for query, status in (
            (b"app_id=%d" % app.id, b"200"),
            (b"app_id=7777", b"400"),
            (b"app_id=1089", b"400"),  # it has nowhere to return to
            (b"", b"400"),
            (b"app_id=%d&redirect_uri=https://evil.test" % app.id, b"400"),
        ):
            async with raw(port, b"") as client:
                client.writer.write(GET % (b"oauth2/authorize?" + query))
                head = await client.head()
                assert head.split()[1] == status
                assert b"text/html" in head


async def test_a_target_may_name_the_host(world: World) -> None:
    async with listening(world) as (_, port):
        for target, status in (
            (b"http://localhost/", b"200"),
            (b"http://localhost", b"200"),
            (b"http://evil.test/", b"421"),
            (b"ftp://localhost/", b"404"),
        ):
            async with raw(port, b"") as client:
                client.writer.write(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % target)
                assert (await client.head()).split()[1] == status


async def test_what_a_browser_has_already_is_not_sent_again(world: World) -> None:
    async with listening(world) as (_, port), raw(port, b"") as client:
        client.writer.write(GET % b"")
        head = await client.head()
        tag = head.split(b"etag: ")[1].split(b"\r\n")[0]
        await client.reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        asking = (GET % b"%b").replace(b"\r\n\r\n", b"\r\nIf-None-Match: %b\r\n\r\n")
        client.writer.write(asking % (b"", tag))
        head = await client.head()
        assert head.split()[1] == b"304"
        assert b"content-length" not in head
        client.writer.write(asking % (b"websockets/v3", b""))
        assert (await client.head()).split()[1] == b"426"


async def test_the_calls_are_described(world: World) -> None:
    async with listening(world) as (_, port):
        for path, status in (
            (b"asyncapi.json", b"200"),
            (b"schemas/v3/buy/send.json", b"200"),
            (b"schemas/v3/buy/receive.json", b"200"),
            (b"schemas/v3/buy/other.json", b"404"),
            (b"schemas/v3/no_such_call/send.json", b"404"),
            (b"schemas/v3/../../x/send.json", b"404"),
        ):
            async with raw(port, b"") as client:
                client.writer.write(GET % path)
                head = await client.head()
                assert head.split()[1] == status
                assert status != b"200" or b"content-type: application/json" in head
        async with raw(port, b"") as client:
            client.writer.write((GET % b"asyncapi.json").replace(b"GET", b"HEAD") + GET % b"x")
            assert (await client.head()).split()[1] == b"200"
            assert (await client.head()).split()[1] == b"404"  # no body came between
