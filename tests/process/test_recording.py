"""`scopegate record` between a bot and a gateway, and what replays of its files serve."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from scopegate.recordings.lines import Closed, Message, read
from scopegate.recordings.replay import ReplayMismatch, replaying
from scopegate.testkit import LiveGateway
from tests.incubator import INTERPRETER
from tests.program.test_pytest_plugin import run_pytest
from tests.served import PATIENCE, environment
from tests.served import scopegate as command

RISE = {
    "contract_type": "CALL",
    "symbol": "1HZ100V",
    "duration": 5,
    "duration_unit": "t",
    "basis": "stake",
    "amount": 10,
    "currency": "USD",
}


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A command that serves, with the address that it prints, until the end of the block."""
    with subprocess.Popen(
        [*INTERPRETER, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment(),
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("ws://127.0.0.1:"), process.communicate()
            yield url, process
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
        finally:
            process.kill()


@contextmanager
def recorded(endpoint: str, path: Path) -> Iterator[str]:
    """The address at which messages to an endpoint are recorded, until the end of the block."""
    arguments = ("record", "--to", str(path), "--upstream", endpoint)
    with running(path.parent, *arguments) as (url, process):
        yield url
    assert process.returncode == 0


class Caller:
    """A client that asks one question after the other."""

    def __init__(self, socket: ClientConnection, first: int) -> None:
        self.socket = socket
        self.number = first

    def ask(self, **request: Any) -> Any:
        self.number += 1
        self.send(**request, req_id=self.number)
        return self.next()

    def send(self, **request: Any) -> None:
        self.socket.send(json.dumps(request))

    def next(self) -> Any:
        return json.loads(self.socket.recv(timeout=10))


@contextmanager
def caller(url: str, *, first: int = 1) -> Iterator[Caller]:
    with connect(url) as socket:
        yield Caller(socket, first)


def trade(url: str, token: str, *, amount: int = 10, first: int = 1) -> list[Any]:
    """Look at a price, buy for it, follow the contract to its end, and stop the ticks."""
    with caller(url, first=first) as bot:
        seen = [bot.ask(authorize=token, passthrough={"round": first})]
        ticks = bot.ask(ticks="1HZ100V", subscribe=1)
        priced = bot.ask(proposal=1, subscribe=1, **{**RISE, "amount": amount})
        seen += [ticks, priced]
        seen.append(bot.ask(buy=priced["proposal"]["id"], price=amount, subscribe=1))
        bought = bot.number
        while not (seen[-1].get("proposal_open_contract") or {}).get("is_sold"):
            seen.append(bot.next())
            assert seen[-1]["req_id"] in (bought, bought - 1, bought - 2)
        seen.append(bot.ask(forget=ticks["subscription"]["id"]))
        while "forget" not in seen[-1]:
            seen.append(bot.next())
        return seen


@pytest.fixture
def session(scopegate: LiveGateway, tmp_path: Path) -> tuple[Path, list[Any], str]:
    """A recording of `trade`, with what the bot has seen and its token."""
    path, token = tmp_path / "session.jsonl", scopegate.token("trade", "read")
    with recorded(scopegate.endpoint, path) as url:
        playing = scopegate.run(trade, url, token)
        scopegate.wait_for("buy")
        for _ in range(7):
            scopegate.clock.advance(1)
        return path, playing.result(timeout=10), token


def content(messages: list[Any]) -> list[Any]:
    """Messages without their ids, and without what their requests have chosen."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", json.dumps(messages))
    return [
        {name: value for name, value in message.items() if name not in ("req_id", "passthrough")}
        | {"echo_req": {}}
        for message in json.loads(text)
    ]


Session = tuple[Path, list[Any], str]


def test_a_session_is_recorded_without_its_token(session: Session) -> None:
    path, seen, token = session
    text = path.read_text()
    assert token not in text
    entries = read(path)
    messages = [entry for entry in entries if isinstance(entry, Message)]
    sent = [entry.body for entry in messages if entry.direction == "sent"]
    assert [next(iter(body or {})) for body in sent] == [
        "authorize",
        "ticks",
        "proposal",
        "buy",
        "forget",
    ]
    assert sent[0] == {"authorize": "<secret 1>", "passthrough": {"round": 1}, "req_id": 2}
    received = [entry.body for entry in messages if entry.direction == "received"]
    assert content(received) == content(seen)
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    last = entries[-1]
    assert isinstance(last, Closed)
    assert (last.by, last.code) == ("client", 1000)


def test_a_replay_serves_the_same_to_a_client_with_other_ids_and_another_token(
    session: Session,
) -> None:
    path, seen, _ = session
    with replaying(path) as replay:
        again = trade(replay.url, "any", first=500)
    assert content(again) == content(seen)
    assert again[0]["echo_req"] == {
        "authorize": "<not shown>",
        "passthrough": {"round": 500},
        "req_id": 501,
    }
    assert again[0]["passthrough"] == {"round": 500}
    streams = {message["subscription"]["id"] for message in again if "subscription" in message}
    recorded_ids = set(re.findall(r"00000000-0000-4000-8000-[0-9]{12}", path.read_text()))
    assert all(re.fullmatch(r"[\w-]{32,128}", stream) for stream in streams)
    assert streams.isdisjoint(recorded_ids)


def test_what_differs_is_answered_with_an_error_and_reported(session: Session) -> None:
    path, _, _ = session
    with (
        pytest.raises(KeyError) as failure,  # of the bot, which has no proposal
        replaying(path) as replay,
    ):
        trade(replay.url, "any", amount=12)
    notes = "\n".join(failure.value.__notes__)
    assert "proposal differs from the recording\n  amount: expected 10, but got 12" in notes
    assert "buy did not come" in notes

    with pytest.raises(ReplayMismatch) as mismatch:
        do_otherwise(path)
    text = str(mismatch.value)
    assert "kq8Wz" not in text
    assert "connection 1: balance came but is not in the recording" in text
    assert "connection 2: time came on a connection that is not in the recording" in text


def do_otherwise(path: Path) -> None:
    with replaying(path) as replay:
        with caller(replay.url) as bot:
            assert "error" not in bot.ask(authorize="any")
            error = bot.ask(balance=1)
            assert error["error"] == {
                "code": "ReplayMismatch",
                "message": "Balance came but is not in the recording.",
            }
            assert (error["msg_type"], error["req_id"]) == ("balance", 3)
            assert error["echo_req"] == {"balance": 1, "req_id": 3}
            again = bot.ask(authorize="kq8Wz3LfPm1TxYd")
            assert "more often than in the recording" in again["error"]["message"]
            assert bot.ask(ping=1)["ping"] == "pong"
            bot.socket.send("not JSON")
            assert bot.next()["echo_req"] == {}
        with caller(replay.url) as second:
            assert "not in the recording" in second.ask(time=1)["error"]["message"]
        assert len(replay.problems) == 8


def test_a_client_that_never_comes_is_reported(session: Session) -> None:
    with (
        pytest.raises(ReplayMismatch, match="no client has opened it; it begins with authorize"),
        replaying(session[0]),
    ):
        pass


def test_requests_may_come_in_another_order_and_all_at_once(
    scopegate: LiveGateway, tmp_path: Path
) -> None:
    path = tmp_path / "session.jsonl"
    symbols = ("R_50", "R_100", "1HZ100V")
    with recorded(scopegate.endpoint, path) as url, caller(url) as bot:
        for symbol in symbols:
            bot.ask(ticks_history=symbol, end="latest", count=1)
        assert bot.ask(time=1)["time"]
    with replaying(path) as replay, caller(replay.url) as bot:
        bot.send(time=1, req_id=9)
        assert bot.next()["req_id"] == 9  # it does not wait for what was recorded before it
        for number, symbol in enumerate(reversed(symbols)):
            bot.send(ticks_history=symbol, end="latest", count=1, req_id=number)
        assert sorted(bot.next()["req_id"] for _ in symbols) == [0, 1, 2]


def test_connections_are_told_apart_by_what_they_begin_with(
    scopegate: LiveGateway, tmp_path: Path
) -> None:
    path = tmp_path / "session.jsonl"
    with recorded(scopegate.endpoint, path) as url:
        with caller(url) as bot:
            bot.ask(time=1)
        with caller(url) as bot:
            bot.ask(ticks="R_100", subscribe=0)
    with replaying(path) as replay, caller(replay.url) as one, caller(replay.url) as other:
        assert other.ask(ticks="R_100", subscribe=0)["tick"]["symbol"] == "R_100"
        assert one.ask(time=1)["time"]


def test_a_close_by_the_gateway_is_replayed(scopegate: LiveGateway, tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    with recorded(scopegate.endpoint, path) as url, caller(url) as bot:
        bot.ask(ping=1)
        bot.ask(time=1)
        scopegate.hang_up()
        with pytest.raises(ConnectionClosed):
            bot.next()
    with replaying(path) as replay, caller(replay.url) as bot:
        bot.ask(ping=1)
        bot.ask(time=1)
        with pytest.raises(ConnectionClosed) as closed:
            bot.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001


def test_events_wait_for_the_requests_that_were_recorded_before_them(session: Session) -> None:
    """Else a bot that buys at a certain tick would get all later ticks before the reply."""
    path, seen, _ = session
    with replaying(path) as replay:
        again = trade(replay.url, "any")
    assert [message["msg_type"] for message in again] == [message["msg_type"] for message in seen]


@pytest.mark.lengthy
def test_the_command_replays_until_all_connections_are_served(session: Session) -> None:
    path, seen, _ = session
    with running(path.parent, "replay", path.name) as (url, process):
        assert content(trade(url, "any")) == content(seen)
        _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "everything matched the recording\n")

    with running(path.parent, "replay", path.name, "--speed", "1000") as (url, process):
        with pytest.raises(KeyError):
            trade(url, "any", amount=11)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "amount: expected 10, but got 11" in errors
    assert errors.endswith("differences from the recording\n")


def test_a_gateway_that_is_not_there_or_refuses_is_named(tmp_path: Path) -> None:
    arguments = ("record", "--to", "session.jsonl", "--upstream", "ws://127.0.0.1:9")
    with (
        running(tmp_path, *arguments) as (url, _),
        pytest.raises(InvalidStatus) as refused,
        connect(url),
    ):
        pass
    assert refused.value.response.status_code == 502
    assert b"Cannot connect to ws://127.0.0.1:9" in refused.value.response.body


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("record", "--to", "x"), "use --upstream or --from"),
        (("record", "--to", "x", "--upstream", "http://127.0.0.1"), "the address must be like ws:"),
        (("record", "--to", "x", "--from", "wrong.jsonl"), "line 1: it is not JSON"),
        (("replay", "wrong.jsonl"), "line 1: it is not JSON"),
        (("replay", "wrong.jsonl", "--speed", "0"), "--speed"),
    ],
)
def test_wrong_arguments_are_named(
    tmp_path: Path, arguments: tuple[str, ...], problem: str
) -> None:
    (tmp_path / "wrong.jsonl").write_text("{")
    done = command(*arguments, folder=tmp_path)
    assert done.returncode in (1, 2)
    assert problem in done.stderr
    assert not (tmp_path / "x").exists()


def test_saved_messages_are_masked_and_replayed(tmp_path: Path) -> None:
    lines = (
        {"direction": "sent", "message": {"authorize": "kq8Wz3LfPm1TxYd", "req_id": 1}},
        {
            "direction": "received",
            "message": {"authorize": {"loginid": "CR1"}, "msg_type": "authorize", "req_id": 1},
        },
    )
    (tmp_path / "saved.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = command("record", "--from", "saved.jsonl", "--to", "session.jsonl", folder=tmp_path)
    assert done.stderr == "2 messages are in session.jsonl\n"
    assert "kq8Wz" not in (tmp_path / "session.jsonl").read_text()
    for name in ("saved.jsonl", "session.jsonl"):
        with replaying(tmp_path / name) as replay, caller(replay.url) as bot:
            assert bot.ask(authorize="other")["authorize"] == {"loginid": "CR1"}


TESTS = """
import json

from websockets.sync.client import connect


def ask(url, **request):
    with connect(url) as socket:
        socket.send(json.dumps(request))
        return json.loads(socket.recv())


def test_same(scopegate_replay):
    replay = scopegate_replay("saved.jsonl")
    assert ask(replay.url, time=1)["time"] == 1767268800


def test_other(scopegate_replay):
    replay = scopegate_replay("saved.jsonl")
    ask(replay.url, balance=1)
"""


@pytest.mark.lengthy
def test_the_fixture_serves_a_file_beside_the_test_and_fails_it_if_it_differs(
    tmp_path: Path,
) -> None:
    lines = (
        {"direction": "sent", "message": {"time": 1}},
        {"direction": "received", "message": {"time": 1767268800, "msg_type": "time"}},
    )
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "saved.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "tests" / "test_bot.py").write_text(TESTS)
    done = run_pytest(tmp_path, "-p", "no:asyncio")
    assert "1 failed, 1 passed" in done.stdout
    assert "FAILED tests/test_bot.py::test_other" in done.stdout
    assert "balance came but is not in the recording" in done.stdout
