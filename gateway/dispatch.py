"""One message to its reply: parse, find, admit, validate, invoke, reply.

Rules:
- Every text gets exactly one reply, in strict JSON, save that a message for several things gets one
  for each. What is no text at all raises `Disconnect`.
- All exceptions become replies in one place, `_failed`. What is neither `ApiError` nor `Disconnect`
  is a bug: it is logged with the call's name, and the client learns nothing of it.
- Strangers learn nothing: limits and scopes come before validation.
- No secret leaves in an echo: fields that hold one, and well-formed tokens anywhere, are masked.
"""

import asyncio
import re
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Hashable
from typing import Any

import orjson
import structlog
from pydantic import ValidationError

from gateway.bus import Bus
from gateway.calls import AT_PAGES, OWNER, Body, Call, Registry, Stream, problems_of
from gateway.errors import (
    ApiError,
    Disconnect,
    authorization_required,
    input_validation_failed,
    internal_error,
    owners_token_required,
    permission_denied,
    rate_limit,
)
from gateway.limits import Penalty, RateLimiter
from gateway.session import Grant, Session, Subscription
from gateway.token_form import NOT_SHOWN, SHORTEST, holds_token, without_tokens
from schemas.fields import LARGEST_INTEGER
from schemas.scopes import in_order

MAX_DEPTH = 32
PATIENCE = 4.0
"""Seconds that a handler has. A JavaScript client reconnects when its ping waits five behind it."""

_KEY = re.compile(r"[A-Za-z0-9_-]{1,50}", re.ASCII).fullmatch
_INTEGER = re.compile(r"-?[0-9]{1,16}", re.ASCII).fullmatch

log = structlog.get_logger("scopegate.dispatch")

Message = dict[str, Any]


class Dispatcher:
    """Answers messages with the calls of a registry."""

    def __init__(
        self,
        registry: Registry,
        bus: Bus,
        limiter: RateLimiter,
        *,
        used: Callable[[Session, Grant, str], None],
        refusal: Callable[[Session], ApiError | None],
        patience: float = PATIENCE,
    ) -> None:
        """`used` is told of every call that a grant made, before it runs.

        `refusal` says, for each message, why its connection is not served at all; `None` if it is.
        """
        self._registry = registry
        self._bus = bus
        self._limiter = limiter
        self._used = used
        self._refusal = refusal
        self._patience = patience
        self._strangers = Penalty()

    def handle(self, session: Session, text: bytes) -> Coroutine[Any, Any, None] | None:
        """Answer one text through `session.send`.

        `None` when that is done; else a coroutine that does the rest and must be run to its end
        before the next message of this session is handled. Raises `Disconnect` when the connection
        must end.
        """
        message: Message = {}
        echo: Message = {}
        call: Call | None = None
        session.acting = None
        session.answering = True
        refusal = self._refusal(session)
        try:
            message = _parse(text)
            sane, secret = _inspect_object(message, 1)
            secret_fields = self._registry.secret_fields
            if secret or not secret_fields.isdisjoint(message):
                echo = _masked(message, secret_fields)
            else:
                echo = message
            if refusal is not None:
                raise refusal
            if not sane:
                raise ApiError("SanityCheckFailed", "Parameters sanity check failed.")
            call = self._find(message)
            self._admit(session, call, message)
            request = call.validate(message)
            coroutine = call.invoke(request, session)
            if not call.eager:
                return self._finish(session, call, message, echo, coroutine)
            try:
                waits_for = coroutine.send(None)
            except StopIteration as returned:
                self._answer(session, call, message, echo, returned.value)
            else:
                rest = _resume(coroutine, waits_for)
                return self._finish(session, call, message, echo, rest)
        except Exception as problem:  # noqa: BLE001 - hands over to the one place
            if refusal is not None:
                return self._refuse(session, message, echo, refusal)
            self._failed(session, call, message, echo, problem)
        session.replied()
        return None

    async def _finish(
        self,
        session: Session,
        call: Call,
        message: Message,
        echo: Message,
        handler: Awaitable[Any],
    ) -> None:
        limit = asyncio.timeout(self._patience)
        try:
            async with limit:
                result = await handler
            self._answer(session, call, message, echo, result)
        except Exception as problem:  # noqa: BLE001 - hands over to the one place
            if isinstance(problem, TimeoutError) and limit.expired():
                problem = ApiError("Timeout", "Timeout")
            self._failed(session, call, message, echo, problem)
        session.replied()

    def _find(self, message: Message) -> Call:
        name = self._registry.find(message)
        if name is not None and (call := self._registry.get(name)) is not None:
            return call
        text = "Unrecognised request."
        if name is not None:
            text += f" The call {name} is not offered by this gateway."
        raise ApiError("UnrecognisedRequest", text)

    def _admit(self, session: Session, call: Call, message: Message) -> None:
        if not session.grants:
            self._count(call, session.address)
            if call.needs_login:
                raise session.login_needed()
            if call.standing is AT_PAGES and not session.at_pages:
                raise _not_at_pages()
            return
        acting = next(iter(session.grants.values()))
        wanted = message.get("loginid")
        if type(wanted) is str:
            acting = session.grants.get(wanted, acting)
        self._count(call, acting.user_id)
        if type(wanted) is str and wanted != acting.loginid:
            raise input_validation_failed(
                {"loginid": "No token of this connection is for this account."}
            )
        session.acting = acting
        if call.scopes and call.scopes.isdisjoint(acting.scopes):
            raise _permission_denied(call)
        if not call.app_tokens and acting.link_id is not None:
            raise owners_token_required()
        if call.standing is not None:
            if call.standing is OWNER and not acting.is_owner:
                raise permission_denied("the owner's own sign-in at the gateway's pages")
            if call.standing is AT_PAGES and not session.at_pages:
                raise _not_at_pages()
        self._used(session, acting, call.name)

    def _count(self, call: Call, who: Hashable) -> None:
        broken = self._limiter.broken_by(who, call.rate)
        if broken is not None:
            raise rate_limit(call.name, broken)

    def _answer(
        self, session: Session, call: Call, message: Message, echo: Message, result: Any
    ) -> None:
        if type(result) is dict:
            _send(session, _head(message, echo), result)
            return
        for answer in result if isinstance(result, list) else (result,):
            if isinstance(answer, ApiError):
                self._failed(session, call, message, echo, answer)
            elif isinstance(answer, Stream):
                try:
                    self._open(session, call, message, echo, answer)
                except ApiError as refused:
                    if answer.optional:
                        _send(session, _head(message, echo), answer.first)
                    else:
                        self._failed(session, call, message, echo, refused)
            else:
                _send(session, _head(message, echo), answer)

    def _open(
        self, session: Session, call: Call, message: Message, echo: Message, stream: Stream[Any]
    ) -> None:
        if session.closed:
            return
        if session.subscribed(stream.key):
            raise ApiError("AlreadySubscribed", f"You are already subscribed to {stream.label}.")
        profile = self._limiter.profile
        if len(session.subscriptions) >= profile.streams:
            raise rate_limit(call.name, f"{profile.streams} streams on one connection")
        if stream.most is not None:
            open_now = sum(s.kind == stream.kind for s in session.subscriptions.values())
            if open_now >= stream.most:
                raise rate_limit(call.name, f"{stream.most} {stream.kind} streams at once")
        grant = session.acting if call.needs_login else None
        if grant is not None and session.grants.get(grant.loginid) is not grant:
            raise authorization_required()  # it was revoked while the handler ran
        head = _head(message, echo)
        subscription = Subscription(
            kind=stream.kind,
            key=stream.key,
            grant=grant,
            head=orjson.dumps(head)[:-1],
            msg_type=stream.msg_type,
            names_itself=stream.names_itself,
            tells_lists=stream.tells_lists,
            since=stream.since,
            send=session.send,
            forget=session.forget,
            stream_id=stream.id,
        )
        self._bus.subscribe(stream.topic, subscription)
        subscription.opened(lambda: self._bus.unsubscribe(stream.topic, subscription))
        session.open(subscription)
        body = dict(stream.first)
        msg_type = next(iter(body))
        if stream.names_itself and msg_type == stream.msg_type:
            body[msg_type] = {"id": subscription.id, **body[msg_type]}
        body["subscription"] = {"id": subscription.id}
        _send(session, dict(head), body)
        for further in stream.more:
            msg_type, told = next(iter(further.items()))
            event = {msg_type: {"id": subscription.id, **told} if stream.names_itself else told}
            _send(session, dict(head), event | {"subscription": {"id": subscription.id}})

    def _failed(
        self,
        session: Session,
        call: Call | None,
        message: Message,
        echo: Message,
        problem: Exception,
    ) -> None:
        if isinstance(problem, Disconnect):
            raise problem
        if isinstance(problem, ValidationError):
            problem = input_validation_failed(problems_of(problem))
        if isinstance(problem, ApiError):
            error = problem
        else:
            log.error(
                "a handler failed", call=call.name if call else None, exc_info=_shown(problem)
            )
            error = internal_error()
        body = error.body()
        if echo is not message:
            body = _masked(body)
        _send(
            session, _head(message, echo), {"error": body}, msg_type=call.name if call else "error"
        )

    async def _refuse(
        self, session: Session, message: Message, echo: Message, refusal: ApiError
    ) -> None:
        """Answer a connection without a valid app, later each time it comes back, and end it."""
        await asyncio.sleep(self._delay(session.address))
        self._failed(session, None, message, echo, refusal)
        raise Disconnect(1008, refusal.message)

    def _delay(self, address: str) -> float:
        """How many seconds the next answer to a stranger from this address waits."""
        before = self._strangers.count(address)
        self._strangers.add(address)
        return 0.5 * min(before, 10)


def _parse(text: bytes) -> Message:
    """The message, or `BadRequest`; `Disconnect` for what is not even text."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            text.decode()
        except UnicodeDecodeError:
            raise Disconnect(1007, "a text message must be UTF-8") from None
        raise _bad_request() from None
    if type(message) is not dict:
        raise _bad_request()
    return message


def _bad_request() -> ApiError:
    return ApiError("BadRequest", "The application sent an invalid request.")


def _permission_denied(call: Call) -> ApiError:
    names = in_order(call.scopes)
    noun = "scope" if len(names) == 1 else "scopes"
    return permission_denied(f"{' or '.join(names)} {noun}")


def _not_at_pages() -> ApiError:
    return permission_denied("a page of the gateway itself")


def _inspect_object(value: Message, depth: int) -> tuple[bool, bool]:
    """Whether keys and values are sane, and whether a token stands somewhere among them.

    Raises `BadRequest` for what is nested too deeply to be echoed.
    """
    if depth > MAX_DEPTH:
        raise _bad_request()
    sane = True
    secret = False
    for key, item in value.items():
        # A short identifier is what keys are; only others are worth the expressions.
        if len(key) >= SHORTEST or not (key.isidentifier() and key.isascii()):
            if not _KEY(key):
                sane = False
            if holds_token(key):
                secret = True
        kind = type(item)
        if kind is int or kind is float:
            if not -LARGEST_INTEGER <= item <= LARGEST_INTEGER:
                sane = False
        elif kind is str:
            if len(item) >= SHORTEST and holds_token(item):
                secret = True
            if "\x00" in item:
                sane = False
        elif kind is dict:
            item_sane, item_secret = _inspect_object(item, depth + 1)
            sane, secret = sane and item_sane, secret or item_secret
        elif kind is list:
            item_sane, item_secret = _inspect_list(item, depth + 1)
            sane, secret = sane and item_sane, secret or item_secret
    return sane, secret


def _inspect_list(value: list[Any], depth: int) -> tuple[bool, bool]:
    if depth > MAX_DEPTH:
        raise _bad_request()
    sane = True
    secret = False
    for item in value:
        # An item is judged as the value of a harmless key: one rule for both.
        item_sane, item_secret = (
            _inspect_list(item, depth + 1)
            if type(item) is list
            else _inspect_object(item, depth + 1)
            if type(item) is dict
            else _inspect_object({"item": item}, depth)
        )
        sane, secret = sane and item_sane, secret or item_secret
    return sane, secret


def _masked(value: Any, secret_fields: frozenset[str] = frozenset()) -> Any:
    """A copy without secrets: without fields that hold one, and tokens wherever they stand."""
    if type(value) is dict:
        return {
            without_tokens(key): NOT_SHOWN if key in secret_fields else _masked(item)
            for key, item in value.items()
        }
    if type(value) is list:
        return [_masked(item) for item in value]
    if type(value) is str:
        return without_tokens(value)
    return value


def _head(message: Message, echo: Message) -> Message:
    """What every reply to this message begins with."""
    head: Message = {"echo_req": echo}
    if "req_id" in message:
        req_id = message["req_id"]
        if type(req_id) is str and _INTEGER(req_id):
            req_id = int(req_id)
        if type(req_id) is int and -LARGEST_INTEGER <= req_id <= LARGEST_INTEGER:
            head["req_id"] = req_id
    if "passthrough" in echo:
        passthrough = echo["passthrough"]
        if type(passthrough) is dict:
            head["passthrough"] = passthrough
    return head


def _send(session: Session, head: Message, body: Body, msg_type: str | None = None) -> None:
    head["msg_type"] = msg_type or next(iter(body))
    head.update(body)
    session.send(orjson.dumps(head))


def _shown(problem: Exception) -> Exception:
    """The exception as it may be logged: with its traceback, without tokens in its text."""
    if not any(isinstance(part, str) and holds_token(part) for part in problem.args):
        return problem
    shown = Exception(f"{type(problem).__name__}: {without_tokens(str(problem))}")
    return shown.with_traceback(problem.__traceback__)


@types.coroutine
def _resume(coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    """Go on with a coroutine that has taken its first step and waits for something.

    Awaited by a task, this waits for that first thing in the coroutine's place.
    """
    while True:
        try:
            sent = yield waits_for
        except BaseException as thrown:  # noqa: BLE001 - cancellation goes to the coroutine too
            try:
                waits_for = coroutine.throw(thrown)
            except StopIteration as returned:
                return returned.value
        else:
            try:
                waits_for = coroutine.send(sent)
            except StopIteration as returned:
                return returned.value
