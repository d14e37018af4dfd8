"""What a stream yields of the messages of its subscription, in whatever order these arrive."""

from collections.abc import Callable
from typing import Any

import pytest

from scopegate.client import GapError
from scopegate.client.streams import Message, Subscription


def nothing(_: Subscription) -> None:
    """Nobody is asked."""


def opened(name: str, first: Message) -> Subscription:
    """A stream that is open."""
    made = Subscription(name, {name: 1}, after=None, resume=nothing, forget=nothing)
    begin(made, first)
    return made


def begin(stream: Subscription, first: Message) -> None:
    """Give a stream the first reply on a connection."""
    stream.lost()
    stream.is_opening = True
    stream.received(first)


def message(name: str, position: int, **body: Any) -> Message:
    body = {"id": "id", **body}
    return {"msg_type": name, name: body, "position": position, "subscription": {"id": "id"}}


def entry(position: int) -> Message:
    return message("transaction", position, transaction_id=position)


def balance(position: int) -> Message:
    return message("balance", position, balance=position)


def state(position: int, contract_id: int, *, is_sold: bool = False) -> Message:
    ids = {"buy": 1, "sell": position if is_sold else None}
    body = {"contract_id": contract_id, "is_sold": int(is_sold), "transaction_ids": ids}
    return message("proposal_open_contract", position, **body)


async def read(stream: Subscription) -> list[int | None]:
    """The positions of the events that wait."""
    read = []
    while stream._waiting:
        read.append((await stream.read()).message["position"])
    return read


async def test_events_are_yielded_in_order_while_they_wait() -> None:
    stream = opened("transaction", message("transaction", 10))
    for position in (12, 11, 11, 14, 12, 13):
        stream.received(entry(position))
    assert await read(stream) == [11, 12, 13, 14]


async def test_an_entry_that_was_overtaken_comes_late_and_once() -> None:
    stream = opened("transaction", message("transaction", 10))
    stream.received(entry(12))
    assert await read(stream) == [12]
    stream.received(entry(11))
    event = await stream.read()
    assert (event.message["position"], event.position) == (11, 12)
    stream.received(entry(11))
    assert await read(stream) == []


async def test_a_balance_never_goes_back() -> None:
    stream = opened("balance", balance(10))
    stream.received(balance(12))
    assert await read(stream) == [10, 12]
    stream.received(balance(11))
    assert await read(stream) == []


async def test_a_balance_is_replaced_by_one_of_its_account_alone() -> None:
    stream = opened("balance", balance(10))
    stream.received(message("balance", 12, loginid="B"))
    assert await read(stream) == [10, 12]
    stream.received(message("balance", 11, loginid="A"))
    assert await read(stream) == [11]
    stream.received(message("balance", 14, loginid="B"))
    stream.received(message("balance", 13, loginid="A"))
    assert await read(stream) == [13, 14]
    stream.received(message("balance", 16, loginid="A"))
    assert await read(stream) == [16]
    stream.received(message("balance", 17, loginid="B"))
    stream.received(message("balance", 15, loginid="A"))
    assert await read(stream) == [17]


async def test_an_entry_that_is_overtaken_when_the_queue_is_full_comes_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scopegate.client.streams.MAX_WAITING", 2)
    stream = opened("transaction", message("transaction", 10))
    for position in (11, 13, 12):
        stream.received(entry(position))
    assert stream.is_behind
    assert await read(stream) == [11, 13]
    assert stream.message()["passthrough"] == {"resume": 11}


async def test_a_disordered_stream_is_resumed_an_event_earlier() -> None:
    stream = opened("transaction", message("transaction", 10))
    stream.received(entry(12))
    assert stream.message()["passthrough"] == {"resume": 12}
    for position in (11, 14):  # 13 is overtaken, and lost with the connection
        stream.received(entry(position))
    assert stream.message()["passthrough"] == {"resume": 12}
    begin(stream, message("transaction", 12))
    for position in (13, 14, 15):
        stream.received(entry(position))
    assert await read(stream) == [11, 12, 13, 14, 15]


async def test_sales_are_resumed_an_event_earlier_too() -> None:
    stream = opened("proposal_open_contract", state(10, 1))
    for position in (12, 11, 14):  # 13 is overtaken, and lost with the connection
        stream.received(state(position, position, is_sold=True))
    assert stream.message()["passthrough"] == {"resume": 12}
    begin(stream, state(14, 1))
    for position in (13, 14):
        stream.received(state(position, position, is_sold=True))
    assert await read(stream) == [10, 12, 11, 14, 14, 13]


@pytest.mark.parametrize("make", [entry, balance])
async def test_an_event_is_not_taken_for_the_first_reply(make: Callable[[int], Message]) -> None:
    """That reply is lost, on a connection that resumes the stream."""
    stream = opened("transaction" if make is entry else "balance", make(10))
    begin(stream, make(11))
    stream.received(make(12))
    assert await read(stream) == [10, 11, 12]
    begin(stream, make(12))
    assert await read(stream) == []


async def test_no_state_follows_the_end_of_a_contract() -> None:
    stream = opened("proposal_open_contract", state(10, 1))
    stream.received(state(11, 1, is_sold=True))
    stream.received(state(10, 1))
    stream.received(state(11, 2))
    assert await read(stream) == [10, 11, 11]
    assert list(stream._sold) == [1]


async def test_what_was_seen_is_no_gap() -> None:
    """Only the event that a disordered stream asks for once more is out of reach."""
    stream = opened("transaction", message("transaction", 10))
    for position in (12, 11):
        stream.received(entry(position))
    begin(stream, {**message("transaction", 12), "gap": {"after": 11, "until": 12}})
    stream.received(entry(13))
    assert await read(stream) == [11, 12, 13]


@pytest.mark.parametrize(
    ("positions", "gap", "stated"),
    [
        ([11, 12], (12, 20), (12, 20)),
        ([12, 11], (11, 20), (12, 20)),
        ([11, 12], (5, 12), (5, 12)),  # the gateway has lost what it had, up to 5
        ([12, 11], (5, 11), (5, 11)),
    ],
)
async def test_a_gap_begins_after_what_was_seen(
    positions: list[int], gap: tuple[int, int], stated: tuple[int, int]
) -> None:
    stream = opened("transaction", message("transaction", 10))
    for position in positions:
        stream.received(entry(position))
    assert await read(stream) == [11, 12]
    after, until = gap
    first = message("transaction", until if until == 20 else after)
    begin(stream, {**first, "gap": {"after": after, "until": until}})
    with pytest.raises(GapError) as raised:
        await stream.read()
    assert (raised.value.after, raised.value.until) == stated
    stream.received(entry(21))
    assert await read(stream) == [21]
