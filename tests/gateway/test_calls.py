"""Declaring calls: what is refused at the start, and what the refusal says."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typing_extensions import TypedDict

from scopegate import testing
from scopegate.app import compose
from scopegate.composition import declared
from scopegate.exchange.feed import Feed
from scopegate.gateway.calls.registry import (
    SIGNED_IN,
    DeclarationError,
    Registry,
    call,
    problems_of,
)
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange.exchange_scopes import ADMIN, PAYMENTS, READ, SCOPES, TRADE
from scopegate.runtime.clock import HandClock
from scopegate.schemas.fields import Int, One, Request
from scopegate.schemas.general_messages import Limits, LimitsReply, Ping, Pong, Time, TimeReply
from scopegate.schemas.published import PUBLISHED
from scopegate.schemas.scopes import Scopes
from scopegate.settings import chosen
from scopegate.testing import NOON, World
from tests import counted_calls


class Greet(Request):
    """Asks for a greeting."""

    greet: One


class GreetReply(TypedDict):
    greet: str


class Fine:
    """Greets."""

    @call("greet", needs=None)
    async def greet(self, request: Greet, session: Session) -> GreetReply:
        """Greet the client.

        At length.
        """
        return {"greet": "Hello"}


def refusal(handler: object, registry: Registry | None = None) -> str:
    with pytest.raises(DeclarationError) as refused:
        (registry or Registry(Scopes(SCOPES))).add(handler, trusted=True)
    return str(refused.value)


def test_a_declaration_says_everything() -> None:
    registry = Registry(Scopes(SCOPES))
    registry.add(Fine(), trusted=False)
    (found,) = registry
    assert (found.name, found.group, found.sentence) == ("greet", "Fine", "Greet the client.")
    assert found.needs_text == "nothing"
    assert found.replies == (GreetReply,)
    assert found.eager  # it never waits


def test_managing_calls_are_closed_to_apps_by_default() -> None:
    """A plugin does not open a managing call to apps by omission."""
    for needs, given, expected in (
        (ADMIN, {}, False),
        (PAYMENTS, {}, False),
        ((ADMIN, PAYMENTS), {}, False),
        (ADMIN, {"app_tokens": True}, True),
        ((READ, PAYMENTS), {}, True),
        (TRADE, {}, True),
        (TRADE, {"app_tokens": False}, False),
        (SIGNED_IN, {"app_tokens": False}, False),
        (None, {}, True),
        (SIGNED_IN, {}, True),
    ):

        class Handler:
            """Greetings."""

            @call("greet", needs=needs, **given)  # type: ignore[arg-type]
            async def greet(self, request: Greet, session: Session) -> GreetReply:
                """Greet the client."""
                return {"greet": "Hello"}

        registry = Registry(Scopes(SCOPES))
        registry.add(Handler(), trusted=False)
        assert registry["greet"].app_tokens is expected, needs
        assert ("not for apps" in registry["greet"].needs_text) is not expected


class WithAnId(Greet):
    """Declares a field that belongs to every message."""

    req_id: Int


def test_a_field_of_every_message_cannot_be_declared_again() -> None:
    class Bad:
        @call("greet", needs=None)
        async def hello(self, request: WithAnId, session: Session) -> GreetReply:
            """Greet."""
            return {"greet": "Hello"}

    with pytest.raises(DeclarationError, match="WithAnId declares req_id, which every message"):
        Registry(Scopes(SCOPES)).add(Bad(), trusted=False)


class Strange:
    """Nothing that JSON has."""


class StrangeReply(TypedDict):
    greet: Strange


def test_a_strangers_reply_that_cannot_be_described_is_refused_at_the_start() -> None:
    class Bad:
        @call("greet", needs=None)
        async def hello(self, request: Greet, session: Session) -> StrangeReply:
            """Greet."""
            return {"greet": Strange()}

    with pytest.raises(DeclarationError, match=r'call "greet" returns StrangeReply: .*Strange'):
        Registry(Scopes(SCOPES)).add(Bad(), trusted=False)


def test_a_strangers_request_that_cannot_be_validated_is_refused_at_the_start() -> None:
    class Grow(Request):
        grow: One
        plant: World

    class Garden:
        @call("grow", needs=None)
        async def grow(self, request: Grow, session: Session) -> GreetReply:
            """Grow a plant."""
            return {"greet": "grown"}

    with pytest.raises(DeclarationError, match=r'"grow" \(Garden.grow\): Grow: .*World'):
        Registry(Scopes(SCOPES)).add(Garden(), trusted=False)


def test_a_request_of_ours_is_built_when_it_is_needed() -> None:
    """All of them take a tenth of a second, which a start need not wait for."""

    class Look(Request):
        look: One

    class Lookout:
        @call("look", needs=None)
        async def look(self, request: Look, session: Session) -> GreetReply:
            """Look."""
            return {"greet": "seen"}

    registry = Registry(Scopes(SCOPES))
    registry.add(Lookout(), trusted=True)
    assert not Look.__pydantic_complete__
    [found] = registry
    assert found.validate({"look": 1}) == Look(look=1)
    assert Look.__pydantic_complete__


def test_a_call_without_needs_is_refused_by_name() -> None:
    class Bad:
        @call("greet")  # type: ignore[call-arg]
        async def hello(self, request: Greet, session: Session) -> GreetReply:
            """Greet."""
            return {"greet": ""}

    assert 'call "greet" (Bad.hello) has no needs=' in refusal(Bad())


@pytest.mark.parametrize("needs", ["typo", "read", [READ, "typo"], [1]])
def test_what_is_no_scope_is_refused_by_name(needs: Any) -> None:
    """Not even the name of a scope: who misspells it would open the call to nobody, or to all."""

    class Bad:
        @call("greet", needs=needs)
        async def greet(self, request: Greet, session: Session) -> GreetReply:
            """Greet."""
            return {"greet": ""}

    told = refusal(Bad())
    assert 'call "greet" (Bad.greet) needs ' in told
    assert "which is not a Scope" in told


def test_a_call_without_a_docstring_is_refused() -> None:
    class Bad:
        @call("greet", needs=None)
        async def greet(self, request: Greet, session: Session) -> GreetReply:
            return {"greet": ""}

    assert "no docstring" in refusal(Bad())


def test_a_call_declared_twice_is_refused() -> None:
    registry = Registry(Scopes(SCOPES))
    registry.add(Fine(), trusted=True)
    assert 'call "greet" is declared twice, by Fine and by Fine' in refusal(Fine(), registry)


def test_a_request_without_the_naming_field_is_refused() -> None:
    class Bad:
        @call("hello", needs=None)
        async def hello(self, request: Greet, session: Session) -> GreetReply:
            """Greet."""
            return {"greet": ""}

    assert "Greet has no field named 'hello'" in refusal(Bad())


def test_a_method_that_is_no_coroutine_is_refused() -> None:
    class Bad:
        @call("greet", needs=None)
        def greet(self, request: Greet, session: Session) -> GreetReply:
            """Greet."""
            return {"greet": ""}

    assert "write async def" in refusal(Bad())


def test_needs_of_no_scope_at_all_is_refused() -> None:
    class Bad:
        @call("greet", needs=())
        async def greet(self, request: Greet, session: Session) -> GreetReply:
            """Greet."""
            return {"greet": ""}

    assert "nobody could make the call" in refusal(Bad())


def test_signatures_must_be_whole() -> None:
    class NoRequest:
        @call("greet", needs=None)
        async def greet(self, session: Session) -> GreetReply:
            """Greet."""
            return {"greet": ""}

    class NoReply:
        @call("greet", needs=None)
        async def greet(self, request: Greet, session: Session) -> None:
            """Greet."""

    assert "must take (request, session)" in refusal(NoRequest())
    assert "must annotate what it returns" in refusal(NoReply())
    assert "has no calls" in refusal(object())


def test_calls_that_declare_each_other_are_refused() -> None:
    class Left(Request):
        """Left."""

        left: One
        right: int | None = None

    class Right(Request):
        """Right."""

        right: One
        left: int | None = None

    class Both:
        @call("left", needs=None)
        async def one(self, request: Left, session: Session) -> GreetReply:
            """Go left."""
            return {"greet": ""}

        @call("right", needs=None)
        async def two(self, request: Right, session: Session) -> GreetReply:
            """Go right."""
            return {"greet": ""}

    # get_type_hints looks names up in the module, not in this function.
    globals().update(Left=Left, Right=Right)
    assert "declare each other" in refusal(Both())


def test_problems_name_the_field_and_not_the_value() -> None:
    with pytest.raises(ValidationError) as invalid:
        Greet.model_validate({"greet": "sesame", "open": "sesame"})
    problems = problems_of(invalid.value)
    assert problems == {"greet": "Must be an integer.", "open": "Unknown field."}


def test_all_offered_calls_are_there_without_a_gateway() -> None:
    offered = declared()
    assert "ping" in offered
    assert "balance" in offered
    own = [found for found in offered if found.name not in PUBLISHED]
    assert {found.group for found in own} == {
        *(
            "Accounts",
            "Apps",
            "Consent",
            "CopyTrading",
            "FaultInjection",
            "General",
            "Offerings",
            "Operator",
            "Oversight",
            "Pages",
            "RestrictedTokens",
        ),
    }
    assert "greet" not in offered
    assert "behave" in declared(["tests.plugins"])


async def test_a_plugin_is_made_once_for_a_gateway_and_not_to_be_read() -> None:
    counted_calls.MADE.clear()
    assert "counted" in declared(["tests.counted_calls"])
    assert counted_calls.MADE == []
    async with testing.world(handlers=["tests.counted_calls"]) as world:
        assert [world.clock] == counted_calls.MADE
        assert (await world.connect().ask({"counted": 1}))["counted"] == 1


FAULTY = """
from typing_extensions import TypedDict

from scopegate import Clock, One, Request, Session, call


class Faulty(Request):
    \"\"\"Asks for nothing.\"\"\"

    faulty: One


class FaultyReply(TypedDict):
    faulty: int


class Base:
    {constructor}


class Handler(Base):
    @call("faulty", needs=None)
    async def faulty(self, request: Faulty, session: Session) -> FaultyReply:
        \"\"\"Answer.\"\"\"
        return {{"faulty": 1}}
"""


@pytest.mark.parametrize(
    ("constructor", "said"),
    [
        ("def __init__(self, key): ...", "Handler: annotate key with a type"),
        (
            "def __init__(self, number: int): ...",
            "Handler asks for number: int, which nothing provides",
        ),
        pytest.param(
            "def __init__(self, clock: Clock): raise LookupError('no key set')",
            "cannot make Handler: LookupError: no key set",
            # On a server others may start at the same time, so the market is stored first.
            marks=pytest.mark.sqlite,
        ),
    ],
    ids=["unannotated", "unknown", "fails"],
)
async def test_a_plugin_that_cannot_be_made_is_refused_and_leaves_a_database_without_market(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, constructor: str, said: str
) -> None:
    """Also where the constructor is inherited."""
    monkeypatch.syspath_prepend(str(tmp_path))
    module = f"faulty_{abs(hash(constructor))}"
    (tmp_path / f"{module}.py").write_text(FAULTY.format(constructor=constructor))
    settings = chosen(db=tmp_path / "x.db", handlers=(module,), port=0)
    with pytest.raises(DeclarationError, match=said):
        async with compose(settings, HandClock(NOON)):
            pass
    other = chosen(db=tmp_path / "x.db", seed="another", port=0)
    async with compose(other, HandClock(NOON)) as gateway:
        assert gateway.service(Feed).seed == "another"


@pytest.mark.parametrize("module", ["no_such_module", "json"])
def test_a_module_without_calls_is_refused_by_name(module: str) -> None:
    with pytest.raises(DeclarationError, match=module):
        declared([module])


def test_a_handler_of_a_plugin_that_never_waits_needs_no_task() -> None:
    class Handlers:
        """Some wait."""

        @call("ping", needs=None)
        async def at_once(self, request: Ping, session: Session) -> Pong:
            """Answer."""
            return {"ping": "pong"}

        @call("time", needs=None)
        async def waits(self, request: Time, session: Session) -> TimeReply:
            """Wait, and answer."""
            await asyncio.sleep(0)
            return {"time": 1}

        @call("limits", needs=None)
        async def waits_within(self, request: Limits, session: Session) -> LimitsReply:
            """Wait within a block, and answer."""
            async with asyncio.Lock():
                return {"limits": []}

    registry = Registry(Scopes(SCOPES))
    registry.add(Handlers(), trusted=False)
    assert {each.name: each.eager for each in registry} == {
        "ping": True,
        "time": False,
        "limits": False,
    }
