"""Forms of messages: what the keys of a message say, looked up once for all with the same keys.

Rules:
- Only sane keys without tokens are remembered, so what is kept is small.
- Validated requests are kept for messages of integers alone, which hold no personal data, and only
  if nothing in a request can change.
- When there are too many, all are forgotten: cheaper than to note which were used last.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from decimal import Decimal
from operator import itemgetter

from scopegate.gateway.calls.limits import Rate
from scopegate.gateway.calls.message import Message, inspect_keys
from scopegate.gateway.calls.registry import Call, Registry
from scopegate.schemas.fields import Request

MAX_FORMS = 1024
MAX_KEYS = 24
"""Keys of a message whose form is remembered."""
MAX_REQUESTS = 2048
"""Validated requests that are kept."""

_IMMUTABLE = frozenset({type(None), bool, int, float, str, Decimal})


@dataclass(frozen=True, slots=True)
class Form:
    """What the keys of a message say, whatever its values are."""

    call: Call | None
    """The call that they name, if there is one."""
    rate: Rate
    is_sane: bool
    holds_token: bool
    """Whether a key holds a token."""
    has_secret_field: bool
    names_account: bool
    values_of: Callable[[Message], Hashable] | None
    """Returns the values of a message but its `req_id`; `None` if they are not to be kept."""
    requests: dict[Hashable, Request] = field(default_factory=dict)
    """The validated requests of messages of integers, by these values."""


class Forms:
    """The forms of messages for the calls of a registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.known: dict[tuple[str, ...], Form] = {}
        """By the keys of a message, in their order."""
        self._kept_requests = 0

    def find(self, message: Message) -> Form:
        """Work out the form of a message, and remember it."""
        call = self.call_of(message)
        is_sane, holds_token = inspect_keys(message)
        has_secret_field = not self._registry.secret_fields.isdisjoint(message)
        form = Form(
            call=call,
            rate=Rate.GENERAL if call is None else call.rate,
            is_sane=is_sane,
            holds_token=holds_token,
            has_secret_field=has_secret_field,
            names_account="loginid" in message,
            values_of=None
            if call is None or not call.keeps_requests or has_secret_field
            else itemgetter(*(key for key in message if key != "req_id")),
        )
        if is_sane and not holds_token and len(message) <= MAX_KEYS:
            if len(self.known) >= MAX_FORMS:
                self._forget()
            self.known[tuple(message)] = form
        return form

    def call_of(self, message: Message) -> Call | None:
        """Return the call that a message names, if this gateway offers it."""
        name = self._registry.find(message)
        return None if name is None else self._registry.get(name)

    def keep(self, form: Form, values: Hashable, request: Request) -> None:
        """Keep the validated request of a message of integers for those with the same values."""
        if all(type(value) in _IMMUTABLE for value in request.__dict__.values()):
            self._kept_requests += 1
            if self._kept_requests > MAX_REQUESTS:
                self._forget()
            form.requests[values] = request

    def _forget(self) -> None:
        self.known.clear()
        self._kept_requests = 0


def validated(call: Call, message: Message) -> Request:
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
