"""A bot's session under the test kit: recorded the same in every run, and replayed without it."""

import json
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from scopegate.recordings.history import History
from scopegate.recordings.lines import Closed, Market, Message, Opened, RecordingError, Struck, read
from scopegate.recordings.replay import replaying
from scopegate.testkit import LiveGateway, live_gateway

RISE = {
    "contract_type": "CALL",
    "symbol": "1HZ100V",
    "duration": 3,
    "duration_unit": "t",
    "basis": "stake",
    "amount": 10,
    "currency": "USD",
}


def play(url: str, token: str) -> float:
    """Buy at the first tick after a fall, and return the profit."""
    with connect(url) as socket:

        def ask(**request: Any) -> Any:
            socket.send(json.dumps(request))
            return json.loads(socket.recv(timeout=10))

        ask(authorize=token)
        last = ask(ticks="1HZ100V", subscribe=1)["tick"]["quote"]
        fallen = False
        while not fallen:
            quote = json.loads(socket.recv(timeout=10))["tick"]["quote"]
            last, fallen = quote, quote < last
        priced = ask(proposal=1, **RISE)
        ask(buy=priced["proposal"]["id"], price=10, subscribe=1)
        while True:
            message = json.loads(socket.recv(timeout=10))
            contract = message.get("proposal_open_contract", {})
            if contract.get("is_sold"):
                ask(forget_all="ticks")
                return float(contract["profit"])


def played(gateway: LiveGateway) -> float:
    """The profit of `play`, whose test moves the clock tick by tick."""
    playing = gateway.run(play, gateway.url, gateway.token("trade", "read"))
    before = gateway.wait_for("tick")["tick"]["quote"]
    for tick in gateway.ticks("1HZ100V", 60):
        gateway.clock.advance(1)
        if tick["quote"] < before:
            break
        before = tick["quote"]
    gateway.wait_for("buy")
    gateway.clock.advance(4)  # it ends three ticks after its entry, and the bot then acts again
    return playing.result(timeout=10)


def recorded(path: Path, **options: Any) -> tuple[bytes, float]:
    with live_gateway(**options) as gateway:
        profit = played(gateway)
        gateway.save_recording(path)
    return path.read_bytes(), profit


def test_the_same_bot_under_the_same_seed_is_recorded_the_same_byte_for_byte(
    tmp_path: Path,
) -> None:
    first, profit = recorded(tmp_path / "first.jsonl", seed="seven")
    second, again = recorded(tmp_path / "second.jsonl", seed="seven")
    assert first == second
    assert profit == again
    other, _ = recorded(tmp_path / "other.jsonl", seed="eight")
    assert other != first

    with replaying(tmp_path / "first.jsonl") as replay:
        assert play(replay.url, "any") == profit


def test_a_recording_has_the_market_and_the_faults(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    with live_gateway() as gateway:
        gateway.fault("rate_limit", call="buy")
        gateway.fault("drop", before="portfolio")
        token = gateway.token()
        with connect(gateway.url) as socket:
            socket.send(json.dumps({"authorize": token}))
            socket.recv(timeout=10)
            socket.send(json.dumps({"buy": 1, "price": 10, "parameters": RISE}))
            assert json.loads(socket.recv(timeout=10))["error"]["code"] == "RateLimit"
            socket.send(json.dumps({"portfolio": 1}))
            with pytest.raises(ConnectionError):
                _until_it_ends(socket)
        gateway.save_recording(path)
        with pytest.raises(RecordingError, match="exists"):
            gateway.save_recording(path)
    assert token not in path.read_text()
    market, opened, *_, dropped, closed = read(path)
    assert market == Market("test", 1_767_268_800.0)
    assert isinstance(opened, Opened)
    assert dropped == Struck(0.0, "drop before=portfolio", 9)
    assert closed == Closed(1, 0.0, "gateway", 1006, 10)


def _until_it_ends(socket: Any) -> None:
    try:
        socket.recv(timeout=10)
    except Exception as problem:
        raise ConnectionError from problem


def test_secrets_of_your_own_calls_are_masked() -> None:
    history = History("seed", lambda: 5.0, {"pin"})
    number = history.opened("app_id=1")
    history.message(number, "sent", b'{"unlock":1,"pin":"4711"}')
    [_, _, message], _ = history.read()
    assert isinstance(message, Message)
    assert message.body == {"unlock": 1, "pin": "<secret 1>"}


def test_no_secret_that_is_sent_or_issued_reaches_the_file(tmp_path: Path) -> None:
    """Tokens that are signed in with, created, listed and deleted; passwords; misplaced tokens."""
    path = tmp_path / "session.jsonl"
    with live_gateway() as gateway:
        token, other = gateway.token(), gateway.token("read")
        app = gateway.app("read")
        secrets = [token, other, "Xy7-correct-horse", "483920", gateway.token("read", app=app)]
        with connect(gateway.url) as socket:

            def ask(**request: Any) -> Any:
                socket.send(json.dumps(request))
                return json.loads(socket.recv(timeout=10))

            ask(passthrough={"token": other}, ping=1)
            ask(authorize=token, passthrough={"again": f"Bearer {token}"})
            listed = ask(api_token=1, new_token="Bot", new_token_scopes=["read"])["api_token"]
            [issued] = [each["token"] for each in listed["tokens"] if "*" not in each["token"]]
            secrets.append(issued)
            ask(api_token=1, delete_token=issued)
            ask(copy_start=other)
            ask(new_account_virtual=1, client_password=secrets[2], verification_code=secrets[3])
            ask(**{issued: 1})
            ask(time=secrets[4])
            ask(authorize="MULTI", tokens=[other, token])
        gateway.save_recording(path)
    text = path.read_text()
    assert [secret for secret in secrets if secret in text] == []
    assert text.count("<secret") >= 12
