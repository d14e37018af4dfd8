"""Handle one message: parse it, find its call, admit, validate, run the handler, reply.

Rules:
- Every text gets exactly one reply, in strict JSON; a message that asks for several things gets one
  for each. A message that is not UTF-8, or is binary and not JSON, raises `Disconnect`, and so may
  a handler.
- All other exceptions become replies in one place, `_failed`. One that is not expected (see
  `errors`) is a bug: it is logged with the call's name, and the client gets no details.
- Limits and scopes are checked before validation, so that clients without access learn nothing.
- Refusing a message by a limit is cheap: every message is counted before it is parsed, a call
  before the values of its message are inspected, and the refusal of a long message echoes only
  its `req_id`.
- No secret leaves in an echo: secret fields, and well-formed tokens anywhere, are masked.
- A token in a field that is not meant for one is refused: it could be stored in clear text.
"""

import asyncio
import re
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Sequence,
)
from functools import partial
from time import perf_counter
from typing import Any

import orjson
import structlog
from pydantic import ValidationError

from scopegate.gateway.calls.bus import Bus
from scopegate.gateway.calls.counting import (
    Claim,
    ConcurrencyLimiter,
    FailureCounter,
    Holder,
    RateLimiter,
)
from scopegate.gateway.calls.driver import new_driver, resume
from scopegate.gateway.calls.errors import (
    RATE_LIMIT,
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
from scopegate.gateway.calls.forms import Forms, validated
from scopegate.gateway.calls.handling import Handling
from scopegate.gateway.calls.idempotency import KeyedRequest, key_of, keyed_request
from scopegate.gateway.calls.message import (
    Message,
    Values,
    check_utf8,
    inspect_object,
    inspect_values,
    masked,
    parse,
    refuse_tokens,
    values_at_a_glance,
)
from scopegate.gateway.calls.recorded_replies import RecordedReplies
from scopegate.gateway.calls.registry import (
    AT_PAGES,
    OPERATOR,
    OWNER,
    Body,
    Call,
    Registry,
    Stream,
    problems_of,
)
from scopegate.gateway.calls.resuming import Resumed, refill
from scopegate.gateway.calls.session import Grant, Session, Shape, Subscription
from scopegate.gateway.calls.skim import skim
from scopegate.gateway.calls.token_form import holds_token, without_tokens
from scopegate.schemas.fields import MAX_INTEGER
from scopegate.store.errors import StoreUnavailableError

MAX_ECHO = 2048
"""Bytes of the longest message that a refusal by a limit echoes."""
REFUSED_CLOSE = 4429
"""The close code after many refusals by a limit in a row."""
REFUSAL_PAUSE, MAX_REFUSAL_PAUSE = 0.001, 0.025
"""Seconds from a refusal by a limit until the next message of the connection is handled.

They grow by `REFUSAL_PAUSE` with each refusal in a row. Without them, 32 clients that send all the
time would use a processor alone by being refused.
"""
TIME_LIMIT = 4.0
"""Seconds that a handler may take. JavaScript clients reconnect if a ping waits five behind it.

A call of the gateway's pages may take twice as long, since they wait ten seconds: passwords are
checked at a low priority, which takes a while on a busy machine.
"""

_BYTES = "bytes of streams"
_INTEGER = re.compile(r"-?[0-9]{1,16}", re.ASCII).fullmatch

_OURS = (ApiError, ValidationError, StoreUnavailableError)
"""Exceptions that are never converted by the errors declared for a handler."""

log = structlog.get_logger("scopegate.dispatch")


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
        unknown_apps: FailureCounter,
        handling: Handling,
        replies: RecordedReplies,
        catch_up: Callable[[], Exception | None] | None = None,
        time_limit: float = TIME_LIMIT,
    ) -> None:
        """`used` is called for every call made under a grant, before it runs; `refused` with the
        error code for each that is answered with an error.

        `refusal` is called for each message. It returns the reason why the connection is not
        served at all, or `None`. `unknown_apps` counts those that name no app. `handling` counts
        each message. `replies` are those to requests with an idempotency key.

        `catch_up` is called before each message. It takes in what other worker processes have
        committed, and returns what prevented it, if anything: then calls that need a login, and
        those of clients that are signed in, are refused.
        """
        self._registry = registry
        self._bus = bus
        self._limiter = limiter
        self._open_streams = open_streams
        self._used = used
        self._refused = refused
        self._refusal = refusal
        self.time_limit = time_limit
        self._unknown_apps = unknown_apps
        self._handling = handling
        self._replies = replies
        self._catch_up = catch_up
        self._forms = Forms(registry)
        self._idle_driver: Generator[Any, Any, None] | None = None

    def call_of(self, text: bytes) -> str:
        """Return the name of a message's call; empty if it names none."""
        try:
            message = parse(text)
        except (ApiError, Disconnect):
            return ""
        return self._registry.find(message) or ""

    def handle(
        self, session: Session, text: bytes, instead: ApiError | None = None
    ) -> Coroutine[Any, Any, None] | None:
        """Handle one message; replies are sent through `session.send`.

        With `instead`, it is answered with this error where its call would run.

        Returns `None` when that is done, else a coroutine that does the rest, which must be run to
        its end before the next message of this session is handled. Raises `Disconnect` when the
        connection must be closed.
        """
        message: Message = {}
        echo: Message = {}
        call: Call | None = None
        session.acting = None
        session.answering = True
        session.messages += 1
        began = perf_counter()
        fault = None if self._catch_up is None else self._catch_up()
        refusal = self._refusal(session)
        limiter = self._limiter
        counts = limiter.counts(session.bucket)
        broken = limiter.count_message(counts, len(text))
        try:
            if broken is not None and refusal is None:
                return self._limited(session, text, broken, began)
            message = parse(text)
            form = self._forms.known.get(tuple(message)) or self._forms.find(message)
            acting = session.first_grant
            if acting is not None:
                if form.names_account:
                    acting = _named(session, message) or acting
                if acting.bucket != session.bucket:
                    counts = limiter.counts(acting.bucket)
            broken = limiter.count_call(counts, form.rate)
            if acting is not None and acting.rates and broken is None:
                broken = limiter.count_restricted(acting.rates)
            if broken is not None and refusal is None:
                return self._limited(session, text, broken, began, message)
            values = values_at_a_glance(message)
            if values is not Values.OTHER:
                sane, secret = True, form.holds_token
            else:
                sane, secret = inspect_values(message.values(), 1)
                secret = secret or form.holds_token
            if secret or form.has_secret_field:
                echo = masked(message, self._registry.secret_fields)
            else:
                echo = message
            if refusal is not None:
                raise refusal
            if not (sane and form.is_sane):
                raise ApiError("SanityCheckFailed", "Parameters sanity check failed.")
            if form.call is None:
                raise self._unrecognised(message)
            call = form.call
            if fault is not None and (acting is not None or call.needs_login):
                raise fault
            self._admit(session, call, acting, message)
            if values is Values.INTEGERS and form.values_of is not None:
                given = form.values_of(message)
                request = form.requests.get(given)
                if request is None:
                    request = validated(call, message)
                    self._forms.keep(form, given, request)
            else:
                request = validated(call, message)
            if secret:
                refuse_tokens(message, self._registry.secret_fields)
            if instead is not None:
                raise instead
            keyed = None
            if call.records_replies and request.passthrough is not None:
                keyed = _keyed(session, call, request.passthrough, message)
            if keyed is None:
                coroutine = call.invoke(request, session)
            else:
                coroutine = self._replies.answer(
                    session,
                    keyed,
                    partial(call.invoke, request, session),
                    (ApiError, *call.errors),
                )
            if keyed is not None or not call.eager:
                return self._finish(session, call, message, echo, coroutine, began)
            driver = self._idle_driver or new_driver()
            self._idle_driver = None  # an exception ends it, and a handler that waits keeps it
            step = driver.send(coroutine)
            if type(step) is not tuple:
                return self._finish(session, call, message, echo, resume(driver, step), began)
            self._idle_driver = driver
            result = step[0]
            if type(result) is dict:
                session.send(_encoded(_head(message, echo), result))
            else:
                resumed = self._answer(session, call, message, echo, result)
                if resumed:
                    return self._refill(session, call, resumed, began)
        except (Exception, asyncio.CancelledError) as problem:  # noqa: BLE001 - as below
            # This step itself is never cancelled: the handler awaited something that was.
            if refusal is not None:
                session.only_waits = True
                return self._refuse(session, message, echo, refusal, began)
            if self._failed(session, call, message, echo, problem).code == RATE_LIMIT:
                self._handling.add(session, call, began)
                session.replied()
                return _pause(session)
        self._handling.add(session, call, began)
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
        began: float,
    ) -> None:
        limit = asyncio.timeout(self.time_limit * (2 if call.audience is AT_PAGES else 1))
        error: ApiError | None = None
        try:
            async with limit:
                result = await handler
            resumed = self._answer(session, call, message, echo, result)
            if resumed:
                await self._refill(session, call, resumed, began)
                return
        except (Exception, asyncio.CancelledError) as problem:
            if isinstance(problem, asyncio.CancelledError) and _is_cancelled():
                raise
            if isinstance(problem, TimeoutError) and limit.expired():
                problem = ApiError("Timeout", "Timeout")
            error = self._failed(session, call, message, echo, problem)
        self._handling.add(session, call, began)
        session.replied()
        if error is not None and error.code == RATE_LIMIT:
            await asyncio.sleep(_pause_after(session))

    async def _refill(
        self, session: Session, call: Call, resumed: Sequence[Resumed], began: float
    ) -> None:
        """Send what streams have missed; if that fails, they end with an error."""
        for stream, read, after in resumed:
            try:
                await refill(session, stream, read, after)
            except Exception as problem:  # noqa: BLE001 - converted like those of a handler
                stream.finish(self._converted(session, problem, {}, call))
        self._handling.add(session, call, began)
        session.replied()

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
            if call.audience is not None:
                _check_page(session, call)
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
            _check_page(session, call)
        session.refusals = 0

    def _limited(
        self,
        session: Session,
        text: bytes,
        broken: str,
        began: float,
        message: Message | None = None,
    ) -> Coroutine[Any, Any, None]:
        """Refuse a message by a limit, parsed or not. Raises `Disconnect` after many in a row.

        Returns what is to be waited for before the next message is handled.

        The reply to a short message has a full echo. A message longer than `MAX_ECHO` is only
        searched for its call and `req_id`, so that refusing costs less than answering.
        """
        echo: Message = {}
        if len(text) > MAX_ECHO:
            if message is None:
                if not text.isascii():
                    check_utf8(text)
                message = skim(text)
        else:
            try:
                message = parse(text) if message is None else message
                _, secret = inspect_object(message, 1)
                echo = message
                if secret or not self._registry.secret_fields.isdisjoint(message):
                    echo = masked(message, self._registry.secret_fields)
            except ApiError:
                message = message or {}
        call = self._forms.call_of(message)
        error = rate_limit("messages" if call is None else call.name, broken)
        self._failed(session, call, message, echo, error)
        self._handling.add(session, call, began)
        session.replied()
        session.refusals += 1
        if session.refusals >= self._limiter.profile.refusals_in_a_row:
            raise Disconnect(
                REFUSED_CLOSE,
                f"{session.refusals} messages in a row exceeded a rate limit: send fewer",
            )
        return _pause(session)

    def _answer(
        self, session: Session, call: Call, message: Message, echo: Message, result: Any
    ) -> Sequence[Resumed]:
        """Send the replies; return the streams that were resumed, to be refilled."""
        if type(result) is dict:
            session.send(_encoded(_head(message, echo), result))
            return ()
        resumed: list[Resumed] = []
        if isinstance(result, list) and not result:
            raise TypeError("the call returned a list without an answer")
        for answer in result if isinstance(result, list) else (result,):
            if isinstance(answer, ApiError):
                self._failed(session, call, message, echo, answer)
            elif isinstance(answer, Stream):
                try:
                    opened = self._open(session, call, message, echo, answer)
                    if opened is not None and answer.missed is not None:
                        resumed.append((opened, answer.missed, answer.position or 0))
                except ApiError as refused:
                    if answer.optional:
                        _send(session, _head(message, echo), answer.first)
                    else:
                        self._failed(session, call, message, echo, refused)
            else:
                _send(session, _head(message, echo), answer)
        return resumed

    def _open(
        self, session: Session, call: Call, message: Message, echo: Message, stream: Stream[Any]
    ) -> Subscription | None:
        """Open a stream with its first reply; return it, unless it was open already."""
        if session.closed:
            return None
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
            return None
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
            send=session.send_event,
            forget=session.forget,
            stream_id=stream.id,
            holders=session.holders,
            implied=stream.implied,
            holds=stream.missed is not None,
        )
        # Encode first: a body that cannot be encoded must not leave a stream open.
        texts = [
            _encoded(dict(head), _under(subscription, stream, body))
            for body in (stream.first, *stream.more)
        ]
        give_back, recount = self._claim(session, call, stream, subscription)

        open_by_kind = self._handling.streams

        def close() -> None:
            self._bus.unsubscribe(stream.topic, subscription)
            open_by_kind[stream.kind] -= 1
            give_back()

        open_by_kind[stream.kind] += 1
        self._bus.subscribe(stream.topic, subscription)
        subscription.opened(close, recount)
        session.open(subscription)
        for text in texts:
            session.send(text)
        return subscription

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
    ) -> ApiError:
        """Answer a message with the error for a problem; return it. Raises `Disconnect` as is."""
        if isinstance(problem, Disconnect):
            raise problem
        name = call.name if call else "error"
        try:
            error = session.error = self._converted(session, problem, message, call)
            body = error.body()
            if call is not None and session.acting is not None:
                self._refused(session, session.acting, call.name, body["code"])
            if echo is not message:
                body = masked(body)
            _send(session, _head(message, echo), {"error": body}, msg_type=name)
        except Exception as worse:  # noqa: BLE001 - logged: the error cannot be built or encoded
            _log_failure(session, name, worse)
            error = session.error = internal_error()
            body = error.body()
            _send(session, _head(message, echo), {"error": body}, msg_type=name)
        return error

    def _converted(
        self, session: Session, problem: BaseException, message: Message, call: Call | None
    ) -> ApiError:
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
        _log_failure(session, call.name if call else None, problem)
        return internal_error()

    async def _refuse(
        self,
        session: Session,
        message: Message,
        echo: Message,
        refusal: ApiError,
        began: float,
    ) -> None:
        """Answer a connection that is not served, later with each attempt, and close it."""
        await asyncio.sleep(self._delay(session.address))
        self._failed(session, None, message, echo, refusal)
        self._handling.add(session, None, began)
        raise Disconnect(1008, refusal.message)

    def _delay(self, address: str) -> float:
        """Count a connection from this address that is not served; return its delay in seconds.

        That is 0.5 for each earlier one in the last minute, at most 5.
        """
        before = self._unknown_apps.count(address)
        self._unknown_apps.add(address)
        return 0.5 * min(before, 10)


def _pause_after(session: Session) -> float:
    """Return how many seconds a connection waits after a refusal by a limit."""
    return min(REFUSAL_PAUSE * max(1, session.refusals), MAX_REFUSAL_PAUSE)


def _pause(session: Session) -> Coroutine[Any, Any, None]:
    """Return what is left of a message that was refused by a limit: to wait for a while."""
    session.only_waits = True
    return asyncio.sleep(_pause_after(session))


def _named(session: Session, message: Message) -> Grant | None:
    """Return the grant for the account that a message names by `loginid`, if there is one."""
    wanted = message["loginid"]
    return session.grants.get(wanted) if type(wanted) is str else None


def _is_cancelled() -> bool:
    """Whether the current task is being cancelled, not only something that it awaited."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _permission_denied(call: Call) -> ApiError:
    names = call.scopes_in_order
    noun = "scope" if len(names) == 1 else "scopes"
    return permission_denied(f"{' or '.join(names)} {noun}")


def _keyed(
    session: Session, call: Call, passthrough: dict[str, Any], message: Message
) -> KeyedRequest | None:
    """Return the request with its idempotency key, if it has one.

    Raises `InputValidationFailed` for an invalid key.
    """
    assert call.key_lengths is not None  # noqa: S101 - the call takes keys
    key = key_of(passthrough, call.key_lengths[0])
    if key is None:
        return None
    acting = session.acting
    if call.audience is OPERATOR:
        owner = "operator"
    elif acting is None:
        owner = f"app {session.app_id}"
    else:
        owner = (
            f"{acting.loginid} app {acting.app_id}" if acting.app_id is not None else acting.loginid
        )
    return keyed_request(owner, call.name, key, message)


def _check_page(session: Session, call: Call) -> None:
    """Raise `PermissionDenied` for a call that another page than the client's may make."""
    if call.audience is AT_PAGES and not session.at_pages:
        raise permission_denied("a page of the gateway itself")
    if call.audience is OPERATOR and not session.is_operator:
        raise permission_denied("the operator's own sign-in at the gateway's page /operator")


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
    if stream.position is not None:
        body["position"] = stream.position
        if stream.gap is not None and reply_body is stream.first:
            body["gap"] = stream.gap._asdict()
    return body


def _send(session: Session, head: Message, body: Body, msg_type: str | None = None) -> None:
    session.send(_encoded(head, body, msg_type))


def _encoded(head: Message, body: Body, msg_type: str | None = None) -> bytes:
    head["msg_type"] = msg_type or next(iter(body))
    head.update(body)
    return orjson.dumps(head)


def _log_failure(session: Session, call: str | None, problem: BaseException) -> None:
    log.error(
        "a handler failed",
        session=session.id,
        message=session.messages,
        call=call,
        exc_info=_shown(problem),
    )


def _shown(problem: BaseException) -> BaseException:
    """Return the exception for the log: with its traceback, without tokens in its text."""
    if not any(isinstance(part, str) and holds_token(part) for part in problem.args):
        return problem
    shown = Exception(f"{type(problem).__name__}: {without_tokens(str(problem))}")
    return shown.with_traceback(problem.__traceback__)
