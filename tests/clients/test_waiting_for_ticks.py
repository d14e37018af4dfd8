"""Clients that ask for ticks without `subscribe` receive every tick.

The one-file demos of the API in many languages differ in how they wait for a message; there is a
program here for each way. The published clients run unchanged.
"""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import ClientConnection, connect

from tests.browser.tools import NODE_MODULES, missing, node_module
from tests.clients.conftest import HERE, HOME, PYTHON, Run
from tests.served import PATIENCE, Served, printed

Message = dict[str, Any]

TICKS = 4
ASKED = json.dumps({"ticks": "1HZ100V"})


def opened(url: str) -> ClientConnection:
    return connect(url, compression=None, proxy=None)


def on_message(url: str) -> list[Message]:
    """Python with websocket-client, Ruby, Perl: a loop of its own calls back with each message."""
    told: list[Message] = []
    with opened(url) as socket:

        def heard(message: Message) -> None:
            told.append(message)
            if len(told) == TICKS:
                socket.close()

        socket.send(ASKED)
        for text in socket:  # ends once the callback has closed it
            heard(json.loads(text))
    return told[:TICKS]


def read_in_a_loop(url: str) -> list[Message]:
    """Go: read one message after the other, with nothing to match a reply by."""
    with opened(url) as socket:
        socket.send(ASKED)
        return [json.loads(socket.recv(PATIENCE)) for _ in range(TICKS)]


def latch(url: str) -> list[Message]:
    """Java: the listener has a thread of its own, and the main one waits for it to count down."""
    told: list[Message] = []
    enough = threading.Event()
    with opened(url) as socket:

        def listen() -> None:
            for text in socket:
                told.append(json.loads(text))
                if len(told) == TICKS:
                    enough.set()
                    return

        listener = threading.Thread(target=listen)
        listener.start()
        socket.send(ASKED)
        assert enough.wait(PATIENCE)
        listener.join()
    return told


def receive_into_a_buffer(url: str) -> list[Message]:
    """C#: parts are received until the end of the message; what is sent are bytes, as text."""
    with opened(url) as socket:
        socket.send(ASKED.encode(), text=True)
        return [json.loads("".join(map(str, socket.recv_streaming()))) for _ in range(TICKS)]


def binary_frames(url: str) -> list[Message]:
    """Dart: the client sends bytes, in binary frames."""
    with opened(url) as socket:
        socket.send(ASKED.encode())
        told = [socket.recv(PATIENCE) for _ in range(TICKS)]
    assert all(isinstance(text, str) for text in told)
    return [json.loads(text) for text in told]


def by_type(url: str) -> list[Message]:
    """JavaScript, CoffeeScript: one handler looks at `msg_type`; ticks are asked for in another."""
    told: list[Message] = []
    with opened(url) as socket:
        socket.send(json.dumps({"time": 1}))
        for text in socket:
            message = json.loads(text)
            if message["msg_type"] == "time":
                socket.send(ASKED)
            elif message["msg_type"] == "tick":
                told.append(message)
                if len(told) == TICKS:
                    break
    return told


def iterate(url: str) -> list[Message]:
    """Python with asyncio: iterate over the connection."""

    async def waiting() -> list[Message]:
        told: list[Message] = []
        async with connect_async(url, compression=None, proxy=None) as socket:
            await socket.send(ASKED)
            async for text in socket:
                told.append(json.loads(text))
                if len(told) == TICKS:
                    break
        return told

    return asyncio.run(waiting())


WAYS: tuple[Callable[[str], list[Message]], ...] = (
    on_message,
    read_in_a_loop,
    latch,
    receive_into_a_buffer,
    binary_frames,
    by_type,
    iterate,
)


def assert_one_stream(told: list[Message], *, symbol: str = "1HZ100V") -> None:
    """Every tick of the symbol from the first on, once, under one subscription."""
    ticks = [message["tick"] for message in told]
    assert len(ticks) == TICKS
    assert {tick["symbol"] for tick in ticks} == {symbol}
    first = ticks[0]["epoch"]
    assert [tick["epoch"] for tick in ticks] == list(range(first, first + TICKS))
    ids = {message["subscription"]["id"] for message in told} | {tick["id"] for tick in ticks}
    assert len(ids) == 1


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_waiting_receives_the_ticks(
    gateway: Served, way: Callable[[str], list[Message]]
) -> None:
    assert_one_stream(way(f"{gateway.url}?app_id=1089&l=EN&brand="))


def test_a_polling_bot_is_answered_each_time(gateway: Served) -> None:
    """A bot that sends a request for each tick gets one reply to each request, and the stream."""
    with opened(f"{gateway.url}?app_id=1089") as socket:
        answers: dict[int, Message] = {}
        for number in range(1, 6):
            socket.send(json.dumps({"ticks": "1HZ100V", "req_id": number}))
            while number not in answers:
                message = json.loads(socket.recv(PATIENCE))
                assert "error" not in message
                answers.setdefault(message["req_id"], message)
    assert len({answer["subscription"]["id"] for answer in answers.values()}) == 1


# The published clients.


@pytest.fixture
def node(tmp_path: Path) -> Callable[[str, str], Any]:
    """Runs a program of this folder with the npm packages; the JSON that it has printed."""

    def run(program: str, address: str) -> Any:
        (tmp_path / program).write_text((HERE / program).read_text())
        (tmp_path / "node_modules").symlink_to(NODE_MODULES)
        return json.loads(printed(["node", program, address], tmp_path))

    node_module("ws")
    return run


def test_the_older_javascript_client(gateway: Served, node: Callable[[str, str], Any]) -> None:
    node_module("binary-live-api")
    seen = node("binary_live_api.mjs", gateway.url)
    assert_one_stream(seen["event"])
    assert seen["stream"].keys() == {"1HZ100V", "1HZ50V"}
    for symbol, told in seen["stream"].items():
        assert_one_stream(told, symbol=symbol)
    first, second = seen["twice"]["told"]
    assert first["subscription"] == second["subscription"]
    assert seen["twice"]["ended"] == [first["subscription"]["id"]]


def assert_taken_over(seen: Message) -> None:
    """Ticks asked for once, again, streamed, and asked for once more: one stream in all."""
    assert_one_stream(seen["stream"])
    known = {message["subscription"]["id"] for message in [*seen["once"], seen["after"]]}
    known |= {message["subscription"]["id"] for message in seen["stream"]}
    assert list(known) == seen["ended"]


def test_the_published_javascript_client(gateway: Served, node: Callable[[str, str], Any]) -> None:
    node_module("@deriv/deriv-api")
    assert_taken_over(node("deriv_api_ticks.mjs", gateway.url.removesuffix("/websockets/v3")))


def test_the_published_python_client(run_client: Run) -> None:
    if not (HOME / "made").exists() or not PYTHON.exists():
        missing(".venv-deriv-client is missing: make test makes it")
    seen = run_client("deriv_client_ticks.py", {})
    assert_taken_over(seen)
    assert seen["complaints"] == []
