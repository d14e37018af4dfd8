"""Channels: an event of the declared type reaches its streams, and any other reaches nobody."""

from enum import StrEnum
from typing import Any

import pytest
from typing_extensions import TypedDict

from scopegate import (
    READ,
    AccountRequest,
    Bus,
    Channel,
    DeclarationError,
    Plugin,
    Request,
    Session,
    Stream,
    Text,
    Transaction,
    call,
)
from scopegate.framework import Gateway
from scopegate.gateway.access import users
from scopegate.gateway.access.accounts import open_account
from scopegate.testing import scene


class News(TypedDict):
    title: str
    lines: int


class Follow(Request):
    follow: Text


class Followed(TypedDict):
    news: News


class FollowOwn(AccountRequest):
    follow_own: Text


class FollowList(Request):
    follow_list: Text


class FollowedList(TypedDict):
    headlines: list[str]


class Papers:
    """News."""

    def __init__(self, bus: Bus) -> None:
        self.news = Channel(bus, "news", News)
        self.headlines = Channel(bus, "headlines", list[str])

    @call("follow", needs=None, streams="news")
    async def follow(self, request: Follow, session: Session) -> Stream[Followed]:
        """Follow a paper."""
        return self.news.stream(request.follow, {"news": {"title": "first", "lines": 1}})

    @call("follow_own", needs=READ, streams="news")
    async def follow_own(self, request: FollowOwn, session: Session) -> Stream[Followed]:
        """Follow a paper in the name of an account."""
        return self.news.stream(request.follow_own, {"news": {"title": "first", "lines": 1}})

    @call("follow_list", needs=None, streams="headlines")
    async def follow_list(self, request: FollowList, session: Session) -> Stream[FollowedList]:
        """Follow the headlines of a paper."""
        return self.headlines.stream(request.follow_list, {"headlines": []})


GATEWAY = Gateway(Plugin(name="papers", handlers=(Papers,)))


async def test_events_reach_the_streams_of_their_key_once_and_in_order() -> None:
    async with scene(GATEWAY) as world:
        papers = world.service(Papers)
        papers.news.publish("a", {"title": "early", "lines": 0})
        client = world.connect()
        first = await client.ask({"follow": "a"})
        assert first["news"] == {"title": "first", "lines": 1}
        papers.news.publish("a", {"title": "second", "lines": 2})
        papers.news.publish("b", {"title": "other", "lines": 2})
        papers.news.publish("a", {"title": "third", "lines": 3})
        told = [await client.next() for _ in range(2)]
        assert [event["news"]["title"] for event in told] == ["second", "third"]
        assert {event["msg_type"] for event in told} == {"news"}
        assert {event["subscription"]["id"] for event in told} == {first["subscription"]["id"]}
        assert await client.refused({"follow": "a"}) == "AlreadySubscribed"
        assert (await client.ask({"forget_all": ["news"]}))["forget_all"] == [
            first["subscription"]["id"]
        ]
        assert not papers.news.has_listeners("a")


@pytest.mark.parametrize(
    "event",
    [
        {"title": "no lines"},
        {"title": 5, "lines": 1},
        {"title": "a", "lines": "1"},
        ["a"],
        "a",
        None,
        {"title": "a", "lines": 1, "more": 1},
    ],
)
async def test_an_event_of_another_type_reaches_nobody(event: Any) -> None:
    async with scene(GATEWAY) as world:
        client = world.connect()
        await client.ask({"follow": "a"})
        with pytest.raises(TypeError, match="invalid event of kind news"):
            world.service(Papers).news.publish("a", event)
        assert (await client.ask({"ping": 1}))["ping"] == "pong"
        assert client.received == []


async def test_lists_are_told_as_lists() -> None:
    async with scene(GATEWAY) as world:
        client = world.connect()
        await client.ask({"follow_list": "a"})
        world.service(Papers).headlines.publish("a", ["one", "two"])
        world.service(Papers).headlines.publish("a", [])
        assert [(await client.next())["headlines"] for _ in range(2)] == [["one", "two"], []]


async def test_the_bus_itself_refuses_what_would_break_a_message() -> None:
    async with scene(GATEWAY) as world:
        client = world.connect()
        await client.ask({"follow": "a"})
        for wrong in (["a"], "text", b'{"a":1}', {1: 2}):
            with pytest.raises(TypeError):
                world.gateway.bus.publish(("news", "a"), wrong)  # type: ignore[arg-type]
        assert client.received == []


def test_what_is_no_type_of_events_is_refused() -> None:
    for wrong in (str, dict, int):
        with pytest.raises(DeclarationError, match="an event must be a TypedDict or a list"):
            Channel(Bus(), "news", wrong)


async def test_a_kind_that_no_call_declares_cannot_be_forgotten_or_opened() -> None:
    class Undeclared:
        """Streams of a kind that is not said."""

        def __init__(self, bus: Bus) -> None:
            self._news = Channel(bus, "news", News)

        @call("follow", needs=None)
        async def follow(self, request: Follow, session: Session) -> Stream[Followed]:
            """Follow a paper."""
            return self._news.stream("a", {"news": {"title": "first", "lines": 1}})

    async with scene(Gateway(Plugin(name="papers", handlers=(Undeclared,)))) as world:
        client = world.connect()
        assert await client.refused({"follow": "a"}) == "InternalServerError"
        reply = await client.ask({"forget_all": "news"})
        assert reply["error"]["code"] == "InputValidationFailed"
        assert "'follow'" in reply["error"]["details"]["forget_all"]


async def test_with_an_account_only_those_who_act_for_it_are_told() -> None:
    async with scene(GATEWAY) as world:
        other = await world.gateway.store.write(_another_account)
        mine, theirs, nobody = (world.connect() for _ in range(3))
        await mine.authorize(await world.token("read"))
        await theirs.authorize(await world.token("read", loginid=other))
        for client in (mine, theirs, nobody):
            await client.ask({"follow_own" if client is not nobody else "follow": "a"})
        news = world.service(Papers).news
        news.publish("a", {"title": "private", "lines": 1}, only_for=world.loginid)
        news.publish("a", {"title": "public", "lines": 1})
        titles = [
            [event["news"]["title"] for event in client.received]
            for client in (mine, theirs, nobody)
        ]
        assert titles == [["private", "public"], ["public"], ["public"]]


def _another_account(transaction: Transaction) -> str:
    return open_account(transaction, users.create(transaction, "ada@example.com"))


class Rain(StrEnum):
    HEAVY = "heavy"


async def test_equal_keys_are_one_key() -> None:
    async with scene(GATEWAY) as world:
        client = world.connect()
        await client.ask({"follow": "heavy"})
        world.service(Papers).news.publish(Rain.HEAVY, {"title": "wet", "lines": 1})
        assert (await client.next())["news"]["title"] == "wet"


def test_a_kind_has_one_channel() -> None:
    bus = Bus()
    Channel(bus, "news", News)
    Channel(Bus(), "news", News)
    with pytest.raises(DeclarationError, match="a channel for streams of kind news exists already"):
        Channel(bus, "news", News)
