"""What is looked up once for all messages with the same keys, or validated for the same values."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import Field
from typing_extensions import TypedDict

from scopegate.composition import declared
from scopegate.gateway.calls import forms
from scopegate.gateway.calls.bus import Bus
from scopegate.gateway.calls.counting import ConcurrencyLimiter, FailureCounter, RateLimiter
from scopegate.gateway.calls.dispatch import Dispatcher
from scopegate.gateway.calls.forms import MAX_FORMS, MAX_KEYS
from scopegate.gateway.calls.handling import Handling
from scopegate.gateway.calls.limits import PROFILES
from scopegate.gateway.calls.recorded_replies import RecordedReplies
from scopegate.gateway.calls.registry import Registry, call
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.schemas.fields import Int, OneOrMore, Request, Text, secret
from scopegate.schemas.scopes import Scopes
from scopegate.store.sqlite import SqliteStore
from scopegate.testing import World


class Note(Request):
    """Asks to note something."""

    note: Int
    text: Text = ""
    numbers: OneOrMore[Int] | None = None
    pin: Text | None = secret(None, description="A secret.")
    moment: int = Field(default_factory=itertools.count().__next__)


class NoteReply(TypedDict):
    note: int


class Notes:
    """Keeps the requests that it gets."""

    def __init__(self) -> None:
        self.requests: list[Note] = []

    @call("note", needs=None)
    async def note(self, request: Note, session: Session) -> NoteReply:
        """Keep the request."""
        self.requests.append(request)
        return {"note": len(self.requests)}


Ask = Callable[..., Any]


class Asked:
    """A dispatcher with one handler, and what came of the messages that it was given."""

    def __init__(self, *, trusted: bool = True) -> None:
        registry = Registry(Scopes(SCOPES))
        self.notes = Notes()
        registry.add(self.notes, trusted=trusted)
        self.dispatcher = Dispatcher(
            registry,
            Bus(),
            RateLimiter(PROFILES["open"]),
            ConcurrencyLimiter(),
            used=lambda *_: None,
            refused=lambda *_: None,
            refusal=lambda _: None,
            unknown_apps=FailureCounter(),
            handling=Handling(),
            replies=RecordedReplies(SqliteStore(Path("unused.db"))),
        )
        self._sent: list[bytes] = []
        self._session = Session(self._sent.append)

    def ask(self, **message: Any) -> Any:
        assert self.dispatcher.handle(self._session, orjson.dumps(message)) is None
        return orjson.loads(self._sent[-1])

    def kept(self, **message: Any) -> bool:
        """Whether two messages with these fields and different ids have one request."""
        for number in (7, 8):
            reply = self.ask(**message, req_id=number)
            assert "error" not in reply
            assert reply["req_id"] == number
        first, second = self.notes.requests[-2:]
        assert first.req_id is None
        assert second.req_id is None
        return first is second


def test_only_integers_are_kept_and_requests_that_cannot_change() -> None:
    asked = Asked()
    assert asked.kept(note=1)
    assert asked.kept(note=1, text=5)
    assert not asked.kept(note=1, text="a text")  # it may be personal
    assert asked.kept(note=2)
    assert not asked.kept(note=1, numbers=[1, 2])
    assert not asked.kept(note=1, numbers=3)  # the request has a list
    assert not asked.kept(note=1.0)
    assert not asked.kept(note=1, text="a text that is longer than any that is looked at closer")
    assert not asked.kept(note=1, passthrough={"mine": 1})
    assert not asked.kept(note=1, pin="1234")


def test_values_of_other_types_are_other_values() -> None:
    asked = Asked()
    assert asked.ask(note=1)["note"] == 1
    for wrong in (True, 1.5, "1.0", "one", None, [1]):
        assert asked.ask(note=wrong)["error"]["code"] == "InputValidationFailed"
    assert asked.ask(note="1")["note"] == 2
    assert asked.ask(note=1, text=5)["note"] == 3
    assert asked.ask(note=1, text="5")["note"] == 4
    assert [request.text for request in asked.notes.requests[2:]] == ["5", "5"]


@pytest.mark.parametrize("req_id", [True, "x", 1.5, [], None, "1e3"])
def test_a_wrong_id_is_refused_whatever_is_kept(req_id: Any) -> None:
    asked = Asked()
    assert asked.kept(note=1)
    assert asked.ask(note=1, req_id=req_id)["error"]["details"].keys() == {"req_id"}


@pytest.mark.parametrize("req_id", ["5", 5.0])
def test_an_id_in_another_form_comes_back_and_reaches_no_handler(req_id: Any) -> None:
    asked = Asked()
    assert asked.ask(note=1, req_id=req_id)["req_id"] == 5
    assert asked.notes.requests[-1].req_id is None


def test_a_call_of_a_plugin_is_validated_each_time() -> None:
    asked = Asked(trusted=False)
    assert not asked.kept(note=1)
    first, second = asked.notes.requests[-2:]
    assert second.moment > first.moment


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "MAX_REQUESTS", 10)
    asked = Asked()
    for number in range(100):
        asked.ask(note=number)
        known = asked.dispatcher._forms.known.values()
        assert sum(len(form.requests) for form in known) <= 10
    assert asked.kept(note=1)


def test_what_our_calls_make_of_a_message_depends_on_it_alone() -> None:
    made = [
        f"{each.name}.{name}"
        for each in declared()
        for name, field in each.request.model_fields.items()
        if field.default_factory is not None
    ]
    assert made == []


async def test_what_keys_say_is_remembered_for_few_and_short_ones_alone(world: World) -> None:
    found = world.gateway.connect.dispatcher._forms
    client = world.connect()
    await client.ask({"ping": 1})
    before = len(found.known)
    await client.ask({"ping": 1})
    assert len(found.known) == before
    await client.ask({"ping": 1, "k" * 51: 1})
    await client.ask({"ping": 1, "not a key": 1})
    await client.ask({"ping": 1, "k" * 10_000: 1})
    await client.ask({"ping": 1, **{f"k{number}": 1 for number in range(MAX_KEYS)}})
    assert len(found.known) == before
    for number in range(MAX_FORMS + 10):
        await client.ask({"ping": 1, f"k{number}": 1})
    assert len(found.known) <= MAX_FORMS
    assert (await client.ask({"ping": 1}))["ping"] == "pong"


async def test_what_keys_say_depends_on_their_order_and_not_on_values(world: World) -> None:
    client = world.connect()
    assert await client.refused({"nonsense": 1, "ping": 2}) == "InputValidationFailed"
    assert (await client.ask({"ping": 1}))["ping"] == "pong"
    assert await client.refused({"ping": "x"}) == "InputValidationFailed"
    assert await client.refused({"ping": 2**60}) == "SanityCheckFailed"
    first = await client.ask({"ping": 1, "time": 1})
    other = await client.ask({"time": 1, "ping": 1})
    assert (first["msg_type"], other["msg_type"]) == ("ping", "time")
