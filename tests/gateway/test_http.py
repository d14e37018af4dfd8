"""HTTP beside the WebSocket: what waits, what is bounded, and what no rebound name gets."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from gateway.hosts import Hosts, is_own_page, is_public, name_of, refusal
from gateway.http import SECURITY, HttpConversation, HttpPeer, HttpRequest, HttpResponse
from gateway.testing import World
from tests.gateway.test_server import HEAD, listening, raw, text

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
        )
        self.core = HttpConversation(self.site, peer)

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


async def test_many_requests_in_one_go_let_others_have_a_turn(here: World) -> None:
    """Whoever asks for a thousand pages at once is not answered before anybody else is."""
    async with listening(here) as (_, port), raw(port) as other, raw(port, b"") as many:
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


async def test_a_rebound_name_gets_no_page_and_no_socket(here: World) -> None:
    openings: list[Callable[[], bytes]] = [
        lambda: HEAD,
        lambda: GET % b"",
        lambda: GET % b"oauth2/authorize?app_id=1089",
        lambda: GET % b"asyncapi.json",
        lambda: b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    ]
    async with listening(here) as (_, port):
        for opening in openings:
            async with raw(port, b"") as client:
                client.writer.write(opening().replace(b"Host: localhost", REBOUND))
                head = await client.head()
                assert head.startswith(b"HTTP/1.1 421 ")


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
    here: World, opening: bytes, status: bytes
) -> None:
    async with listening(here) as (_, port), raw(port, b"") as client:
        client.writer.write(opening)
        head = (await client.head()).lower()
    assert head.split()[1] == status
    for name, value in SECURITY.items():
        assert f"{name}: {value.lower()}".encode() in head


async def test_two_hosts_are_no_host(here: World) -> None:
    async with listening(here) as (_, port):
        for opening in (HEAD, GET % b""):
            async with raw(port, b"") as client:
                two = b"Host: localhost\r\nHost: evil.test"
                client.writer.write(opening.replace(b"Host: localhost", two))
                assert (await client.head()).split()[1] in (b"400", b"421")


async def test_a_foreign_origin_may_connect_and_is_not_at_the_pages(here: World) -> None:
    async with listening(here) as (_, port):
        for origin, error in ((b"http://evil.test", "PermissionDenied"), (b"http://localhost", "")):
            opening = HEAD.replace(b"Upgrade: ", b"Origin: " + origin + b"\r\nUpgrade: ", 1)
            async with raw(port, opening) as client:
                client.writer.write(text({"page_info": 1}))
                reply = await client.message()
                assert reply.get("error", {}).get("code", "") == error


@pytest.mark.parametrize("path", [b"", b"oauth2/authorize?app_id=1089", b"assets/start.js"])
async def test_every_page_carries_a_strict_policy(here: World, path: bytes) -> None:
    async with listening(here) as (_, port), raw(port, b"") as client:
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


async def test_the_consent_page_says_by_its_status_whether_it_can_ask(here: World) -> None:
    app = await here.app("read")
    async with listening(here) as (_, port):
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


async def test_a_target_may_name_the_host(here: World) -> None:
    async with listening(here) as (_, port):
        for target, status in (
            (b"http://localhost/", b"200"),
            (b"http://localhost", b"200"),
            (b"http://evil.test/", b"421"),
            (b"ftp://localhost/", b"404"),
        ):
            async with raw(port, b"") as client:
                client.writer.write(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % target)
                assert (await client.head()).split()[1] == status


async def test_what_a_browser_has_already_is_not_sent_again(here: World) -> None:
    async with listening(here) as (_, port), raw(port, b"") as client:
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


async def test_the_calls_are_described(here: World) -> None:
    async with listening(here) as (_, port):
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
