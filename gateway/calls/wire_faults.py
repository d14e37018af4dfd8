"""The kinds of faults of every gateway: of the network, of the connection, and of its token.

Rules:
- A plugin that offers more has a subclass of `FaultKinds`, and a service that is a function
  annotated to return `FaultKinds`.
- An invalid fault is refused with every kind, or with every option of its kind.
"""

import random
from collections.abc import Callable, Container, Mapping
from typing import Any, ClassVar, Self, TypeVar

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from scopegate.gateway.calls.errors import (
    ApiError,
    input_validation_failed,
    internal_error,
    rate_limit,
)
from scopegate.gateway.calls.faults import (
    Asked,
    CallName,
    CloseCode,
    Cut,
    Effect,
    End,
    EndToken,
    Fault,
    Message,
    Sent,
    Silence,
)
from scopegate.gateway.calls.registry import problems_of
from scopegate.gateway.calls.session import Grant
from scopegate.schemas.fields import Int


class Latency(Fault):
    """Everything that the gateway sends arrives later, in the same order."""

    kind = "latency"
    milliseconds: Int = Field(200, ge=0, le=60_000, description="How much later, in real time.")
    jitter: Int = Field(
        0, ge=0, le=60_000, description="Up to this many milliseconds more, at random."
    )

    def begin(self, strikes: Callable[[], bool], chosen: random.Random) -> "Effect[Any]":
        """Return what it does to a connection."""
        return _Latency(self, strikes, chosen)


class _Latency(Effect[Latency]):
    def sent(self, sent: Sent) -> None:
        if self.strikes():
            late = self.fault.milliseconds + self.chosen.random() * self.fault.jitter
            sent.delay += late / 1000


class LostReply(Fault):
    """A call is handled and what it does is stored, but its reply never comes."""

    kind = "lost_reply"
    times: Int | None = Field(1, ge=0, description="How often at most; 0 for any number.")
    after: CallName = Field(description="The call whose reply is lost.")

    def begin(self, strikes: Callable[[], bool], chosen: random.Random) -> "Effect[Any]":
        """Return what it does to a connection."""
        return _LostReply(self, strikes, chosen)


class _LostReply(Effect[LostReply]):
    def sent(self, sent: Sent) -> None:
        if sent.succeeds(self.fault.after) and self.strikes():
            sent.messages = []


class _OfEvents(Fault):
    event: CallName | None = Field(
        None, description="The msg_type of the events that it is about; all by default."
    )

    def is_about(self, sent: Sent) -> bool:
        """Whether a message is an event that it is about."""
        if not sent.is_event or not sent.messages:
            return False
        return self.event in (None, sent.messages[0].get("msg_type"))


class DuplicateEvents(_OfEvents):
    """Events of streams arrive twice."""

    kind = "duplicate_events"

    def begin(self, strikes: Callable[[], bool], chosen: random.Random) -> "Effect[Any]":
        """Return what it does to a connection."""
        return _DuplicateEvents(self, strikes, chosen)


class _DuplicateEvents(Effect[DuplicateEvents]):
    def sent(self, sent: Sent) -> None:
        if self.fault.is_about(sent) and self.strikes():
            sent.messages = [*sent.messages, *sent.messages]


class ReorderEvents(_OfEvents):
    """An event of a stream arrives after the next one of that stream."""

    kind = "reorder_events"

    def begin(self, strikes: Callable[[], bool], chosen: random.Random) -> "Effect[Any]":
        """Return what it does to a connection."""
        return _ReorderEvents(self, strikes, chosen)


class _ReorderEvents(Effect[ReorderEvents]):
    def sent(self, sent: Sent) -> None:
        if sent.may_hold and self.fault.is_about(sent) and self.strikes():
            sent.held = True


class _AtACall(Fault):
    """Something that happens before or after a call, once by default."""

    times: Int | None = Field(1, ge=0, description="How often at most; 0 for any number.")
    before: CallName | None = Field(
        None, description="The call before which it happens: that one is not handled."
    )
    after: CallName | None = Field(
        None, description="The call after which it happens: that one is handled."
    )
    keeps_reply: ClassVar[bool] = False
    """Whether the reply to the call after which it happens is sent."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.before is None) == (self.after is None):
            raise PydanticCustomError(
                "at_a_call", "Give before or after, with the name of a call, and not both."
            )
        return self

    def end(self) -> End:
        """Return what happens."""
        raise NotImplementedError

    def begin(self, strikes: Callable[[], bool], chosen: random.Random) -> "Effect[Any]":
        """Return what it does to a connection."""
        return _AtTheCall(self, strikes, chosen)


class _AtTheCall(Effect[_AtACall]):
    def asked(self, asked: Asked) -> None:
        if asked.call == self.fault.before and self.strikes():
            asked.end = self.fault.end()

    def sent(self, sent: Sent) -> None:
        after = self.fault.after
        if after is not None and sent.succeeds(after) and self.strikes():
            sent.end = self.fault.end()
            if not self.fault.keeps_reply:
                sent.messages = []


class Drop(_AtACall):
    """The connection ends at a call: before it is handled, or after it and without its reply."""

    kind = "drop"
    code: CloseCode | None = Field(
        None, description="The close code; by default it ends without a close frame."
    )

    def end(self) -> End:
        """Return what happens."""
        return Cut(self.code)


class DropAtRandom(Fault):
    """The connection ends at a random message of the gateway, which is lost."""

    kind = "drop_at_random"
    chance: float = Field(0.05, gt=0, le=1, description="The chance of each message.")
    code: CloseCode | None = Field(
        None, description="The close code; by default it ends without a close frame."
    )

    def begin(self, strikes: Callable[[], bool], chosen: random.Random) -> "Effect[Any]":
        """Return what it does to a connection."""
        return _DropAtRandom(self, strikes, chosen)


class _DropAtRandom(Effect[DropAtRandom]):
    def sent(self, sent: Sent) -> None:
        if self.strikes():
            sent.messages, sent.end = [], Cut(self.fault.code)


class HalfOpen(_AtACall):
    """From a call on nothing more comes, not even a pong, and the connection does not close."""

    kind = "half_open"

    def end(self) -> End:
        """Return what happens."""
        return Silence()


class RevokeToken(_AtACall):
    """The token of the connection is revoked at a call, and cannot be used again."""

    kind = "revoke_token"
    keeps_reply = True

    def end(self) -> End:
        """Return what happens."""
        return EndToken()


class Refusal(Fault):
    """Calls are answered with an error; they are not handled."""

    times: Int | None = Field(1, ge=0, description="How often at most; 0 for any number.")
    call: CallName | None = Field(None, description="The call that it is about; any by default.")

    def error(self, call: str) -> ApiError:
        """Return the error."""
        raise NotImplementedError

    def begin(self, strikes: Callable[[], bool], chosen: random.Random) -> "Effect[Any]":
        """Return what it does to a connection."""
        return _Refusing(self, strikes, chosen)


class _Refusing(Effect[Refusal]):
    def asked(self, asked: Asked) -> None:
        if asked.call and self.fault.call in (None, asked.call) and self.strikes():
            asked.error = self.fault.error(asked.call)


class RateLimited(Refusal):
    """A call is answered with the error `RateLimit`; it is not handled."""

    kind = "rate_limit"

    def error(self, call: str) -> ApiError:
        """Return the error."""
        return rate_limit(call, "1 call a minute")


class InternalError(Refusal):
    """A call is answered with the error `InternalServerError`; it is not handled."""

    kind = "internal_error"

    def error(self, call: str) -> ApiError:
        """Return the error."""
        return internal_error()


class WrongClock(Fault):
    """The clock of the gateway is wrong: every time that it sends is later or earlier."""

    kind = "wrong_clock"
    seconds: Int = Field(
        30, ge=-86_400, le=86_400, description="How far ahead it is; behind if below 0."
    )
    moments: ClassVar[frozenset[str]] = frozenset({"time"})
    """The fields that hold a time in epoch seconds, or a list of them."""

    def begin(self, strikes: Callable[[], bool], chosen: random.Random) -> "Effect[Any]":
        """Return what it does to a connection."""
        return _WrongClock(self, strikes, chosen)


_OF_THE_CLIENT = frozenset({"echo_req", "passthrough", "req_id"})
"""The fields of a message that come from the client's own."""


class _WrongClock(Effect[WrongClock]):
    def sent(self, sent: Sent) -> None:
        changed: list[Message] = []
        for message in sent.messages:
            other = {
                name: value if name in _OF_THE_CLIENT else self._shown(name, value)
                for name, value in message.items()
            }
            changed.append(other if other != message and self.strikes() else message)
        sent.messages = changed

    def _shown(self, name: str, value: Any) -> Any:
        if type(value) is dict:
            return {key: self._shown(key, each) for key, each in value.items()}
        if type(value) is list:
            return [self._shown(name, each) for each in value]
        if name not in self.fault.moments:
            return value
        if type(value) is int:
            return value + self.fault.seconds
        if type(value) is str and value.isdigit():
            return str(int(value) + self.fault.seconds)
        return value


T = TypeVar("T", bound=type[Fault])


class FaultKinds:
    """The kinds of faults that clients of a gateway can ask for; here those of the gateway."""

    kinds: tuple[type[Fault], ...] = (
        Latency,
        LostReply,
        DuplicateEvents,
        ReorderEvents,
        Drop,
        DropAtRandom,
        HalfOpen,
        RevokeToken,
        RateLimited,
        InternalError,
        WrongClock,
    )

    def admits(self, grant: Grant) -> bool:
        """Whether an owner may ask for faults on connections with this grant."""
        return self.is_for_tests(grant.account)

    def is_for_tests(self, facts: object) -> bool:
        """Whether an owner may ask for faults on an account; `facts` is what a plugin stores."""
        return True

    def checked(
        self,
        kind: str,
        options: Mapping[str, Any],
        calls: Container[str] | None = None,
        kind_field: str = "kind",
    ) -> Fault:
        """Return a fault. `calls` are the calls that it may name; any if it is `None`.

        `kind_field` is the field of the request that holds the kind.

        Raises `InputValidationFailed` if it is invalid, which lists what there is.
        """
        found = self.by_name().get(kind)
        if found is None:
            names = ", ".join(self.by_name())
            problem = f"There is no fault {kind[:50]!r}. There are: {names}."
            raise input_validation_failed({kind_field: problem})
        try:
            fault = found.model_validate(dict(options))
        except ValidationError as invalid:
            problems = problems_of(invalid, options)
            raise input_validation_failed(
                {
                    f"options.{name}" if name else "options": f"{problem} {options_in_words(found)}"
                    for name, problem in problems.items()
                }
            ) from None
        for option, name in fault.calls_named().items():
            if calls is not None and name not in calls:
                raise input_validation_failed(
                    {f"options.{option}": f"There is no call {name}. docs/calls lists all."}
                )
        return fault

    def parsed(self, text: str, calls: Container[str] | None = None) -> Fault:
        """Return the fault that a text such as `drop after=buy times=2` names.

        Raises `InputValidationFailed` like `checked`.
        """
        kind, *rest = text.split() or [""]
        options = {}
        for part in rest:
            name, equals, value = part.partition("=")
            if not equals:
                found = self.by_name().get(kind)
                words = "" if found is None else f" {options_in_words(found)}"
                raise input_validation_failed(
                    {"options": f"{part[:50]!r} is not of the form name=value.{words}"}
                )
            options[name] = value
        return self.checked(kind, options, calls)

    def by_name(self) -> dict[str, type[Fault]]:
        """Return every kind by its name."""
        return {each.kind: each for each in self.kinds}


def options_in_words(kind: type[Fault]) -> str:
    """Return a sentence that lists the options of a kind."""
    return f"The options of {kind.kind} are: {', '.join(kind.model_fields)}."
