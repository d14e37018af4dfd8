"""What can be bought, and for how long: proposals of a connection, remembered and forgotten."""

import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.feed import Feed
from scopegate.exchange.rules import Margins
from scopegate.gateway.access.accounts import Accounts
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.bus import Bus
from scopegate.gateway.calls.counting import ConcurrencyLimiter
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.limits import PROFILES
from scopegate.gateway.calls.registry import Stream
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange import quotes as module
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.handlers.exchange.proposal_calls import Proposals
from scopegate.handlers.exchange.quotes import Quotes
from scopegate.runtime.clock import HandClock
from scopegate.runtime.siblings import Siblings
from scopegate.schemas.scopes import Scopes
from scopegate.schemas.trading_messages import Proposal
from scopegate.store.sqlite import SqliteStore
from scopegate.testing import NOON, World

WISH = {
    "contract_type": "CALL",
    "symbol": "R_100",
    "currency": "USD",
    "amount": 10,
    "basis": "stake",
    "duration": 5,
    "duration_unit": "t",
}


class Now:
    """Monotonic time, moved by hand."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def quotes(now: Now) -> Quotes:
    clock = HandClock(NOON)
    return Quotes(
        Feed("p"),
        clock,
        Bus(),
        Margins(),
        Access(
            SqliteStore(Path(os.devnull)),
            Scopes(SCOPES),
            Accounts(),
            PROFILES["open"],
            ConcurrencyLimiter(),
            Siblings(),
        ),
        monotonic=now,
    )


async def asked(quotes: Quotes, session: Session) -> str:
    reply = await Proposals(quotes, PROFILES["open"]).proposal(
        Proposal(proposal=1, **WISH), session
    )
    assert isinstance(reply, dict)
    return reply["proposal"]["id"]


def is_known(quotes: Quotes, session: Session, proposal_id: str) -> bool:
    try:
        quoted = quotes.find(session, proposal_id)
    except ApiError as error:
        return error.code != "InvalidContractProposal"
    return quoted.quote_request == QuoteRequest(**{**WISH, "amount": Decimal(10)})


async def test_a_proposal_is_good_for_a_minute(quotes: Quotes, now: Now) -> None:
    session = Session([].append)
    first = await asked(quotes, session)
    now.seconds = 60.0
    assert is_known(quotes, session, first)
    now.seconds = 60.1
    assert not is_known(quotes, session, first)
    await asked(quotes, session)
    assert len(quotes._by_session[session]) == 1


async def test_so_many_are_remembered_and_none_of_who_has_left(
    quotes: Quotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PROPOSALS", 3)
    session, other = Session([].append), Session([].append)
    ids = [await asked(quotes, session) for _ in range(5)]
    assert [is_known(quotes, session, one) for one in ids] == [False, False, True, True, True]
    assert not is_known(quotes, other, ids[-1])
    session.close()
    assert not is_known(quotes, session, ids[-1])
    assert quotes._by_session == {}


class Ear:
    """Hears what is told on a topic."""

    lists = False

    def __init__(self) -> None:
        self.heard: list[int] = []

    def deliver(self, tail: bytes, position: int) -> None:
        self.heard.append(position)

    def conclude(self, tail: bytes, position: int, *, ends: bool) -> None:
        raise NotImplementedError

    def finish(self, error: ApiError) -> None:
        raise NotImplementedError


async def test_a_stream_never_goes_back_and_who_joins_is_told_what_the_others_were(
    quotes: Quotes,
) -> None:
    clock, bus, ear = quotes._clock, quotes._bus, Ear()
    assert isinstance(clock, HandClock)
    clock.advance(4)  # the heartbeat is late: it has told no second of these yet
    request = Proposal(proposal=1, subscribe=1, **WISH)
    first = await Proposals(quotes, PROFILES["open"]).proposal(request, Session([].append))
    assert isinstance(first, Stream)
    assert first.since == NOON + 4
    bus.subscribe(first.topic, ear)
    for second in range(1, 5):
        quotes.on_second(int(NOON) + second)
    assert ear.heard == []
    clock.advance(3)
    other = Session([].append)
    joined = await Proposals(quotes, PROFILES["open"]).proposal(request, other)
    assert isinstance(joined, Stream)
    assert joined.first == first.first
    assert joined.since == NOON + 4
    quotes.on_second(int(NOON) + 6)
    assert ear.heard == [NOON + 6]
    assert joined.id is not None
    assert quotes.find(other, joined.id).second == NOON + 6


async def test_who_comes_after_the_last_listener_gets_a_quote_of_their_own(
    quotes: Quotes, now: Now
) -> None:
    """However long the market's second lasts: the old one may be too old to be bought."""
    bus, ear, handler = quotes._bus, Ear(), Proposals(quotes, PROFILES["open"])
    request = Proposal(proposal=1, subscribe=1, **WISH)
    first = await handler.proposal(request, Session([].append))
    assert isinstance(first, Stream)
    bus.subscribe(first.topic, ear)
    bus.unsubscribe(first.topic, ear)
    now.seconds += 70
    session = Session([].append)
    second = await handler.proposal(request, session)
    assert isinstance(second, Stream)
    assert second.id is not None
    assert is_known(quotes, session, second.id)


async def test_equal_requests_of_a_second_share_a_quote(quotes: Quotes) -> None:
    """And not those of another second, whichever has passed."""
    request = QuoteRequest(**{**WISH, "amount": Decimal(10)})
    first = quotes.price(request, int(NOON))
    assert quotes.price(QuoteRequest(**{**WISH, "amount": Decimal("10.0")}), int(NOON)) is first
    assert quotes.price(replace(request, amount=Decimal(11)), int(NOON)) is not first
    later = quotes.price(request, int(NOON) + 2)
    assert later.spot != first.spot
    assert quotes.price(request, int(NOON) + 2) is later


async def test_shared_quotes_are_bounded(quotes: Quotes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OF_SECOND", 3)
    for amount in range(10, 20):
        quotes.price(QuoteRequest(**{**WISH, "amount": Decimal(amount)}), int(NOON))
        assert len(quotes._of_second) <= 3


async def test_streams_that_are_too_many_miss_updates_in_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is priced in each turn of the event loop, and the market does not wait for the others."""
    monkeypatch.setattr(module, "SLICE", -1.0)
    client = world.connect()
    ids = []
    for amount in range(10, 14):
        reply = await client.ask({"proposal": 1, **WISH, "amount": amount, "subscribe": 1})
        ids.append(reply["subscription"]["id"])
    assert client.received == []
    order: list[str] = []
    for _ in range(2):  # R_100 has a tick every two seconds
        world.clock.advance(2)
        order += [message["subscription"]["id"] for message in client.received]
    assert order == ids[:1]  # the others wait, and miss the first update
    while len(order) < 5:
        order.append((await client.next())["subscription"]["id"])
    assert order == [*ids, ids[0]]  # those that missed it come before the one that had it
