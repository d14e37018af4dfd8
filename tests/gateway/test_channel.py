"""Channels: an event of the declared type reaches its streams, and any other reaches nobody."""

from typing import Any

import pytest
from typing_extensions import TypedDict

from scopegate import Bus, Channel, DeclarationError, Plugin, Request, Session, Stream, Text, call
from scopegate.framework import Gateway
from scopegate.testing import scene


class News(TypedDict):
    title: str
    lines: int


class Follow(Request):
    follow: Text


class Followed(TypedDict):
    news: News


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

    @call("follow_list", needs=None, streams="headlines")
    async def follow_list(self, request: FollowList, session: Session) -> Stream[FollowedList]:
        """Follow the headlines of a paper."""
        return self.headlines.stream(request.follow_list, {"headlines": []})


GATEWAY = Gateway(Plugin(name="papers", handlers=(Papers,)))


async def test_events_reach_the_streams_of_their_key_once_and_in_order() -> None:
    async with scene(GATEWAY) as here:
        papers = here.part(Papers)
        papers.news.publish("a", {"title": "early", "lines": 0})
        client = here.connect()
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
    async with scene(GATEWAY) as here:
        client = here.connect()
        await client.ask({"follow": "a"})
        with pytest.raises(TypeError, match="an event of kind news is wrong"):
            here.part(Papers).news.publish("a", event)
        assert (await client.ask({"ping": 1}))["ping"] == "pong"
        assert client.told == []


async def test_lists_are_told_as_lists() -> None:
    async with scene(GATEWAY) as here:
        client = here.connect()
        await client.ask({"follow_list": "a"})
        here.part(Papers).headlines.publish("a", ["one", "two"])
        here.part(Papers).headlines.publish("a", [])
        assert [(await client.next())["headlines"] for _ in range(2)] == [["one", "two"], []]


async def test_the_bus_itself_refuses_what_would_break_a_message() -> None:
    async with scene(GATEWAY) as here:
        client = here.connect()
        await client.ask({"follow": "a"})
        for wrong in (["a"], "text", b'{"a":1}', {1: 2}):
            with pytest.raises(TypeError):
                here.gateway.bus.publish("news 'a'", wrong)  # type: ignore[arg-type]
        assert client.told == []


def test_what_is_no_type_of_events_is_refused() -> None:
    for wrong in (str, dict, int):
        with pytest.raises(DeclarationError, match="an event is a TypedDict or a list"):
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

    async with scene(Gateway(Plugin(name="papers", handlers=(Undeclared,)))) as here:
        client = here.connect()
        assert await client.refused({"follow": "a"}) == "InternalServerError"
        reply = await client.ask({"forget_all": "news"})
        assert reply["error"]["code"] == "InputValidationFailed"
        assert "'follow'" in reply["error"]["details"]["forget_all"]
