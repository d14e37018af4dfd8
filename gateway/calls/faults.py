"""Faults that a client asks for: what happens to the messages of its connections, and when.

Rules:
- A fault decides from its seed, the number of the connection and the messages so far, and from
  nothing else: the same seed and the same messages give the same run. Nothing here does I/O.
- A fault changes what one connection is sent, or whether a message of it is handled. It never
  changes what the gateway stores, except that `EndToken` ends the client's own token.
- `times` and `skip` count over all connections of a fault, so that a bot that connects again does
  not meet the same fault for ever.
- A kind of fault is a subclass of `Fault`, whose fields are its options. What it does to one
  connection is its `Effect`.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from scopegate.gateway.calls.errors import ApiError, Disconnect
from scopegate.schemas.fields import Int, Text

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cut:
    """Ends the connection: with a close code, or without a close frame."""

    code: int | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """Leaves the connection half-open: nothing is sent or read any more."""


@dataclass(frozen=True, slots=True)
class EndToken:
    """Ends the token of the connection."""


End = Cut | Silence | EndToken


@dataclass(slots=True)
class Asked:
    """A message of the client that is about to be handled."""

    call: str
    """The name of its call; empty if it names none."""
    error: ApiError | None = None
    """The error that answers it instead of its handler."""
    end: End | None = None
    """What happens instead; after `EndToken` the message is handled."""


@dataclass(slots=True)
class Sent:
    """A message to the client that is about to be sent."""

    call: str | None
    """The call that it answers; `None` for an event of a stream."""
    messages: list[Message]
    """What is sent instead; to change a message, put another one into its place."""
    may_hold: bool = False
    """Whether it can be held back: an event, while no other is."""
    delay: float = 0.0
    """Real seconds until it is sent."""
    held: bool = False
    """Whether it is sent after the next event of its stream."""
    end: End | None = None
    """What happens once it is sent."""

    @property
    def is_event(self) -> bool:
        """Whether it is an event of a stream."""
        return self.call is None

    def succeeds(self, call: str) -> bool:
        """Whether it is the reply to this call, and not an error."""
        return self.call == call and bool(self.messages) and "error" not in self.messages[0]


class Counts(NamedTuple):
    """What a fault has seen so far, on all of its connections."""

    connections: int = 0
    skipped: int = 0
    strikes: int = 0


def _allowed_code(code: int) -> int:
    try:
        Disconnect(code, "")
    except ValueError:
        raise PydanticCustomError(
            "close_code", "Must be from 1000 to 1014, without 1004 to 1006, or from 3000 to 4999."
        ) from None
    return code


CallName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
CloseCode = Annotated[Int, AfterValidator(_allowed_code)]


class Fault(BaseModel):
    """One fault: its kind, which is its class, and its options."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: ClassVar[str]
    """The name by which it is asked for."""
    calls: ClassVar[tuple[str, ...]] = ("before", "after", "call")
    """The options that name a call."""

    chance: float = Field(1.0, gt=0, le=1, description="The share of the cases that it strikes.")
    times: Int | None = Field(
        None, ge=0, description="How often it strikes at most; 0 for any number."
    )
    skip: Int = Field(0, ge=0, description="The number of cases that it leaves alone first.")
    seed: Text = Field("0", pattern=r"^\S{1,64}$", description="What its random choices depend on.")

    def begin(self, strikes: Callable[[], bool], chosen: random.Random) -> "Effect[Any]":
        """Return what it does to a connection that begins now.

        `strikes` is called for each case that it is about, and returns whether it strikes. `chosen`
        makes all other random choices.
        """
        raise NotImplementedError

    @classmethod
    def sentence(cls) -> str:
        """Return the sentence that describes the kind."""
        return " ".join((cls.__doc__ or "").split("\n\n")[0].split())

    def options(self) -> dict[str, Any]:
        """Return the options that are not left at their defaults, as JSON values."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def calls_named(self) -> dict[str, str]:
        """Return the options that name a call, each with that name."""
        given = {name: getattr(self, name, None) for name in self.calls}
        return {name: value for name, value in given.items() if value is not None}

    def in_words(self) -> str:
        """Return it as the command line and the setting `fault` write it."""
        return " ".join([self.kind, *(f"{name}={value}" for name, value in self.options().items())])


FaultT = TypeVar("FaultT", bound=Fault)


class Effect(Generic[FaultT]):
    """What a fault does to one connection."""

    def __init__(self, fault: FaultT, strikes: Callable[[], bool], chosen: random.Random) -> None:
        self.fault = fault
        self.strikes = strikes
        self.chosen = chosen

    def asked(self, asked: Asked) -> None:
        """Change what becomes of a message of the client."""

    def sent(self, sent: Sent) -> None:
        """Change what the client is sent."""


@dataclass(eq=False)
class Course:
    """A fault in force, in this process: what it has done so far, on all of its connections."""

    fault: Fault
    changed: Callable[["Course"], None] = lambda course: None
    """Called when it has counted something."""
    counts: Counts = field(default_factory=Counts)

    def begin(self) -> Effect[Any]:
        """Return what it does to a connection that begins now."""
        number = self.counts.connections
        self._count(self.counts._replace(connections=number + 1))
        chosen = random.Random(f"{self.fault.kind} {self.fault.seed} {number}")  # noqa: S311
        return self.fault.begin(lambda: self._strikes(chosen), chosen)

    def _strikes(self, chosen: random.Random) -> bool:
        fault, counts = self.fault, self.counts
        if fault.times and counts.strikes >= fault.times:
            return False
        if counts.skipped < fault.skip:
            self._count(counts._replace(skipped=counts.skipped + 1))
            return False
        if fault.chance < 1 and chosen.random() >= fault.chance:
            return False
        self._count(counts._replace(strikes=counts.strikes + 1))
        return True

    def _count(self, counts: Counts) -> None:
        self.counts = counts
        self.changed(self)

    def counted_elsewhere(self, counts: Counts) -> None:
        """Note what another process has counted."""
        self.counts = Counts(*map(max, self.counts, counts))
