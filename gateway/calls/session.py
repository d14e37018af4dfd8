"""The state of one connection: its app, its grants, its streams.

Rules:
- A session does no I/O; it is given a `send` that takes one encoded message.
- `close` undoes everything that lasts as long as the connection.
- An account's stream ends with the grant under which it was opened.
- Messages count for the first grant, calls and streams for the grant that they act under, and all
  of them for the address block before sign-in. Streams that continue after the grants under which
  they were opened have ended count for the address block.
"""

import asyncio
import secrets
import time
import uuid
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any, Final, Protocol

import orjson

from scopegate.gateway.calls.counting import Holder, block_of
from scopegate.gateway.calls.errors import (
    ApiError,
    Disconnect,
    authorization_required,
    invalid_token,
    rate_limit,
)
from scopegate.gateway.calls.hosts import is_own_page
from scopegate.gateway.calls.idempotency import KeyedRequest


@dataclass(frozen=True, slots=True, eq=False)
class Grant:
    """What one token allows on one account. Grants are compared by identity."""

    token_id: int
    user_id: int
    loginid: str
    scopes: frozenset[str]
    """The scopes of the token that the gateway declares."""
    app_id: int | None
    """The app of the token's authorization; `None` for a token that the owner created."""
    is_owner: bool = False
    """Whether the owner signed in at the gateway's own pages; false for every API token."""
    expires_at: float | None = None
    """When the token expires, in epoch seconds of real time; `None` if it does not."""
    bucket: str = ""
    """The bucket in which messages and calls of this grant are counted: that of its app's
    authorization, of its root token, or of its sign-in at the pages."""
    link_id: int | None = None
    """The authorization that the token belongs to; `None` for a token that the owner created."""
    loginids: frozenset[str] | None = None
    """The accounts of that authorization; `None` if the grant reaches all accounts of the user."""
    accounts: frozenset[str] | None = None
    """The accounts that the token is restricted to; `None` if it is not."""
    rates: tuple[tuple[int, int], ...] = ()
    """The restrictions that limit its calls: their ids, each with the calls in a minute."""
    restrictions: tuple[int, ...] = ()
    """The ids of all restrictions that it is under."""
    account: object = None
    """What a plugin stores about the account (`Accounts.facts`); `None` if none does."""
    uses: dict[str, int] = field(default_factory=dict)
    """How often each call was made under it since `UseRecords` last collected its uses."""

    @property
    def holders(self) -> tuple[Holder, ...]:
        """The holders that connections and streams of this grant count for.

        One app cannot use up its user's limit, and nothing else uses up the limit of the owner at
        the pages.
        """
        if self.is_owner:
            return (Holder(f"owner {self.user_id}", "user"),)
        user = Holder(f"user {self.user_id}", "user")
        return (user,) if self.app_id is None else (user, Holder(self.bucket, "app", share=2))

    def reaches(self, loginid: str) -> bool:
        """Whether the grant covers this account of the user."""
        return (self.loginids is None or loginid in self.loginids) and (
            self.accounts is None or loginid in self.accounts
        )


def unsigned_holder(address: str, origin: str, host: str) -> Holder:
    """Return the holder that a connection counts for before sign-in: the address block.

    The gateway's own pages count separately, so that an owner can sign in whatever else the
    address sends.
    """
    block = block_of(address)
    return Holder(f"pages {block}" if is_own_page(origin, host) else block, "address")


def new_stream_id() -> str:
    """Generate an id for a stream, or for a proposal that may become one."""
    return str(uuid.uuid4())


class Shape(Enum):
    """The form of each event of a stream."""

    NAMED = "an object with the id of the stream as its id"
    OBJECT = "an object"
    LIST = "a list"


MAX_HELD_EVENTS = 256
"""Events that a stream holds back while it sends what was missed."""
NO_FIELDS: Final = b"}"
"""How the `tail` of an event without fields begins: with the end of the event."""


class Subscription:
    """One stream of a session, from its first reply until it is forgotten."""

    __slots__ = (
        "_close",
        "_forget",
        "_held",
        "_msg_type",
        "_prefix",
        "_recount",
        "_send",
        "_since",
        "alive",
        "grant",
        "head_size",
        "holders",
        "id",
        "implied",
        "key",
        "kind",
        "shape",
    )

    def __init__(
        self,
        *,
        kind: str,
        key: Hashable,
        grant: Grant | None,
        head: bytes,
        msg_type: str,
        shape: Shape,
        since: int,
        send: Callable[[bytes], None],
        forget: Callable[[str], object],
        stream_id: str | None = None,
        holders: tuple[Holder, ...] = (),
        implied: bool = False,
        holds: bool = False,
    ) -> None:
        """With `holds`, events are held back until `release`."""
        self.id = stream_id or new_stream_id()
        self.holders = holders
        """The holders that the stream counts for."""
        self.kind = kind
        self.key = key
        self.grant = grant
        self.implied = implied
        """Whether the client did not ask for it explicitly; a request that does takes it over."""
        self.alive = True
        self._since = since
        self._send = send
        self.head_size = len(head)
        """Bytes of the request that each message repeats."""
        self._msg_type = msg_type
        self._forget = forget
        self._held: list[tuple[bytes, int, bool, bool]] | None = [] if holds else None
        """What is held back: tail, position, whether it concludes, and whether it ends; `None` if
        nothing is."""
        self._close: Callable[[], None] | None = None
        self._recount: Callable[[tuple[Holder, ...]], str | None] | None = None
        # The part that is the same in all messages of this stream is encoded once, here.
        self.shape = shape
        opening = b"[" if shape is Shape.LIST else b"{"
        if shape is Shape.NAMED:
            opening = b'{"id":"%b",' % self.id.encode()
        self._prefix = b'%b,"subscription":{"id":"%b"},"msg_type":"%b","%b":%b' % (
            head,
            self.id.encode(),
            msg_type.encode(),
            msg_type.encode(),
            opening,
        )

    @property
    def size(self) -> int:
        """Bytes that the stream holds, and repeats in each message."""
        return len(self._prefix)

    @property
    def _head(self) -> bytes:
        return self._prefix[: self.head_size]

    def opened(
        self, close: Callable[[], None], recount: Callable[[tuple[Holder, ...]], str | None]
    ) -> None:
        """Set the functions that unsubscribe this stream, and that count it for other holders.

        `recount` returns the limit that they would exceed, in words, and counts nothing then.
        """
        self._close = close
        self._recount = recount

    def count_for(self, holders: tuple[Holder, ...]) -> str | None:
        """Count it for these holders from now on, or return the limit that they would exceed."""
        broken = None if self._recount is None else self._recount(holders)
        if broken is None:
            self.holders = holders
        return broken

    def take_over(self, head: bytes, since: int) -> None:
        """Continue as the stream of a request that asks for it explicitly.

        `head` is the repeated part of that request, `since` the position of its first reply.
        """
        self.implied = False
        self._prefix = head + self._prefix[self.head_size :]
        self.head_size = len(head)
        self._since = max(self._since, since)

    @property
    def lists(self) -> bool:
        """Whether its events are lists."""
        return self.shape is Shape.LIST

    def reaches(self, loginid: str) -> bool:
        """Whether the grant under which the stream was opened reaches this account."""
        return self.grant is None or self.grant.reaches(loginid)

    def acts_for(self, loginid: str) -> bool:
        """Whether the stream was opened under a grant for this account."""
        return self.grant is not None and self.grant.loginid == loginid

    def deliver(self, tail: bytes, position: int) -> None:
        """Send one event, unless the first reply or an earlier event covers its position."""
        if self._held is not None:
            self._hold(tail, position, concludes=False, ends=False)
        elif self.alive and position > self._since:
            self._since = position
            if self.shape is Shape.NAMED and tail[:1] == NO_FIELDS:  # no comma after the id
                self._send(self._prefix[:-1] + tail)
            else:
                self._send(self._prefix + tail)

    def conclude(self, tail: bytes, position: int, *, ends: bool) -> None:
        """Send the last event about one object: such a message names no subscription.

        With `ends` the stream ends too.
        """
        if self._held is not None:
            self._hold(tail, position, concludes=True, ends=ends)
        elif self.alive and position > self._since:
            self._since = position
            name = self._msg_type.encode()
            bracket = b"[" if self.lists else b"{"
            self._send(b'%b,"msg_type":"%b","%b":%b%b' % (self._head, name, name, bracket, tail))
            if ends:
                self._forget(self.id)

    def send_through(self, send: Callable[[bytes], None]) -> None:
        """Send events through this function from now on."""
        self._send = send

    def _hold(self, tail: bytes, position: int, *, concludes: bool, ends: bool) -> None:
        assert self._held is not None  # noqa: S101 - as its callers have seen
        if len(self._held) <= MAX_HELD_EVENTS:  # with one more, all of them are dropped
            self._held.append((tail, position, concludes, ends))

    def send_missed(self, event: bytes, position: int) -> None:
        """Send an event that the client has missed, with its position."""
        if self.alive:
            self._send(b'%b%b,"position":%d}' % (self._prefix, event[1:], position))

    def release(self, after: int) -> bool:
        """Send what was held back after this position on the bus, and hold nothing back any more.

        Returns false if something could not be held, which must be read then: the stream goes on
        holding back what is published from now on.
        """
        held, self._held = self._held or [], None
        if len(held) > MAX_HELD_EVENTS:
            self._held = []
            return False
        self._since = max(self._since, after)
        for tail, position, concludes, ends in held:
            if concludes:
                self.conclude(tail, position, ends=ends)
            else:
                self.deliver(tail, position)
        return True

    def finish(self, error: ApiError) -> None:
        """Send the error that ends the stream, and end it; no effect once it has ended."""
        if not self.alive:
            return
        body = orjson.dumps(error.body())
        self._send(
            b'%b,"subscription":{"id":"%b"},"error":%b,"msg_type":"%b"}'
            % (self._head, self.id.encode(), body, self._msg_type.encode())
        )
        self._forget(self.id)

    def end(self) -> None:
        """Unsubscribe the stream: nothing more is sent on it."""
        self.alive = False
        if self._close is not None:
            self._close()
            self._close = None


class Handler(Protocol):
    """Handles the messages of a session, as the dispatcher does."""

    def handle(
        self, session: "Session", text: bytes, instead: ApiError | None = None
    ) -> Coroutine[Any, Any, None] | None:
        """Handle one message; with `instead`, answer it with this error where its call would run.

        Returns `None` when that is done, else a coroutine that does the rest.
        """


class Recognizer(Handler, Protocol):
    """Handles messages, and recognizes their calls."""

    def call_of(self, text: bytes) -> str:
        """Return the name of a message's call; empty if it names none."""


class Interceptor(Handler, Protocol):
    """Handles the messages of a session before the dispatcher, and sends what it is sent."""

    def flush(self) -> None:
        """Send what was not sent yet: the connection is about to close."""


class Link(Protocol):
    """The connection of a session, as far as faults change it."""

    @property
    def dispatcher(self) -> Recognizer:
        """What handles messages where nothing intercepts them."""

    def divert(self, through: Interceptor | None) -> None:
        """Let an interceptor handle messages, or the dispatcher again."""

    def cut(self, code: int | None) -> None:
        """End the connection at once: with a close code, or without a close frame."""

    def go_silent(self) -> None:
        """Neither read nor write any more, and leave the connection open."""


class Output(Protocol):
    """What carries the messages of a session."""

    congested: bool
    """Whether the client reads too slowly."""

    def batched(self, work: Callable[[], None]) -> None:
        """Call `work`, and send all its output in one write."""


class Session:
    """The state of one connection, from its opening to its end."""

    __slots__ = (
        "_leaving",
        "_reads_again",
        "acting",
        "address",
        "after_reply",
        "answering",
        "app_id",
        "at_pages",
        "bucket",
        "close_code",
        "closed",
        "disconnect",
        "error",
        "first_grant",
        "grants",
        "host",
        "id",
        "is_operator",
        "keyed",
        "language",
        "link",
        "messages",
        "only_waits",
        "origin",
        "output",
        "proxied",
        "refusals",
        "secure",
        "send",
        "send_event",
        "signed_in_at",
        "signed_out",
        "since",
        "subscriptions",
        "unsigned",
        "user_agent",
    )

    def __init__(
        self,
        send: Callable[[bytes], None],
        *,
        app_id: int | None = None,
        address: str = "",
        language: str = "EN",
        user_agent: str = "",
        origin: str = "",
        host: str = "",
        proxied: bool = False,
        secure: bool = False,
    ) -> None:
        self.id = secrets.token_hex(8)
        """Unique among all processes: changes name the session that asked for them."""
        self.send = send
        """Sends one reply."""
        self.send_event = send
        """Sends one event of a stream."""
        self.output: Output | None = None
        """What carries its messages, while there is a connection."""
        self._reads_again: asyncio.Future[None] | None = None
        self.disconnect: Callable[[Disconnect], None] | None = None
        """Ends the connection, while there is one."""
        self.link: Link | None = None
        """What faults change, while there is a connection."""
        self.since = time.time()
        """When it began, in epoch seconds."""
        self.app_id = app_id
        self.address = address
        self.language = language
        self.user_agent = user_agent
        self.origin = origin
        self.host = host
        self.proxied = proxied
        self.secure = secure
        """Whether the connection uses TLS, or a proxy states that it does."""
        self.at_pages = is_own_page(origin, host)
        """Whether the client is a page that this gateway served."""
        self.is_operator = False
        """Whether the operator has signed in there."""
        self.unsigned = unsigned_holder(address, origin, host)
        """The holder that it counts for before sign-in."""
        self.bucket: str = self.unsigned.key
        """The rate-limit bucket in which its messages are counted."""
        self.messages = 0
        """Number of messages that were received."""
        self.error: ApiError | None = None
        """The error with which the current message was answered, if any."""
        self.refusals = 0
        """Number of messages in a row that a limit refused."""
        self.grants: dict[str, Grant] = {}
        """By login id, in the order of their tokens."""
        self.first_grant: Grant | None = None
        """The first of them, which a message uses that names no account."""
        self.acting: Grant | None = None
        """The grant that the current message acts under."""
        self.keyed: KeyedRequest | None = None
        """The current message, if its reply is to be recorded under an idempotency key."""
        self.subscriptions: dict[str, Subscription] = {}
        self.signed_in_at = 0.0
        """The market's time of the sign-in."""
        self.signed_out: ApiError | None = None
        """The error that ended its last grant, if any; later calls get its details."""
        self.closed = False
        self.close_code: int | None = None
        """The code with which the gateway closes the connection, if it does."""
        self.answering = False
        """Whether a message is being answered."""
        self.only_waits = False
        """Whether what is left of the current message is to wait, since it was refused."""
        self.after_reply: list[Callable[[], None]] = []
        """What is done once the current message has its reply."""
        self._leaving: list[Callable[[], None]] = []

    @property
    def holders(self) -> tuple[Holder, ...]:
        """The holders that a stream opened now counts for."""
        return (self.unsigned,) if self.acting is None else self.acting.holders

    @property
    def client(self) -> Hashable:
        """The client that this session is scheduled as: the user, or else the address block.

        The gateway's own pages are separate clients, so that no app can keep its user from them.
        """
        for grant in self.grants.values():
            return (grant.user_id, grant.is_owner)
        return (block_of(self.address), self.at_pages)

    @property
    def grant(self) -> Grant:
        """The grant that the current message acts under.

        Raises `AuthorizationRequired` if there is none, so no handler acts without one.
        """
        if self.acting is None:
            raise self.login_needed()
        return self.acting

    def login_needed(self) -> ApiError:
        """Return the error for a call that needs a login if there is none."""
        return authorization_required(None if self.signed_out is None else self.signed_out.details)

    def stream(self, key: Hashable) -> Subscription | None:
        """Return the open stream with this key, if there is one."""
        return next((s for s in self.subscriptions.values() if s.key == key), None)

    def open(self, subscription: Subscription) -> None:
        """Keep a stream until it is forgotten."""
        self.subscriptions[subscription.id] = subscription

    def forget(self, subscription_id: str) -> bool:
        """End one stream; return whether there was one."""
        subscription = self.subscriptions.pop(subscription_id, None)
        if subscription is None:
            return False
        subscription.end()
        return True

    def forget_kinds(self, kinds: frozenset[str]) -> list[str]:
        """End every stream of these kinds; return their ids."""
        ended = [stream.id for stream in self.subscriptions.values() if stream.kind in kinds]
        for subscription_id in ended:
            self.forget(subscription_id)
        return ended

    def sign_in(self, grants: list[Grant]) -> None:
        """Act under these grants instead of any earlier ones, whose account streams end."""
        self._begin({grant.loginid: grant for grant in grants})

    def _begin(self, grants: dict[str, Grant]) -> None:
        for stream in [s for s in self.subscriptions.values() if s.grant is not None]:
            self.forget(stream.id)
        self._act_under(grants)
        self.signed_out = None

    def _act_under(self, grants: dict[str, Grant]) -> None:
        self.grants = grants
        first = self.first_grant = next(iter(grants.values()), None)
        self.bucket = self.unsigned.key if first is None else first.bucket
        self._recount_streams()

    def _recount_streams(self) -> None:
        """Count public streams for the address block once their holders have no grant here.

        A stream that would exceed a limit there ends.
        """
        here = {self.unsigned}.union(*(grant.holders for grant in self.grants.values()))
        for stream in list(self.subscriptions.values()):
            if stream.grant is None and not here.issuperset(stream.holders):
                broken = stream.count_for((self.unsigned,))
                if broken is not None:
                    self._once_replied(partial(stream.finish, rate_limit(stream.kind, broken)))

    def regrant(self, grant: Grant) -> None:
        """Act under this grant in place of the one for its account; streams continue."""
        old = self.grants[grant.loginid]
        self.grants[grant.loginid] = grant
        if self.first_grant is old:
            self.first_grant = grant
        if self.acting is old:
            self.acting = grant
        for stream in self.subscriptions.values():
            if stream.grant is old:
                stream.grant = grant

    def sign_out(self) -> None:
        """Drop all grants. Account streams end without a message; public ones continue."""
        self._begin({})

    def revoke(
        self, token_id: int, *, reply_first: bool = False, why: ApiError | None = None
    ) -> None:
        """Drop the grants of a token, and end their streams with an error.

        With `reply_first` the streams end after the reply to the current message. `why` is their
        error, by default `InvalidToken`; later calls get its details.
        """
        ended = [grant for grant in self.grants.values() if grant.token_id == token_id]
        self._act_under(
            {loginid: grant for loginid, grant in self.grants.items() if grant not in ended}
        )
        self.signed_out = why
        streams = [stream for stream in self.subscriptions.values() if stream.grant in ended]

        def finish_all() -> None:
            for stream in streams:
                stream.finish(why or invalid_token())

        if reply_first:
            self._once_replied(finish_all)
        else:
            finish_all()

    def finish_streams(self, error: ApiError) -> None:
        """End every stream with this error, after the reply to the current message."""

        def finish_all() -> None:
            for stream in list(self.subscriptions.values()):
                stream.finish(error)

        self._once_replied(finish_all)

    def _once_replied(self, action: Callable[[], None]) -> None:
        """Run `action` after the reply to the current message; at once if there is none."""
        if self.answering:
            self.after_reply.append(action)
        else:
            action()

    def replied(self) -> None:
        """Called when the current message has its reply: run what waited for that."""
        self.answering = False
        if self.after_reply:
            actions, self.after_reply = self.after_reply, []
            for action in actions:
                action()

    def divert(self, reply: Callable[[bytes], None], event: Callable[[bytes], None]) -> None:
        """Send replies and events through these functions, also those of open streams."""
        self.send, self.send_event = reply, event
        for stream in self.subscriptions.values():
            stream.send_through(event)

    def batched(self, work: Callable[[], None]) -> None:
        """Call `work`, and send all its output in one write."""
        if self.output is None:
            work()
        else:
            self.output.batched(work)

    @property
    def is_congested(self) -> bool:
        """Whether the client reads too slowly."""
        return self.output is not None and self.output.congested

    async def writable(self) -> None:
        """Wait until the client reads what it was sent, or its connection ends."""
        while self.is_congested:
            if self._reads_again is None:
                self._reads_again = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._reads_again)

    def reads_again(self) -> None:
        """Called when the client reads again, or its connection ends."""
        waiting, self._reads_again = self._reads_again, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def end(self, why: Disconnect) -> None:
        """End the connection, after the reply to the current message."""

        def end_now() -> None:
            if self.disconnect is not None:
                self.disconnect(why)

        self._once_replied(end_now)

    def on_leave(self, action: Callable[[], None]) -> None:
        """Run `action` when the connection ends."""
        self._leaving.append(action)

    def close(self) -> None:
        """Called when the connection ends: release all that it holds. No effect a second time."""
        if self.closed:
            return
        self.closed = True
        self.output = None
        self.reads_again()
        for subscription_id in list(self.subscriptions):
            self.forget(subscription_id)
        actions, self._leaving = self._leaving, []
        for action in actions:
            action()
        self.grants, self.first_grant = {}, None
        self.disconnect = None
        self.link = None
