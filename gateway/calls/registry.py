"""Declaring calls: `@call` on a method, and the registry that collects and checks them.

Rules:
- A declaration has the call's whole policy. `needs` has no default.
- Types and documentation come from the method's signature and docstring; nothing is declared twice.
- A wrong declaration stops the start with a `DeclarationError` that names the call.
"""

import dis
import functools
import inspect
import re
import types
import typing
from collections.abc import (
    Callable,
    Collection,
    Coroutine,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Generic, Required, TypedDict, TypeVar, Union, Unpack

from pydantic import (
    PydanticUndefinedAnnotation,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
)
from typing_extensions import is_typeddict

from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.idempotency import (
    KEY_REUSED,
    MAX_KEY_LENGTH,
    OWN,
    SECRET,
    SECRET_KEY_LENGTH,
    Idempotency,
)
from scopegate.gateway.calls.limits import Rate
from scopegate.gateway.calls.resuming import Gap, Reader
from scopegate.gateway.calls.session import Session, Shape
from scopegate.schemas import error_codes
from scopegate.schemas.declared import Names, takes_declared
from scopegate.schemas.fields import Request
from scopegate.schemas.published import ALSO_FIELDS, PUBLISHED, SENSITIVE_FIELDS
from scopegate.schemas.scopes import SCOPES, Risk, Scope, Scopes
from scopegate.schemas.session_messages import PUBLISHED_STREAMS, STREAMS


class Audience(Enum):
    """What a call may require in place of a scope."""

    SIGNED_IN = "login"
    OWNER = "owner"
    AT_PAGES = "pages"
    OPERATOR = "operator"


SIGNED_IN: Final = Audience.SIGNED_IN
"""Requires a login, but no particular scope."""

OWNER: Final = Audience.OWNER
"""Requires the owner's sign-in at the gateway's pages; API tokens are refused, with any scopes."""

AT_PAGES: Final = Audience.AT_PAGES
"""Open to anybody, but only from a page that the gateway itself has served."""

OPERATOR: Final = Audience.OPERATOR
"""Requires the operator's sign-in at the gateway's page for operators; no token is enough."""

NO_APPS: Final = "not for apps"
"""The note in lists of calls for a call that refuses tokens of apps."""

Needs = Scope | Collection[Scope] | Audience | None
"""What a call requires: one scope, any one of several, an `Audience`, or nothing (`None`)."""

Body = Mapping[str, Any]
"""The call-specific part of a reply; its first key is the reply's `msg_type`."""

Errors = Mapping[type[Exception], Callable[[Any], ApiError]]
"""Types of exceptions, each with the function that converts one to an error for clients."""

BodyT = TypeVar("BodyT")
MethodT = TypeVar("MethodT", bound=Callable[..., Any])


class DeclarationError(Exception):
    """A wrong declaration; the text names the call or kind of stream and says what to change."""


@dataclass(frozen=True, slots=True)
class Stream(Generic[BodyT]):
    """What a handler returns to reply now and send later events as a stream.

    The subscription is made as soon as the handler returns: between reading the first value and
    returning there must be no `await`, or an event in between is lost.
    """

    kind: str
    """The kind of stream, as `forget_all` takes it."""
    key: Hashable
    """Identifies the stream: a session may have one stream with this key."""
    label: str
    """The name of the stream in the error `AlreadySubscribed`."""
    topic: Hashable
    """The topic of the bus on which its events are published."""
    first: BodyT
    """The body of the first reply."""
    msg_type: str
    """The `msg_type` of the events, and the name of the field that holds each."""
    since: int = 0
    """The position of the first reply: events at or before it are not sent."""
    shape: Shape = Shape.NAMED
    """The shape of its events."""
    more: Sequence[BodyT] = ()
    """Bodies that are sent right after the first reply, as events of the stream."""
    id: str | None = None
    """The id of the stream if the handler must choose it; otherwise it is generated."""
    max_per_session: int | None = None
    """How many streams of this kind one connection may have, if the kind has its own limit."""
    max_per_client: int | None = None
    """How many streams of this kind one client (a user, or else an address block) may have."""
    optional: bool = False
    """Whether the first reply is sent alone if the stream cannot be opened, because the call has
    taken effect."""
    position: int | None = None
    """The position that the first reply shows, if the stream can be resumed (`resuming`)."""
    missed: Reader | None = None
    """Reads what was missed after a position, if the stream is resumed; `position` is that one."""
    gap: Gap | None = None
    """What of that is not sent."""
    implied: bool = False
    """Whether the request did not ask for the stream explicitly. The same request again is then
    answered under the open stream, and a request that asks for the stream takes it over."""


class _Policy(TypedDict, total=False):
    needs: Required[Needs]
    app_tokens: bool
    rate: Rate
    streams: str | Collection[str]
    error_codes: Collection[str] | Mapping[str, str]
    idempotency: Idempotency


class _Declaration(typing.NamedTuple):
    name: str
    policy: _Policy


_MARK = "__scopegate_call__"
_ENVELOPE = {
    *("echo_req", "error", "msg_type", "passthrough", "req_id", "subscription", "loginid"),
    *("position", "gap"),
}
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)


def call(name: str, **policy: Unpack[_Policy]) -> Callable[[MethodT], MethodT]:
    """Declare a method as the handler of the call `name`.

    The method takes the request and the session. It returns a body, a `Stream`, or a list of these
    if one message has several replies; it raises `ApiError` to refuse. `needs` is what the caller
    must have, `rate` the group in which the call is counted. `app_tokens` is whether a token that
    was issued to an app, or created with one, may make it: by default it may, unless every scope in
    `needs` has a high risk. `streams` names the kinds of streams that it opens: by default, a
    method that returns a `Stream` opens one kind, with the name of the call. `error_codes` names
    the codes of the call's own errors, each with a sentence unless the gateway has that code too;
    the test clients then accept no others. `idempotency` is how it takes idempotency keys, if it
    does.
    """

    def declare(method: MethodT) -> MethodT:
        setattr(method, _MARK, _Declaration(name, policy))
        return method

    return declare


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One registered call."""

    name: str
    needs: Needs
    scopes: frozenset[str]
    """Any one of these is enough; empty if no scope is needed."""
    scopes_in_order: tuple[str, ...]
    """The same, in the order in which lists show them."""
    needs_login: bool
    audience: Audience | None
    """What it requires in place of a scope, if anything."""
    app_tokens: bool
    """Whether a token that was issued to an app, or created with one, may make it."""
    rate: Rate
    kinds: frozenset[str]
    """The kinds of streams that it may open."""
    names: Names
    """The names that its request may contain: scopes and kinds of streams of this gateway."""
    handler: type
    """The class with its handler, a method."""
    attribute: str
    """The name of the method."""
    description: str
    request: type[Request]
    replies: tuple[type, ...]
    """The `TypedDict`s of all bodies that it may return."""
    validate: Callable[[Any], Request] = field(init=False)
    """Converts the message to a request; raises pydantic's `ValidationError`."""
    invoke: Callable[[Any, Session], Coroutine[Any, Any, Any]]
    eager: bool
    """Whether its first step runs without a task; see `Registry.add`."""
    keeps_requests: bool
    """Whether a request is validated once for messages with the same values."""
    error_codes: Mapping[str, str] | None
    """The error codes that it may return, with their meanings; `None` if it declares none."""
    errors: Errors
    """The expected exceptions of its handler, with their conversion to errors for clients."""
    idempotency: Idempotency | None
    """How it takes idempotency keys; `None` if it ignores them."""
    records_replies: bool
    """Whether its reply is recorded under such a key."""
    key_lengths: tuple[int, int] | None
    """The fewest and the most characters of such a key."""

    def __post_init__(self) -> None:
        """Leave the validator until the first message needs it: all of them take a while."""
        object.__setattr__(self, "validate", self._validate_first)

    def _validate_first(self, message: Any) -> Request:
        self.request.model_rebuild()
        validate: Callable[..., Request] = self.request.__pydantic_validator__.validate_python
        if takes_declared(self.request):
            validate = functools.partial(validate, context=self.names)
        object.__setattr__(self, "validate", validate)
        return validate(message)

    @property
    def group(self) -> str:
        """The name of the handler class."""
        return self.handler.__name__

    @property
    def group_sentence(self) -> str:
        """The first paragraph of the handler class's docstring."""
        return _first_sentence(inspect.getdoc(self.handler) or "")

    @property
    def sentence(self) -> str:
        """The first paragraph of its description."""
        return _first_sentence(self.description)

    @property
    def needs_text(self) -> str:
        """What the call requires, in words."""
        if self.scopes:
            names = " or ".join(self.scopes_in_order)
        else:
            names = "nothing" if self.audience is None else self.audience.value
        return names if self.app_tokens else f"{names}, {NO_APPS}"


class Registry:
    """All registered calls, by name."""

    def __init__(self, scopes: Scopes) -> None:
        """`scopes` are those that the gateway declares; calls may need no others."""
        self.scopes = scopes
        self._kinds = dict.fromkeys(PUBLISHED_STREAMS)
        self.names: Names = {SCOPES: scopes, STREAMS: self._kinds}
        """The names that requests may contain: scopes, and kinds of streams."""
        self._calls: dict[str, Call] = {}
        self._fields: dict[str, frozenset[str]] = {
            name: ALSO_FIELDS.get(name, frozenset()) for name in PUBLISHED
        }
        self.secret_fields: frozenset[str] = SENSITIVE_FIELDS

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls.values())

    def __contains__(self, name: str) -> bool:
        return name in self._calls

    def __getitem__(self, name: str) -> Call:
        return self._calls[name]

    @staticmethod
    def declares_calls(handler: type) -> bool:
        """Whether a method of the class is a call."""
        return bool(_declarations(handler))

    def add(
        self,
        handler: object,
        *,
        trusted: bool,
        omit: frozenset[str] = frozenset(),
        errors: Errors = MappingProxyType({}),
    ) -> frozenset[str]:
        """Register the calls of the object's class, except those to `omit`; return those omitted.

        `errors` are the exceptions of its handlers that are not bugs. If `handler` is a class, not
        an object, its calls can be read, and made once there is an object (`bind`).

        `trusted` are handlers of which two things are known. Their first step needs no current
        task, so it runs at once and a task is created only if it suspends; Python 3.11 has no eager
        tasks, so `asyncio.timeout` would fail there. (Handlers that never wait need none, trusted
        or not.) And the validation of their requests depends on the message alone.
        """
        declaring = handler if isinstance(handler, type) else type(handler)
        group = declaring.__name__
        declarations = _declarations(declaring)
        if not declarations:
            raise DeclarationError(f"{group} has no calls: put @call on its methods")
        omitted: set[str] = set()
        for attribute, declaration in declarations:
            if declaration.name in omit:
                omitted.add(declaration.name)
                continue
            method = getattr(handler, attribute)
            new = self._declared(declaration, attribute, method, declaring, trusted, errors)
            if not trusted:  # the tests check our own calls; it takes a while
                _check_replies(new)
            self._add(new)
        return frozenset(omitted)

    def bind(self, made: Callable[[type], object]) -> None:
        """Have the calls of classes made by objects of theirs; `made` returns that of a class."""
        for each in self._calls.values():
            method = getattr(made(each.handler), each.attribute)
            object.__setattr__(each, "invoke", method)

    def _declared(
        self,
        declaration: _Declaration,
        attribute: str,
        method: Callable[..., Any],
        handler: type,
        trusted: bool,
        errors: Errors,
    ) -> Call:
        name, policy = declaration
        group = handler.__name__
        where = f'call "{name}" ({group}.{method.__name__})'
        if "needs" not in policy:
            raise DeclarationError(
                f"{where} has no needs=: give @call one scope, several, SIGNED_IN, OWNER,"
                " AT_PAGES, or None for anybody"
            )
        if name in _ENVELOPE:
            raise DeclarationError(
                f"{where}: every message may have a field of this name; rename the call"
            )
        description = inspect.getdoc(method)
        if not description:
            raise DeclarationError(
                f"{where} has no docstring: its first sentence is the documentation"
            )
        function = method.__func__ if inspect.ismethod(method) else method
        request, replies, streams = _signature(where, function)
        if name not in request.model_fields:
            raise DeclarationError(f"{where}: {request.__name__} has no field named {name!r}")
        if not inspect.iscoroutinefunction(method):
            raise DeclarationError(f"{where} is not a coroutine: write async def")
        if streams and policy.get("idempotency") not in (None, OWN):
            raise DeclarationError(
                f"{where} opens streams, so its reply cannot be recorded: leave out idempotency="
            )
        needs = policy["needs"]
        audience = needs if isinstance(needs, Audience) else None
        needed = self._needed(where, needs)
        scopes = frozenset(map(str, needed))
        if not trusted:
            _check_request(where, request)
        return Call(
            name=name,
            needs=needs,
            scopes=scopes,
            scopes_in_order=tuple(self.scopes.in_order(scopes)),
            needs_login=needs is not None and needs not in (AT_PAGES, OPERATOR),
            audience=audience,
            app_tokens=policy.get("app_tokens", not needed or not _are_managing(needed)),
            rate=policy.get("rate", Rate.GENERAL),
            kinds=_kinds(where, policy.get("streams", name if streams else ())),
            names=self.names,
            handler=handler,
            attribute=attribute,
            description=description,
            request=request,
            replies=replies,
            invoke=method,
            eager=trusted or _never_waits(function),
            keeps_requests=trusted,
            error_codes=_error_codes(where, policy, login=needs is not None, streams=streams),
            errors=errors,
            idempotency=policy.get("idempotency"),
            records_replies=policy.get("idempotency") not in (None, OWN),
            key_lengths=_key_lengths(policy.get("idempotency"), request),
        )

    def _needed(self, where: str, needs: Needs) -> list[Scope]:
        """Return the scopes of which a call needs one. Raises unless all of them are declared."""
        if needs is None or isinstance(needs, Audience):
            return []
        given: list[Any] = [needs] if isinstance(needs, str) else list(needs)
        if not given:
            raise DeclarationError(
                f"{where} has an empty needs=, so nobody could make the call: name a scope"
            )
        for scope in given:
            if not isinstance(scope, Scope):
                raise DeclarationError(
                    f"{where} needs {scope!r}, which is not a Scope: use one such as"
                    ' scopegate.READ or your own Scope("name", "What it allows.")'
                )
            if scope not in self.scopes:
                declared = ", ".join(self.scopes) or "none"
                raise DeclarationError(
                    f"{where} needs the scope {scope}, which this gateway does not declare (it has"
                    f" {declared}): name it in scopes= of your Plugin"
                )
        return given

    def describe(self, name: str, reply: type) -> None:
        """Replace the reply type of a call by one to which a plugin has added fields.

        Does nothing if the call is omitted.
        """
        if name in self._calls:
            self._calls[name] = replace(self._calls[name], replies=(reply,))

    def _add(self, new: Call) -> None:
        if new.name in self._calls:
            raise DeclarationError(
                f'call "{new.name}" is declared twice, by {self._calls[new.name].group}'
                f" and by {new.group}; leave one out by its name, with omit= or --omit-call"
            )
        fields = new.request.model_fields
        self._calls[new.name] = new
        self._kinds |= dict.fromkeys(sorted(new.kinds))
        self._fields[new.name] = frozenset(fields) - {new.name}
        self.secret_fields |= _sensitive(new.request)
        for other in sorted(self._fields[new.name] & self._fields.keys()):
            if new.name in self._fields[other]:
                raise DeclarationError(
                    f'calls "{new.name}" and "{other}" declare each other as fields: a message'
                    " with both would be ambiguous; rename one"
                )

    def find(self, message: Mapping[str, Any]) -> str | None:
        """Return the name of a message's call, registered or not; `None` if it names no call.

        If several keys are names of calls, it is the one whose request declares all the others as
        fields, else the first.
        """
        fields = self._fields
        first: str | None = None
        for key in message:
            if key in fields:
                if first is not None:
                    break
                first = key
        else:
            return first
        named = [key for key in message if key in fields]
        for name in named:
            if all(other in fields[name] for other in named if other != name):
                return name
        return first

    def get(self, name: str) -> Call | None:
        """Return the call of this name, if it is registered."""
        return self._calls.get(name)


@functools.cache  # tests start many gateways in one process
def _declarations(handler: type) -> tuple[tuple[str, _Declaration], ...]:
    """Return the names of the methods of a class that are calls, with their declarations."""
    return tuple(
        (attribute, getattr(member, _MARK))
        for attribute, member in inspect.getmembers(handler, callable)
        if hasattr(member, _MARK)
    )


@functools.cache
def _signature(
    where: str, function: Callable[..., Any]
) -> tuple[type[Request], tuple[type, ...], bool]:
    """Return the request's type, those of all bodies, and whether it may return a stream."""
    try:
        hints = typing.get_type_hints(function)
    except Exception as problem:
        raise DeclarationError(
            f"{where}: its types cannot be read: {problem}; import them outside of TYPE_CHECKING"
        ) from problem
    returned = hints.pop("return", None)
    parameters = list(inspect.signature(function).parameters)[1:]  # without `self`
    request = hints.get(parameters[0]) if len(parameters) == 2 else None
    if not (isinstance(request, type) and issubclass(request, Request)):
        raise DeclarationError(
            f"{where} must take (request, session), the request annotated with a Request"
        )
    own: set[str] = set()
    for kind in request.__mro__:
        if kind not in Request.__mro__:
            own.update(inspect.get_annotations(kind))
    if clash := sorted(own & Request.model_fields.keys()):
        raise DeclarationError(
            f"{where}: {request.__name__} declares {clash[0]}, which every message may have;"
            " rename the field"
        )
    replies = tuple(dict.fromkeys(_bodies(returned)))
    if not replies:
        raise DeclarationError(
            f"{where} must annotate what it returns: a TypedDict, or a Stream of one"
        )
    return request, replies, _may_stream(returned)


def _are_managing(scopes: Iterable[Scope]) -> bool:
    """Whether all of these scopes, as the call declares them, have a high risk."""
    return all(scope.risk >= Risk.HIGH for scope in scopes)


@functools.cache
def _never_waits(function: Callable[..., Any]) -> bool:
    """Whether a coroutine function has no `await`, `async with` or `async for`."""
    return not any(step.opname in _WAITING for step in dis.get_instructions(function))


_WAITING = {"GET_AWAITABLE", "GET_AITER", "BEFORE_ASYNC_WITH", "LOAD_SPECIAL", "YIELD_VALUE"}


def _may_stream(annotation: Any) -> bool:
    """Whether a return annotation contains a `Stream`."""
    origin = typing.get_origin(annotation) or annotation
    return origin is Stream or any(map(_may_stream, typing.get_args(annotation)))


def _kinds(where: str, named: str | Collection[str]) -> frozenset[str]:
    """Return the kinds of streams that a call may open. Raises if a name is invalid."""
    kinds = frozenset([named] if isinstance(named, str) else named)
    for kind in kinds:
        if not _KIND.fullmatch(kind):
            raise DeclarationError(
                f"{where}: {kind!r} is not a valid kind of streams: use lower-case letters,"
                " digits and underscores"
            )
    return kinds


def _bodies(annotation: Any) -> Iterator[type]:
    """Yield the `TypedDict`s of a return annotation, at any depth of unions, lists and streams."""
    if is_typeddict(annotation):
        yield annotation
    elif typing.get_origin(annotation) in (Union, types.UnionType, list, Stream):
        for part in typing.get_args(annotation):
            yield from _bodies(part)


def _key_lengths(idempotency: Idempotency | None, request: type[Request]) -> tuple[int, int] | None:
    """Return the fewest and the most characters of an idempotency key, if the call takes one.

    A request with a secret, such as a password, needs a long one too: its digest is stored.
    """
    if idempotency is None:
        return None
    names = request.model_fields.keys()
    has_secret = not names.isdisjoint(SENSITIVE_FIELDS) or bool(_sensitive(request))
    is_long = idempotency is SECRET or (idempotency is not OWN and has_secret)
    return SECRET_KEY_LENGTH if is_long else 1, MAX_KEY_LENGTH


def _sensitive(request: type[Request]) -> set[str]:
    """Return the names of the fields that are declared as secret."""
    return {
        name
        for name, field in request.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("sensitive")
    }


def _check_request(where: str, request: type[Request]) -> None:
    """Raise `DeclarationError` for a request that cannot be validated."""
    try:
        request.model_rebuild()
    except (PydanticUserError, PydanticUndefinedAnnotation) as problem:
        text = str(problem.message).splitlines()[0]
        raise DeclarationError(f"{where}: {request.__name__}: {text}") from problem


def _check_replies(call: Call) -> None:
    """Raise `DeclarationError` for a reply that has no JSON Schema for the description."""
    for reply in call.replies:
        problem = _undescribed(reply)
        if problem is not None:
            raise DeclarationError(f'call "{call.name}" returns {reply.__name__}: {problem}')


def _error_codes(
    where: str, policy: _Policy, *, login: bool, streams: bool
) -> Mapping[str, str] | None:
    """Return every error code that a call may return; `None` if it declares none of its own."""
    own = policy.get("error_codes")
    if own is None:
        return None
    if isinstance(own, str):
        raise DeclarationError(f"{where}: error_codes= takes several codes: write ({own!r},)")
    if not isinstance(own, Mapping):
        unknown = [code for code in own if code not in error_codes.OF_CALLS]
        if unknown:
            raise DeclarationError(
                f"{where}: the gateway has no error code {unknown[0]}: give error_codes= a mapping"
                " from your code to a sentence that says what it means"
            )
        own = {code: error_codes.OF_CALLS[code] for code in own}
    if policy.get("idempotency") not in (None, OWN):
        own = {KEY_REUSED: error_codes.OF_CALLS[KEY_REUSED], **own}
    general = dict(error_codes.ANY_CALL)
    if login:
        general |= error_codes.NEEDS_LOGIN
    if streams:
        general |= error_codes.SUBSCRIBES
    return MappingProxyType(
        {**dict(sorted(own.items())), **{k: v for k, v in general.items() if k not in own}}
    )


@functools.cache  # tests start many gateways in one process
def _undescribed(reply: type) -> str | None:
    """Return why a type has no JSON Schema; `None` if it has one."""
    try:
        TypeAdapter[Any](reply).json_schema()
    except PydanticUserError as problem:
        return str(problem.message).splitlines()[0]
    return None


def _first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())


def problems_of(invalid: ValidationError, sent: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return a sentence for each invalid field of a request, without its value.

    Fields are named as they were `sent`: a single value in place of a list has no index.
    """
    problems: dict[str, str] = {}
    for error in invalid.errors(include_url=False, include_context=False, include_input=False):
        loc = error["loc"]
        field = ".".join(map(str, loc if sent is None else _as_sent(loc, sent)))
        text = "Unknown field." if error["type"] == "extra_forbidden" else error["msg"]
        problems.setdefault(field, text if text.endswith(".") else text + ".")
    return problems


def _as_sent(loc: tuple[int | str, ...], sent: Any) -> Iterator[int | str]:
    """Yield the path of an invalid field, without indexes into values not sent as lists."""
    for part in loc:
        if type(sent) is dict and part in sent:
            sent = sent[part]
        elif type(part) is int:
            if type(sent) is not list:
                continue
            sent = sent[part] if part < len(sent) else None
        yield part
