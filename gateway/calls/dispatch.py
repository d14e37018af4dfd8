"""Handle one message: parse it, find its call, admit, validate, run the handler, reply.

Rules:
- Every text gets exactly one reply, in strict JSON; a message that asks for several things gets one
  for each. A message that is not UTF-8, or is binary and not JSON, raises `Disconnect`, and so may
  a handler.
- All other exceptions become replies in one place, `_failed`. One that is not expected (see
  `errors`) is a bug: it is logged with the call's name, and the client gets no details.
- Limits and scopes are checked before validation, so that clients without access learn nothing.
- Refusing a message by a limit is cheap: every message is counted before it is parsed, a call
  before its message is inspected, and the refusal of a long message echoes only its `req_id`.
- No secret leaves in an echo: secret fields, and well-formed tokens anywhere, are masked.
- A token in a field that is not meant for one is refused: it could be stored in clear text.
"""

import asyncio
import re
import types
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Hashable,
    Iterable,
    Sequence,
)
from dataclasses import dataclass, field
from decimal import Decimal
from operator import itemgetter
from typing import Any

import orjson
import structlog
from pydantic import ValidationError

from scopegate.gateway.calls.bus import Bus
from scopegate.gateway.calls.errors import (
    ApiError,
    Disconnect,
    authorization_required,
    input_validation_failed,
    internal_error,
    owners_token_required,
    permission_denied,
    rate_limit,
    storage_unavailable,
)
from scopegate.gateway.calls.limits import (
    Claim,
    ConcurrencyLimiter,
    FailureCounter,
    Holder,
    Rate,
    RateLimiter,
)
from scopegate.gateway.calls.registry import (
    AT_PAGES,
    OWNER,
    Body,
    Call,
    Registry,
    Stream,
    problems_of,
)
from scopegate.gateway.calls.session import Grant, Session, Shape, Subscription
from scopegate.gateway.calls.skim import skim
from scopegate.gateway.calls.token_form import NOT_SHOWN, SHORTEST, holds_token, without_tokens
from scopegate.schemas.fields import MAX_INTEGER, Request
from scopegate.store.sqlite import StoreUnavailableError

MAX_DEPTH = 32
MAX_FORMS = 1024
"""Sets of keys for which it is remembered what they say; only sane ones, so keys are short."""
MAX_FORM_KEYS = 24
MAX_REQUESTS = 2048
"""Validated requests of plain messages that are kept."""
MAX_ECHO = 2048
"""Bytes of the longest message that a refusal by a limit echoes."""
REFUSED_CLOSE = 4429
"""The close code after many refusals by a limit in a row."""
TIME_LIMIT = 4.0
"""Seconds that a handler may take. JavaScript clients reconnect if a ping waits five behind it."""

_BYTES = "bytes of streams"
_KEY = re.compile(r"[A-Za-z0-9_-]{1,50}", re.ASCII).fullmatch
_MISPLACED = "Contains a token, which is a secret. Leave it out, and replace that token."
_INTEGER = re.compile(r"-?[0-9]{1,16}", re.ASCII).fullmatch

_IMMUTABLE = frozenset({type(None), bool, int, float, str, Decimal})

_OURS = (ApiError, ValidationError, StoreUnavailableError)
"""Exceptions that are never converted by the errors declared for a handler."""

log = structlog.get_logger("scopegate.dispatch")

Message = dict[str, Any]


class Dispatcher:
    """Runs the calls of a registry for messages, and sends the replies."""

    def __init__(
        self,
        registry: Registry,
        bus: Bus,
        limiter: RateLimiter,
        open_streams: ConcurrencyLimiter,
        *,
        used: Callable[[Session, Grant, str], None],
        refused: Callable[[Session, Grant, str, str], None],
        refusal: Callable[[Session], ApiError | None],
        time_limit: float = TIME_LIMIT,
    ) -> None:
        """`used` is called for every call made under a grant, before it runs; `refused` with the
        error code for each that is answered with an error.

        `refusal` is called for each message. It returns the reason why the connection is not
        served at all, or `None`.
        """
        self._registry = registry
        self._bus = bus
        self._limiter = limiter
        self._open_streams = open_streams
        self._used = used
        self._refused = refused
        self._refusal = refusal
        self.time_limit = time_limit
        self._unknown_apps = FailureCounter()
        self._forms: dict[tuple[str, ...], _Form] = {}
        self._kept_requests = 0
        self._idle_driver: Generator[Any, Any, None] | None = None

    def handle(self, session: Session, text: bytes) -> Coroutine[Any, Any, None] | None:
        """Handle one message; replies are sent through `session.send`.

        Returns `None` when that is done, else a coroutine that does the rest, which must be run to
        its end before the next message of this session is handled. Raises `Disconnect` when the
        connection must be closed.
        """
        message: Message = {}
        echo: Message = {}
        call: Call | None = None
        session.acting = None
        session.answering = True
        refusal = self._refusal(session)
        limiter = self._limiter
        counts = limiter.counts(session.bucket)
        broken = limiter.count_message(counts, len(text))
        try:
            if broken is not None and refusal is None:
                self._limited(session, text, broken)
                return None
            message = _parse(text)
            form = self._forms.get(tuple(message)) or self._form(message)
            acting = session.first_grant
            if acting is not None:
                if form.names_account:
                    acting = _named(session, message) or acting
                if acting.bucket != session.bucket:
                    counts = limiter.counts(acting.bucket)
            broken = limiter.count_call(counts, form.rate)
            if broken is not None and refusal is None:
                self._limited(session, text, broken, message)
                return None
            if is_plain := _is_plain(message):
                sane, secret = True, form.holds_token
            else:
                sane, secret = _inspect_values(message.values(), 1)
                secret = secret or form.holds_token
            if secret or form.has_secret_field:
                echo = _masked(message, self._registry.secret_fields)
            else:
                echo = message
            if refusal is not None:
                raise refusal
            if not (sane and form.is_sane):
                raise ApiError("SanityCheckFailed", "Parameters sanity check failed.")
            if form.call is None:
                raise self._unrecognised(message)
            call = form.call
            self._admit(session, call, acting, message)
            if is_plain and form.values is not None and type(message.get("req_id", 0)) is int:
                values = form.values(message)
                request = form.requests.get(values)
                if request is None:
                    request = self._kept(form, values, _validated(call, message))
            else:
                request = _validated(call, message)
            if secret:
                _refuse_tokens(message, self._registry.secret_fields)
            coroutine = call.invoke(request, session)
            if not call.eager:
                return self._finish(session, call, message, echo, coroutine)
            driver = self._idle_driver or _new_driver()
            self._idle_driver = None  # an exception ends it, and a handler that waits keeps it
            step = driver.send(coroutine)
            if type(step) is not tuple:
                return self._finish(session, call, message, echo, _resume(driver, step))
            self._idle_driver = driver
            result = step[0]
            if type(result) is dict:
                session.send(_encoded(_head(message, echo), result))
            else:
                self._answer(session, call, message, echo, result)
        except (Exception, asyncio.CancelledError) as problem:  # noqa: BLE001 - as below
            # This step itself is never cancelled: the handler awaited something that was.
            if refusal is not None:
                session.turned_away = True
                return self._refuse(session, message, echo, refusal)
            self._failed(session, call, message, echo, problem)
        session.answering = False
        if session.after_reply:
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
        limit = asyncio.timeout(self.time_limit)
        try:
            async with limit:
                result = await handler
            self._answer(session, call, message, echo, result)
        except (Exception, asyncio.CancelledError) as problem:
            if isinstance(problem, asyncio.CancelledError) and _is_cancelled():
                raise
            if isinstance(problem, TimeoutError) and limit.expired():
                self._failed(session, call, message, echo, ApiError("Timeout", "Timeout"))
            else:
                self._failed(session, call, message, echo, problem)
        session.replied()

    def _form(self, message: Message) -> "_Form":
        """Return what the keys of a message say, and keep it for messages with the same keys."""
        call = self._find(message)
        is_sane, holds_a_token = _inspect_keys(message)
        has_secret_field = not self._registry.secret_fields.isdisjoint(message)
        form = _Form(
            call=call,
            rate=Rate.GENERAL if call is None else call.rate,
            is_sane=is_sane,
            holds_token=holds_a_token,
            has_secret_field=has_secret_field,
            names_account="loginid" in message,
            values=None
            if call is None or not call.keeps_requests or has_secret_field
            else itemgetter(*(key for key in message if key != "req_id")),
        )
        if is_sane and not holds_a_token and len(message) <= MAX_FORM_KEYS:
            if len(self._forms) >= MAX_FORMS:
                self._forget_forms()
            self._forms[tuple(message)] = form
        return form

    def _kept(self, form: "_Form", values: Hashable, request: Request) -> Request:
        """Keep the validated request of a plain message for those with the same values."""
        if all(type(value) in _IMMUTABLE for value in request.__dict__.values()):
            self._kept_requests += 1
            if self._kept_requests > MAX_REQUESTS:
                self._forget_forms()
            form.requests[values] = request
        return request

    def _forget_forms(self) -> None:
        """Forget all forms and requests: cheaper than to note which were used last."""
        self._forms.clear()
        self._kept_requests = 0

    def _find(self, message: Message) -> Call | None:
        name = self._registry.find(message)
        return None if name is None else self._registry.get(name)

    def _unrecognised(self, message: Message) -> ApiError:
        name = self._registry.find(message)
        text = "Unrecognised request."
        if name is not None:
            text += f" The call {name} is not offered by this gateway."
        return ApiError("UnrecognisedRequest", text)

    def _admit(self, session: Session, call: Call, acting: Grant | None, message: Message) -> None:
        if acting is None:
            if call.needs_login:
                raise session.login_needed()
            if call.audience is AT_PAGES and not session.at_pages:
                raise _not_at_pages()
            session.refusals = 0
            return
        wanted = message.get("loginid")
        if type(wanted) is str and wanted != acting.loginid:
            raise input_validation_failed(
                {"loginid": "This connection has no token for this account."}
            )
        session.acting = acting
        self._used(session, acting, call.name)  # a call without the scope is activity too
        if call.scopes and call.scopes.isdisjoint(acting.scopes):
            raise _permission_denied(call)
        if not call.app_tokens and acting.link_id is not None:
            raise owners_token_required()
        if call.audience is not None:
            if call.audience is OWNER and not acting.is_owner:
                raise permission_denied("the owner's own sign-in at the gateway's pages")
            if call.audience is AT_PAGES and not session.at_pages:
                raise _not_at_pages()
        session.refusals = 0

    def _limited(
        self, session: Session, text: bytes, broken: str, message: Message | None = None
    ) -> None:
        """Refuse a message by a limit, parsed or not. Raises `Disconnect` after many in a row.

        The reply to a short message has a full echo. A message longer than `MAX_ECHO` is only
        searched for its call and `req_id`, so that refusing costs less than answering.
        """
        echo: Message = {}
        if len(text) > MAX_ECHO:
            if message is None:
                if not text.isascii():
                    _check_utf8(text)
                message = skim(text)
        else:
            try:
                message = _parse(text) if message is None else message
                _, secret = _inspect_object(message, 1)
                echo = message
                if secret or not self._registry.secret_fields.isdisjoint(message):
                    echo = _masked(message, self._registry.secret_fields)
            except ApiError:
                message = message or {}
        call = self._find(message)
        error = rate_limit("messages" if call is None else call.name, broken)
        self._failed(session, call, message, echo, error)
        session.replied()
        session.refusals += 1
        if session.refusals >= self._limiter.profile.refusals_in_a_row:
            raise Disconnect(
                REFUSED_CLOSE,
                f"{session.refusals} messages in a row exceeded a rate limit: send fewer",
            )

    def _answer(
        self, session: Session, call: Call, message: Message, echo: Message, result: Any
    ) -> None:
        if type(result) is dict:
            session.send(_encoded(_head(message, echo), result))
            return
        if isinstance(result, list) and not result:
            raise TypeError("the call returned a list without an answer")
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
        if stream.kind not in call.kinds:
            kinds = ", ".join(sorted(call.kinds)) or "none"
            raise TypeError(f"the call opens a stream of kind {stream.kind}, but declares {kinds}")
        head = _head(message, echo)
        already = session.stream(stream.key)
        if already is not None:
            reply = _encoded(dict(head), _under(already, stream, stream.first))
            if not stream.implied:
                if not already.implied:
                    raise ApiError(
                        "AlreadySubscribed", f"You are already subscribed to {stream.label}."
                    )
                encoded = orjson.dumps(head)[:-1]
                more = len(encoded) - already.head_size
                self._claim_bytes(session, call, already.holders, more)
                already.take_over(encoded, stream.since)
            session.send(reply)
            return
        grant = session.acting if call.needs_login else None
        if grant is not None and session.grants.get(grant.loginid) is not grant:
            raise authorization_required()  # it was revoked while the handler ran
        subscription = Subscription(
            kind=stream.kind,
            key=stream.key,
            grant=grant,
            head=orjson.dumps(head)[:-1],
            msg_type=stream.msg_type,
            shape=stream.shape,
            since=stream.since,
            send=session.send,
            forget=session.forget,
            stream_id=stream.id,
            holders=session.holders,
            implied=stream.implied,
        )
        # Encode first: a body that cannot be encoded must not leave a stream open.
        texts = [
            _encoded(dict(head), _under(subscription, stream, body))
            for body in (stream.first, *stream.more)
        ]
        give_back, recount = self._claim(session, call, stream, subscription)

        def close() -> None:
            self._bus.unsubscribe(stream.topic, subscription)
            give_back()

        self._bus.subscribe(stream.topic, subscription)
        subscription.opened(close, recount)
        session.open(subscription)
        for text in texts:
            session.send(text)

    def _claim(
        self, session: Session, call: Call, stream: Stream[Any], subscription: Subscription
    ) -> tuple[Callable[[], None], Callable[[tuple[Holder, ...]], str | None]]:
        """Count a stream that is about to be opened.

        Returns two functions: one stops counting it, the other counts it for other holders. Raises
        `RateLimit` if the connection or the client has too much open.
        """
        profile = self._limiter.profile
        streams = session.subscriptions.values()
        if len(streams) >= profile.streams:
            raise rate_limit(call.name, f"{profile.streams} streams on one connection")
        if stream.max_per_session is not None:
            open_now = sum(s.kind == stream.kind for s in streams)
            if open_now >= stream.max_per_session:
                raise rate_limit(
                    call.name, f"{stream.max_per_session} {stream.kind} streams at once"
                )
        claims = [Claim("streams", profile.streams_per_client)]
        if stream.max_per_client is not None:
            claims.append(Claim(f"{stream.kind} streams", stream.max_per_client))
        broken = self._open_streams.broken_by(subscription.holders, claims)
        if broken is not None:
            raise rate_limit(call.name, broken)
        self._claim_bytes(session, call, subscription.holders, subscription.size)
        self._open_streams.take(subscription.holders, claims)

        def held() -> list[Claim]:
            return [*claims, Claim(_BYTES, profile.stream_bytes_per_client, subscription.size)]

        def give_back() -> None:
            self._open_streams.give_back(subscription.holders, held())

        def recount(others: tuple[Holder, ...]) -> str | None:
            broken = self._open_streams.broken_by(others, held())
            if broken is None:
                give_back()
                self._open_streams.take(others, held())
            return broken

        return give_back, recount

    def _claim_bytes(
        self, session: Session, call: Call, holders: Sequence[Holder], size: int
    ) -> None:
        """Count more bytes that a stream of these holders is about to hold.

        Raises `RateLimit` if the connection or the client has too many.
        """
        profile = self._limiter.profile
        held = sum(stream.size for stream in session.subscriptions.values())
        if held + size > profile.stream_bytes:
            raise rate_limit(
                call.name, f"{profile.stream_bytes} bytes held by the streams of one connection"
            )
        claims = [Claim(_BYTES, profile.stream_bytes_per_client, size)]
        broken = self._open_streams.broken_by(holders, claims)
        if broken is not None:
            raise rate_limit(call.name, broken)
        self._open_streams.take(holders, claims)

    def _failed(
        self,
        session: Session,
        call: Call | None,
        message: Message,
        echo: Message,
        problem: BaseException,
    ) -> None:
        if isinstance(problem, Disconnect):
            raise problem
        name = call.name if call else "error"
        try:
            body = self._converted(problem, message, call).body()
            if call is not None and session.acting is not None:
                self._refused(session, session.acting, call.name, body["code"])
            if echo is not message:
                body = _masked(body)
            _send(session, _head(message, echo), {"error": body}, msg_type=name)
        except Exception as worse:  # the error itself cannot be built or encoded
            log.error("a handler failed", call=name, exc_info=_shown(worse))
            body = internal_error().body()
            _send(session, _head(message, echo), {"error": body}, msg_type=name)

    def _converted(self, problem: BaseException, message: Message, call: Call | None) -> ApiError:
        """Convert an exception to the error for the client; log it if it is a bug."""
        if call is not None and call.errors and not isinstance(problem, _OURS):
            for kind in type(problem).__mro__:
                if (convert := call.errors.get(kind)) is not None:
                    problem = convert(problem)
                    break
        if isinstance(problem, ValidationError):
            return input_validation_failed(problems_of(problem, message))
        if isinstance(problem, StoreUnavailableError):
            return storage_unavailable()  # the store has logged it
        if isinstance(problem, ApiError):
            return problem
        name = call.name if call else None
        log.error("a handler failed", call=name, exc_info=_shown(problem))
        return internal_error()

    async def _refuse(
        self, session: Session, message: Message, echo: Message, refusal: ApiError
    ) -> None:
        """Answer a connection that is not served, later with each attempt, and close it."""
        await asyncio.sleep(self._delay(session.address))
        self._failed(session, None, message, echo, refusal)
        raise Disconnect(1008, refusal.message)

    def _delay(self, address: str) -> float:
        """Count a connection from this address that is not served; return its delay in seconds.

        That is 0.5 for each earlier one in the last minute, at most 5.
        """
        before = self._unknown_apps.count(address)
        self._unknown_apps.add(address)
        return 0.5 * min(before, 10)


@dataclass(frozen=True, slots=True)
class _Form:
    """What the keys of a message say, whatever its values are."""

    call: Call | None
    """The call that they name, if there is one."""
    rate: Rate
    is_sane: bool
    holds_token: bool
    """Whether a key holds a token."""
    has_secret_field: bool
    names_account: bool
    values: Callable[[Message], Hashable] | None
    """Returns the values of a message but its `req_id`; `None` if they are not to be kept."""
    requests: dict[Hashable, Request] = field(default_factory=dict)
    """The validated requests of plain messages, by these values."""


class Binary(bytes):
    """A binary message, which must be JSON in UTF-8."""


def _parse(text: bytes) -> Message:
    """Parse a message. Raises `BadRequest` unless it is a JSON object.

    Raises `Disconnect` if it is not UTF-8, or is binary and not JSON.
    """
    try:
        # orjson does not accept subclasses of bytes.
        message = orjson.loads(memoryview(text) if type(text) is Binary else text)
    except orjson.JSONDecodeError:
        if type(text) is Binary:
            raise _not_json() from None
        _check_utf8(text)
        raise _bad_request() from None
    if type(message) is not dict:
        raise _bad_request()
    return message


def _not_json() -> Disconnect:
    return Disconnect(1003, "messages must be text, or JSON in UTF-8")


def _check_utf8(text: bytes) -> None:
    try:
        text.decode()
    except UnicodeDecodeError:
        if type(text) is Binary:
            raise _not_json() from None
        raise Disconnect(1007, "a text message must be UTF-8") from None


def _named(session: Session, message: Message) -> Grant | None:
    """Return the grant for the account that a message names by `loginid`, if there is one."""
    wanted = message["loginid"]
    return session.grants.get(wanted) if type(wanted) is str else None


def _is_cancelled() -> bool:
    """Whether the current task is being cancelled, not only something that it awaited."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _bad_request() -> ApiError:
    return ApiError("BadRequest", "The application sent an invalid request.")


def _permission_denied(call: Call) -> ApiError:
    names = call.scopes_in_order
    noun = "scope" if len(names) == 1 else "scopes"
    return permission_denied(f"{' or '.join(names)} {noun}")


def _not_at_pages() -> ApiError:
    return permission_denied("a page of the gateway itself")


def _is_plain(message: Message) -> bool:
    """Whether all values are sane integers or short strings, so that none needs to be searched."""
    for value in message.values():
        if type(value) is int:
            if not -MAX_INTEGER <= value <= MAX_INTEGER:
                return False
        elif type(value) is not str or len(value) >= SHORTEST or "\x00" in value:
            return False
    return True


def _validated(call: Call, message: Message) -> Request:
    """Return the request, without its `req_id`: that concerns the reply, not the handler.

    Raises pydantic's `ValidationError`.
    """
    req_id = message.get("req_id")
    if type(req_id) is int:
        message = message.copy()
        del message["req_id"]
        return call.validate(message)
    request = call.validate(message)
    return request if request.req_id is None else request.model_copy(update={"req_id": None})


def _inspect_object(value: Message, depth: int) -> tuple[bool, bool]:
    """Return whether keys and values are sane, and whether any of them holds a token.

    Raises `BadRequest` if they are nested too deeply (`MAX_DEPTH`) to be echoed.
    """
    sane, secret = _inspect_values(value.values(), depth)
    keys_sane, keys_secret = _inspect_keys(value)
    return sane and keys_sane, secret or keys_secret


def _inspect_keys(keys: Iterable[str]) -> tuple[bool, bool]:
    sane = True
    secret = False
    for key in keys:
        # Most keys are short identifiers: only others are worth the regular expressions.
        if len(key) >= SHORTEST or not (key.isidentifier() and key.isascii()):
            if not _KEY(key):
                sane = False
            if holds_token(key):
                secret = True
    return sane, secret


def _inspect_values(values: Iterable[Any], depth: int) -> tuple[bool, bool]:
    if depth > MAX_DEPTH:
        raise _bad_request()
    sane = True
    secret = False
    for item in values:
        kind = type(item)
        if kind is int or kind is float:
            if not -MAX_INTEGER <= item <= MAX_INTEGER:
                sane = False
        elif kind is str:
            if len(item) >= SHORTEST and holds_token(item):
                secret = True
            if "\x00" in item:
                sane = False
        elif kind is dict or kind is list:
            inspect = _inspect_object if kind is dict else _inspect_values
            item_sane, item_secret = inspect(item, depth + 1)
            sane, secret = sane and item_sane, secret or item_secret
    return sane, secret


def _masked(value: Any, secret_fields: frozenset[str] = frozenset()) -> Any:
    """Return a copy in which secret fields, and tokens anywhere, are replaced by `NOT_SHOWN`."""
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


def _refuse_tokens(message: Message, secret_fields: frozenset[str]) -> None:
    """Raise `InputValidationFailed` if a field that is not declared as secret holds a token."""
    misplaced = [
        field
        for field, value in message.items()
        # `passthrough` is only returned to the client, masked.
        if field != "passthrough" and _holds_token({field: value}, secret_fields)
    ]
    if misplaced:
        raise input_validation_failed(dict.fromkeys(misplaced, _MISPLACED))


def _holds_token(value: Any, secret_fields: frozenset[str]) -> bool:
    """Whether a string or a key outside of secret fields holds a token."""
    if type(value) is dict:
        return any(
            holds_token(key) or (key not in secret_fields and _holds_token(item, secret_fields))
            for key, item in value.items()
        )
    if type(value) is list:
        return any(_holds_token(item, secret_fields) for item in value)
    return type(value) is str and holds_token(value)


def _head(message: Message, echo: Message) -> Message:
    """Return the fields that every reply to this message begins with."""
    head: Message = {"echo_req": echo}
    req_id = message.get("req_id")
    if req_id is not None:
        if (type(req_id) is str and _INTEGER(req_id)) or (
            type(req_id) is float and req_id.is_integer()
        ):
            req_id = int(req_id)
        if type(req_id) is int and -MAX_INTEGER <= req_id <= MAX_INTEGER:
            head["req_id"] = req_id
    passthrough = echo.get("passthrough")
    if type(passthrough) is dict:
        head["passthrough"] = passthrough
    return head


def _under(subscription: Subscription, stream: Stream[Any], reply_body: Body) -> Message:
    """Return a body with the subscription's id; also in its object if the shape is `NAMED`."""
    body = dict(reply_body)
    msg_type = next(iter(body))
    if stream.shape is Shape.NAMED and msg_type == stream.msg_type:
        body[msg_type] = {"id": subscription.id, **body[msg_type]}
    body["subscription"] = {"id": subscription.id}
    return body


def _send(session: Session, head: Message, body: Body, msg_type: str | None = None) -> None:
    session.send(_encoded(head, body, msg_type))


def _encoded(head: Message, body: Body, msg_type: str | None = None) -> bytes:
    head["msg_type"] = msg_type or next(iter(body))
    head.update(body)
    return orjson.dumps(head)


def _shown(problem: BaseException) -> BaseException:
    """Return the exception for the log: with its traceback, without tokens in its text."""
    if not any(isinstance(part, str) and holds_token(part) for part in problem.args):
        return problem
    shown = Exception(f"{type(problem).__name__}: {without_tokens(str(problem))}")
    return shown.with_traceback(problem.__traceback__)


@types.coroutine
def _drive() -> Generator[Any, Any, None]:
    """Run each coroutine that is sent; yield its result in a tuple, or what it waits for.

    A generator that goes on costs less than catching the `StopIteration` of each coroutine. What
    asyncio waits for is never a tuple.
    """
    step: Any = None
    while True:
        coroutine: Coroutine[Any, Any, Any] = yield step
        step = ((yield from coroutine),)


def _new_driver() -> Generator[Any, Any, None]:
    driver = _drive()
    driver.send(None)
    return driver


@types.coroutine
def _resume(driver: Generator[Any, Any, None], waits_for: Any) -> Generator[Any, Any, Any]:
    """Continue a coroutine in its driver, which has run its first step and waits for `waits_for`.

    The task that awaits this waits for `waits_for` first, in the coroutine's place.
    """
    step = waits_for
    while type(step) is not tuple:
        try:
            sent = yield step
        except BaseException as thrown:  # noqa: BLE001 - cancellation goes to the coroutine too
            step = driver.throw(thrown)
        else:
            step = driver.send(sent)
    return step[0]
