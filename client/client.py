"""The client: one connection that comes back, with its calls and streams.

Rules:
- Each call has exactly one result. What only reads is repeated after a lost connection. What
  changes something has an idempotency key from the start, and is repeated with it where the gateway
  accepts one. Everything else fails with `ConnectionLost` if it was sent.
- A request that is not answered although a later one is, as the gateway answers in order, has lost
  its reply: the client connects again, and repeats it by the rules above.
- A proposal ends with its connection. If it is bought later, the same contract is bought by its
  parameters, for at most the `price` of the purchase. Like each proposal it can be bought once.
- A call that changes something is sent once all streams that were asked for are open, so they show
  what it does.
- What the gateway refuses for good (`AccessError`) ends the client; everything else is tried again,
  less and less often.
- The token is sent in `authorize`, and is in no log, error or address.
"""

import asyncio
import contextlib
import itertools
import logging
import uuid
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Self
from urllib.parse import parse_qs, urlsplit, urlunsplit

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException

from scopegate.client.backoff import Backoff
from scopegate.client.calls import KEYED, READS, Calls
from scopegate.client.errors import (
    AccessError,
    CallError,
    CallTimeout,
    ClientError,
    ClosedError,
    ConnectionLost,
    error_of,
)
from scopegate.client.streams import Message, Stream, Subscription

TIMEOUT = 30.0
"""Seconds that a call may take, with all its repetitions."""
MAX_REQUEST = 64 * 1024
"""Bytes that a message to the gateway may have."""
MAX_REPLY = 64 * 2**20
"""Bytes that a message of the gateway may have."""
STABLE = 5.0
"""Seconds after which a connection that is lost counts as one that had worked."""
PING_EVERY = 10.0
"""Seconds between two pings; a peer that does not answer within as long is gone."""
SIGN_IN_WITHIN = 10.0
"""Seconds that a sign-in may take before the connection is left."""
REPLY_WITHIN = 5.0
"""Seconds after which a later request shows whether a reply is lost. A handler has less."""
MAX_QUOTED = 100
"""Proposals whose requests are remembered."""
AGAIN = 0.5
"""Seconds after which a call is repeated that the gateway could not finish in time."""
YIELD_EVERY = 50
"""Messages that are taken in a row before readers of streams have a turn."""

_POLICY = 1008
_ENDED = 4403
_FLOODED = 4429
_TOO_MANY = 429
_WAITS = {_FLOODED: 60.0, _TOO_MANY: 5.0}
"""Seconds to wait at least after a close code, or a status of the handshake."""
_OUR_FAULT = frozenset({1002, 1003, 1007, 1009})
"""Close codes for messages that would have the same end if they were repeated."""
_LATER = frozenset(
    {"RateLimit", "ServiceRestart", "StorageUnavailable", "Timeout", "InternalServerError"}
)
"""Errors of a sign-in after which it is tried again."""
_FINAL = frozenset({"InvalidAppID", "SessionEnded"})
"""Errors with which the gateway ends a connection for good."""
_SIGNED_OUT = "AuthorizationRequired"
"""The error of a call if the token has ended: calls have `InvalidToken` for other tokens too."""
_HAS_ENDED = "The token has ended: it was revoked, or has expired."
_UNKNOWN_PROPOSAL = frozenset({"InvalidContractProposal", "IdempotencyKeyReused"})
"""Errors of a purchase whose proposal belongs to another connection. It may have been bought by
parameters under the same key before: the gateway does not notice that it is the same contract."""
_ENDS_STREAMS = frozenset({_SIGNED_OUT, "InvalidToken"})
"""Errors of a stream whose token has ended."""

_BACKOFF = Backoff()
log = logging.getLogger("scopegate.client")


class _LostError(Exception):
    """The end of a connection that is followed by another one, after `wait` seconds at least."""

    def __init__(self, reason: str, wait: float = 0.0, *, ours: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait
        self.ours = ours


class _Quoted(NamedTuple):
    """The request of a proposal, and the number of its connection."""

    request: Message
    connection: int
    key: str = ""
    """The idempotency key under which it was bought, or may have been; empty if it was not."""


class _Call:
    """A call that has no result yet."""

    __slots__ = (
        *("is_sent", "key", "may_repeat", "message", "name", "proposal", "reply", "text"),
        "was_sent",
    )

    def __init__(self, name: str, message: Message, *, may_repeat: bool, key: str) -> None:
        self.name = name
        self.message = message
        self.text = _text(message)
        self.may_repeat = may_repeat
        self.key = key
        self.proposal: object = message.get("buy")
        """The proposal that it buys, if it buys one."""
        self.is_sent = False
        """Whether it was sent on the present connection."""
        self.was_sent = False
        self.reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    @property
    def is_refused(self) -> bool:
        """Whether the gateway has answered it with an error."""
        reply = self.reply
        done = reply.done() and not reply.cancelled()
        return done and isinstance(reply.exception(), CallError)

    @property
    def may_have_happened(self) -> bool:
        """Whether it may have changed something."""
        return self.was_sent and self.name not in READS

    def fail(self, problem: ClientError) -> None:
        """Fail it, with what is known about whether it has happened."""
        if self.reply.done():
            return
        if self.may_have_happened and not isinstance(problem, ConnectionLost):
            lost = ConnectionLost(
                self.name, str(problem), may_have_happened=True, idempotency_key=self.key
            )
            lost.__cause__ = problem
            problem = lost
        self.reply.set_exception(problem)


class Client(Calls):
    """A client of a gateway, which lasts as long as its `async with` block.

        async with Client("ws://127.0.0.1:5555/websockets/v3", token) as client:
            bought = await client.buy(price=10, parameters={...})
            async for entry in client.transactions():
                ...

    It connects and signs in when the block begins. When the connection is lost, it connects again,
    signs in, and goes on with its streams and with the calls that were under way.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        app_id: int = 1089,
        timeout: float = TIMEOUT,
        backoff: Backoff = _BACKOFF,
        **options: Any,
    ) -> None:
        """`timeout` is how many seconds a call may take, with all its repetitions.

        `url` is the address of the gateway, `token` an API token of yours or of an app; without one
        the client can make the calls that need none. `app_id` is not used if `url` has one.
        `options` are passed to `websockets.asyncio.client.connect`, such as `ssl`. Raises
        `ValueError` for an address that is none of a WebSocket.
        """
        self._address = _with_app_id(url, app_id)
        self._token = token
        self._timeout = timeout
        self._backoff = backoff
        self._options = options
        self._ids = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._streams: dict[int, Subscription] = {}
        self._outbox: deque[tuple[_Call | None, bytes]] = deque()
        self._has_mail = asyncio.Event()
        self._probe: tuple[int, set[int]] = (0, set())
        """The id of the latest probe, and of the requests that had no reply before it."""
        self._quoted: dict[object, _Quoted] = {}
        """The requests of the latest proposals, by the ids of these."""
        self._is_open = False
        self._end: ClientError | None = ClosedError("The client is not open: use `async with`.")
        self._running: asyncio.Task[None] | None = None
        self._first: asyncio.Future[None] | None = None
        self._reason = "no connection yet"
        self.account: Mapping[str, Any] = {}
        """The reply to the latest sign-in: the account, its scopes and its balance then."""
        self.connections = 0
        """How many connections were opened and signed in; more than 1 if some were lost."""

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at this moment that is signed in."""
        return self._is_open

    async def __aenter__(self) -> Self:
        """Connect and sign in.

        Raises `AccessError` if the gateway refuses, `ConnectionLost` if it cannot be reached.
        """
        if self._running is not None:
            raise ClosedError("A client can be opened once: make another one.")
        loop = asyncio.get_running_loop()
        self._end = None
        self._first = loop.create_future()
        self._running = loop.create_task(self._keep_connected())
        try:
            async with asyncio.timeout(self._timeout):
                await self._first
        except TimeoutError:
            await self.close()
            reason = f"no connection within {self._timeout:g} s: {self._reason}"
            raise ConnectionLost("connect", reason, may_have_happened=False) from None
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection for good. Streams end, and calls under way fail."""
        self._finish(ClosedError("The client is closed."))
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    # Calls.

    async def call(
        self,
        request: Mapping[str, Any],
        *,
        timeout: float | None = None,
        repeat: bool | None = None,
    ) -> dict[str, Any]:
        """Make any call, such as one of a plugin, and return its whole reply.

        The first key of `request` is the name of the call. `repeat` is whether it may be sent again
        after a lost connection, because it changes nothing or has an `idempotency_key` in its
        `passthrough` which it takes; by default that is known of the gateway's own calls. Raises
        `CallError`.
        """
        name = _name_of(request)
        message = {field: value for field, value in request.items() if field != "req_id"}
        if name == "ticks":
            message.setdefault("subscribe", 0)
        if message.get("subscribe"):
            raise ValueError("Use `subscribe` for streams.")
        key = ""
        passthrough = dict(message.get("passthrough") or {})
        if name in KEYED:
            key = passthrough.setdefault("idempotency_key", str(uuid.uuid4()))
            message["passthrough"] = passthrough
        if repeat is None:
            repeat = name in READS or name in KEYED
        limit = self._timeout if timeout is None else timeout
        req_id = next(self._ids)
        made = _Call(name, {"req_id": req_id, **message}, may_repeat=repeat, key=key)
        try:
            async with asyncio.timeout(limit):
                if name not in READS:
                    await self._streams_open()
                self._raise_if_ended()
                self._calls[req_id] = made
                if self._is_open:
                    self._post(made.text, made)
                return await made.reply
        except TimeoutError:
            raise CallTimeout(
                name,
                f"no reply within {limit:g} s" + ("" if self._is_open else f": {self._reason}"),
                may_have_happened=made.may_have_happened,
                idempotency_key=key,
            ) from None
        finally:
            self._calls.pop(req_id, None)
            self._note_purchase(made)

    async def _body(
        self,
        name: str,
        arguments: Mapping[str, Any],
        timeout: float | None,
        key: str | None = None,
    ) -> Any:
        """Make a call of `Calls`; return the object or list that its reply has."""
        return _body(await self._made(name, arguments, timeout, key))

    async def _fields(
        self,
        name: str,
        arguments: Mapping[str, Any],
        timeout: float | None,
        key: str | None = None,
    ) -> Any:
        """Make a call of `Calls` whose reply has several fields; return them."""
        return _fields(await self._made(name, arguments, timeout, key))

    async def _made(
        self, name: str, arguments: Mapping[str, Any], timeout: float | None, key: str | None
    ) -> Message:
        message = _message(name, arguments)
        if key is not None:
            message["passthrough"] = {"idempotency_key": key}
        return await self.call(message, timeout=timeout)

    async def _streams_open(self) -> None:
        """Wait until every stream that was asked for is open, or has failed."""
        for stream in list(self._streams.values()):
            await stream.opened.wait()

    # Streams.

    def subscribe(
        self, request: Mapping[str, Any], *, after: int | None = None
    ) -> Stream[dict[str, Any]]:
        """Open any stream, such as one of a plugin, and yield each message as a whole.

        The first key of `request` is the name of the call. With `after`, a stream that has
        positions begins after this one.
        """
        return Stream(self._subscribed(dict(request), after), _whole)

    def _stream(
        self,
        name: str,
        arguments: Mapping[str, Any],
        after: int | None = None,
        *,
        whole: bool = False,
    ) -> Stream[Any]:
        """Open a stream of `Calls`, which yields an object, or with `whole` all fields."""
        made = self._subscribed(_message(name, arguments), after)
        return Stream(made, _fields if whole else _body)

    def _subscribed(self, request: Message, after: int | None) -> Subscription:
        name = _name_of(request)
        request.pop("req_id", None)
        if name == "buy":
            raise ValueError("Use `buy`, and follow the contract with `open_contracts`.")
        if isinstance(request.get("ticks"), list):
            raise ValueError("Open a stream for each symbol: each has positions of its own.")
        self._raise_if_ended()
        request["subscribe"] = 1
        made = Subscription(
            name, request, after=after, resume=self._open_stream, forget=self._forget
        )
        earlier = next(
            (
                each
                for each in self._streams.values()
                if each.is_closed and each.is_opening and each.request == request
            ),
            None,
        )
        _text(made.message())  # raises here if it is too long
        if earlier is None:
            self._open_stream(made)
        else:  # it is forgotten once it has an id
            earlier.next.append(made)
        return made

    def _open_stream(self, stream: Subscription) -> None:
        """Subscribe, at once or with the next connection."""
        if self._end is not None:
            stream.end(self._end_of_streams)
            return
        self._streams.pop(stream.req_id, None)
        stream.req_id = next(self._ids)
        self._streams[stream.req_id] = stream
        if self._is_open:
            stream.is_opening = True
            self._post(_text(stream.message()))

    def _forget(self, stream: Subscription) -> None:
        """End a subscription at the gateway, now or once it has an id."""
        if stream.is_opening:
            return
        self._streams.pop(stream.req_id, None)
        if stream.id is not None and self._is_open:
            self._post(_text({"req_id": next(self._ids), "forget": stream.id}))
        stream.id = None
        for each in stream.next:
            self._open_stream(each)
        stream.next.clear()

    # The connection.

    async def _keep_connected(self) -> None:
        """Connect, and connect again, until that is refused for good."""
        try:
            await self._connect_again_and_again()
        except AccessError as refused:
            self._finish(refused)
        except asyncio.CancelledError:
            self._finish(ClosedError("The client is closed."))
            raise
        except Exception as problem:  # noqa: BLE001 - all calls and streams raise it
            failed = ClientError(f"The client has failed: {_sentence(problem)}.")
            failed.__cause__ = problem
            self._finish(failed)

    async def _connect_again_and_again(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            begun = loop.time()
            problem = await self._until_lost()
            worked = self._is_open and loop.time() - begun >= STABLE
            self._disconnected(problem)
            wait = max(problem.wait, self._backoff.wait(0 if worked else failures))
            failures = 0 if worked else failures + 1
            log.info("%s; connecting again in %.1f s", problem.reason, wait)
            await asyncio.sleep(wait)

    async def _until_lost(self) -> _LostError:
        """Use a connection until it ends, and return why. Raises `AccessError`."""
        try:
            await self._connect_once()
        except _LostError as lost:
            return lost
        except (OSError, TimeoutError, WebSocketException) as failed:
            return _LostError(_sentence(failed))

    async def _connect_once(self) -> NoReturn:
        """Open a connection, and use it until it ends.

        Raises `AccessError` if no other one is to be tried, else what has gone wrong.
        """
        try:
            socket = await connect(
                self._address,
                **{
                    "compression": None,
                    "max_size": MAX_REPLY,
                    "ping_interval": PING_EVERY,
                    "ping_timeout": PING_EVERY,
                    "close_timeout": 1,
                    **self._options,
                },
            )
        except InvalidStatus as refused:
            raise _refused(refused) from None
        except (InvalidURI, InvalidHandshake) as refused:
            raise _LostError(_sentence(refused)) from None
        tasks: list[asyncio.Task[None]] = []
        try:
            if self._token is not None:
                self.account = await self._sign_in(socket, self._token)
            self._connected()
            tasks = [asyncio.create_task(each) for each in (self._write(socket), self._watch())]
            count = 0
            while True:
                self._received(orjson.loads(await socket.recv(decode=False)))
                count += 1
                if count % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
        except WebSocketException:
            raise _ended(socket) from None
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            await socket.close()

    async def _sign_in(self, socket: ClientConnection, token: str) -> Mapping[str, Any]:
        req_id = next(self._ids)
        await socket.send(orjson.dumps({"req_id": req_id, "authorize": token}), text=True)
        within = min(self._timeout, SIGN_IN_WITHIN)
        try:
            async with asyncio.timeout(within):
                reply = orjson.loads(await socket.recv(decode=False))
        except TimeoutError:
            raise _LostError(f"The sign-in was not answered within {within:g} s") from None
        if "error" not in reply:
            account: Mapping[str, Any] = reply["authorize"]
            return account
        error = error_of(reply, AccessError)
        if error.code in _LATER:
            wait = _WAITS[_TOO_MANY] if error.code == "RateLimit" else 0.0
            raise _LostError(f"The sign-in has failed, {error}", wait)
        raise error

    def _connected(self) -> None:
        self._is_open = True
        self.connections += 1
        self._outbox.clear()
        for made in self._calls.values():
            self._post(made.text, made)
        for stream in list(self._streams.values()):
            self._open_stream(stream)
        if self._first is not None and not self._first.done():
            self._first.set_result(None)

    def _disconnected(self, lost: _LostError) -> None:
        """Fail what cannot be repeated, and keep everything else for the next connection."""
        self._is_open = False
        self._reason = lost.reason
        self._outbox.clear()
        for made in self._calls.values():
            if made.is_sent and (lost.ours or not made.may_repeat):
                made.fail(
                    ConnectionLost(
                        made.name,
                        lost.reason,
                        may_have_happened=made.may_have_happened,
                        idempotency_key=made.key,
                    )
                )
            made.is_sent = False
        for stream in list(self._streams.values()):
            stream.lost()
            if stream.is_closed:
                self._forget(stream)

    def _finish(self, end: ClientError) -> None:
        """End everything, with this error."""
        if self._end is None:
            self._end = end
        self._is_open = False
        for made in self._calls.values():
            made.fail(self._end)
        for stream in self._streams.values():
            for each in (stream, *stream.next):
                each.end(self._end_of_streams)
        self._streams.clear()
        if self._first is not None and not self._first.done():
            self._first.set_exception(self._end)

    @property
    def _end_of_streams(self) -> ClientError | None:
        """The error with which streams end; `None` if the client was closed."""
        return None if isinstance(self._end, ClosedError) else self._end

    def _raise_if_ended(self) -> None:
        if self._end is not None:
            raise self._end.with_traceback(None)  # else it grows each time

    def _post(self, text: bytes, made: _Call | None = None) -> None:
        """Put a message into the outbox of the present connection."""
        self._outbox.append((made, text))
        self._has_mail.set()

    async def _write(self, socket: ClientConnection) -> None:
        """Send what is in the outbox, until the connection ends."""
        with contextlib.suppress(WebSocketException):  # the reader has the reason
            while True:
                while self._outbox:
                    made, text = self._outbox.popleft()
                    if made is not None:
                        if made.reply.done():
                            continue
                        made.is_sent = made.was_sent = True
                    await socket.send(text, text=True)
                self._has_mail.clear()
                await self._has_mail.wait()

    async def _watch(self) -> None:
        """Ask for a later reply where one does not come, until the connection ends."""
        while True:
            before = self._unanswered()
            await asyncio.sleep(REPLY_WITHIN)
            late = before & self._unanswered()
            if late:
                self._probe = (next(self._ids), late)
                self._post(_text({"req_id": self._probe[0], "ping": 1}))

    def _unanswered(self) -> set[int]:
        """Return the ids of the requests of this connection that have no reply."""
        calls = self._calls.items()
        return {req_id for req_id, made in calls if made.is_sent and not made.reply.done()} | {
            req_id for req_id, stream in self._streams.items() if stream.is_opening
        }

    def _received(self, message: Message) -> None:
        """Give a message to what it belongs to. Raises `AccessError` if it says so."""
        req_id = message.get("req_id", 0)
        probe, late = self._probe
        if req_id == probe and late & self._unanswered():
            raise _LostError("The gateway has answered a later request, and not this one")
        late.discard(req_id)  # it may be sent again, with the same id
        if (made := self._calls.get(req_id)) is not None:
            self._answered(made, message)
        elif (stream := self._streams.get(req_id)) is not None:
            self._streamed(stream, message)

    def _answered(self, made: _Call, message: Message) -> None:
        if made.reply.done():
            return
        if "error" not in message:
            made.reply.set_result(message)
            if made.name == "proposal":
                self._remember_quote(made.message, message)
            if made.proposal is not None:
                self._bought(made.proposal)
            return
        error = error_of(message)
        if error.code in _UNKNOWN_PROPOSAL and self._buy_by_parameters(made):
            return
        if error.code in _FINAL or (error.code == _SIGNED_OUT and self._token is not None):
            made.is_sent = made.was_sent = False  # it was refused
            raise _access_error(error)
        if error.code == "ServiceRestart" and made.may_repeat:
            return  # the connection ends next
        if error.code == "Timeout" and made.key:  # it may still happen
            made.is_sent = False
            asyncio.get_running_loop().call_later(AGAIN, self._repeat, made)
            return
        made.reply.set_exception(error)

    def _repeat(self, made: _Call) -> None:
        if self._is_open and not made.reply.done():
            self._post(made.text, made)

    def _remember_quote(self, request: Message, reply: Message) -> None:
        """Remember what was asked for with the proposal of a reply."""
        number = reply["proposal"].get("id")
        before = self._quoted.pop(number, None)
        key = "" if before is None else before.key
        self._quoted[number] = _Quoted(request, self.connections, key)
        if len(self._quoted) > MAX_QUOTED:
            del self._quoted[next(iter(self._quoted))]

    def _note_purchase(self, made: _Call) -> None:
        """Note that a proposal was bought, or may have been."""
        quoted = self._quoted.get(made.proposal)
        if quoted is not None and made.was_sent and not made.is_refused:
            self._quoted[made.proposal] = quoted._replace(key=quoted.key or made.key)

    def _buy_by_parameters(self, made: _Call) -> bool:
        """Buy what a proposal of an earlier connection was about; return whether it can be.

        A proposal is bought once, so another purchase of it is one only under the same key.
        """
        quoted = self._quoted.get(made.proposal)
        if made.name != "buy" or quoted is None or quoted.connection == self.connections:
            return False
        keys = {quoted.key or made.key, made.key} | {
            each.key
            for each in self._calls.values()
            if each.proposal == made.proposal and "parameters" in each.message
        }
        if "parameters" in made.message or len(keys) > 1:
            return False
        asked = quoted.request.items()
        parameters = {
            field: value for field, value in asked if field not in {*_ANYWHERE, "proposal"}
        }
        made.message = {**made.message, "buy": 1, "parameters": parameters}
        made.text = _text(made.message)
        self._post(made.text, made)
        return True

    def _streamed(self, stream: Subscription, message: Message) -> None:
        if "error" in message:
            error = error_of(message)
            if error.code in _FINAL or (error.code in _ENDS_STREAMS and self._token is not None):
                raise _access_error(error)
        elif stream.name == "proposal":
            self._remember_quote(stream.request, message)
        was_opening = stream.is_opening
        failed = stream.received(message)
        if failed is not None:
            wait = _WAITS[_TOO_MANY] if failed.code == "RateLimit" else AGAIN
            asyncio.get_running_loop().call_later(wait, self._subscribe_again, stream)
        elif stream.is_closed and not stream.is_opening:
            if was_opening:
                self._forget(stream)  # it was closed before it had an id
            else:
                self._streams.pop(stream.req_id, None)

    def _subscribe_again(self, stream: Subscription) -> None:
        """Subscribe again, unless that has been done since."""
        if not stream.is_closed and not stream.is_opening and stream.id is None and self._is_open:
            self._open_stream(stream)

    def _bought(self, proposal: object) -> None:
        """End the stream of a proposal that was bought: the gateway has."""
        for stream in list(self._streams.values()):
            if stream.id == proposal:
                stream.end(None)
                del self._streams[stream.req_id]


def _with_app_id(url: str, app_id: int) -> str:
    """Return the address with the app id in its query."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError("The address of a gateway begins with ws:// or wss://, then its host.")
    if "app_id" in parse_qs(parts.query):
        return url
    query = f"{parts.query}&app_id={app_id}" if parts.query else f"app_id={app_id}"
    return urlunsplit(parts._replace(path=parts.path or "/", query=query))


def _name_of(request: Mapping[str, Any]) -> str:
    """Return the name of a call: the first key of its request. Raises `ValueError`."""
    name = next((field for field in request if field not in _ANYWHERE), None)
    if name is None:
        raise ValueError("A request begins with the name of its call.")
    if name in ("authorize", "logout"):
        raise ValueError("A client signs in by itself: make one for each token.")
    return name


def _message(name: str, arguments: Mapping[str, Any]) -> Message:
    """Return the request of a call with those arguments that were given."""
    message: Message = {name: 1}
    for field, value in arguments.items():
        if value is not None:
            message[field] = int(value) if isinstance(value, bool) else value
    return message


_ANYWHERE = frozenset({"loginid", "passthrough", "req_id", "subscribe"})
"""The fields that any request may have."""
_ENVELOPE = frozenset(
    {"echo_req", "req_id", "passthrough", "msg_type", "subscription", "position", "gap"}
)


def _text(message: Message) -> bytes:
    """Return a message as it is sent. Raises `ValueError` if it is too long."""
    text = orjson.dumps(message, default=_encoded)
    if len(text) > MAX_REQUEST:
        raise ValueError(f"The message has {len(text)} bytes; {MAX_REQUEST} are allowed.")
    return text


def _body(message: Message) -> Any:
    """Return the object or list that a message is about."""
    return message[message["msg_type"]]


def _fields(message: Message) -> Message:
    """Return the fields of a message that others do not have."""
    return {name: value for name, value in message.items() if name not in _ENVELOPE}


def _whole(message: Message) -> Message:
    return message


def _encoded(value: object) -> str:
    """Encode a `Decimal` as the text that the gateway takes for a number."""
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} is nothing that a message can have.")


def _access_error(refused: CallError) -> AccessError:
    """Return the end of a client that was signed in."""
    message = _HAS_ENDED if refused.code == _SIGNED_OUT else refused.message
    return AccessError(refused.code, message, refused.details, refused.subcode)


def _sentence(problem: BaseException) -> str:
    return f"{type(problem).__name__}: {problem}".rstrip(": ")


def _refused(refused: InvalidStatus) -> Exception:
    """Return what follows from a status with which the gateway refuses a connection."""
    status = refused.response.status_code
    body = (refused.response.body or b"")[:300].decode(errors="replace").strip()
    if status == _TOO_MANY or status >= 500:
        later = refused.response.headers.get("Retry-After", "")
        wait = float(later) if later.isdigit() else _WAITS.get(status, 0.0)
        return _LostError(f"The gateway answers {status}, {body}", wait)
    return AccessError(str(status), f"The gateway does not accept this connection: {body}")


def _ended(socket: ClientConnection) -> Exception:
    """Return what follows from the end of a connection."""
    code, reason = socket.close_code or 1006, socket.close_reason or "no reason was given"
    if code == _POLICY:
        return AccessError("InvalidAppID", f"The gateway has closed the connection: {reason}.")
    if code == _ENDED:
        return AccessError("SessionEnded", f"The gateway has ended the connection: {reason}.")
    return _LostError(
        f"The connection was lost ({code}, {reason})",
        _WAITS.get(code, 0.0),
        ours=code in _OUR_FAULT,
    )
