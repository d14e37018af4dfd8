"""Faults of the network, of the connection and of its token: what a bot sees of each."""

import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from scopegate.gateway.calls.injecting import MAX_DELAYED
from scopegate.gateway.calls.token_form import new_owner_token
from scopegate.gateway.calls.wire_faults import FaultKinds
from scopegate.settings import SettingsError
from scopegate.testkit import LiveGateway, live_gateway
from tests.program.faulty_sessions import BUY, TICKS, bot

TOKEN = new_owner_token()


def codes(messages: list[Any]) -> list[str]:
    return [message["error"]["code"] if "error" in message else "ok" for message in messages]


def epochs(messages: list[Any]) -> list[int]:
    """The seconds after the first reply at which these ticks are, in their order."""
    return [message["tick"]["epoch"] % 60 for message in messages]


def test_latency_delays_everything_and_keeps_its_order(scopegate: LiveGateway) -> None:
    late = scopegate.fault("latency", milliseconds=30, jitter=30)
    with bot(scopegate) as client:
        client.ask(**TICKS)
        scopegate.clock.advance(5)
        assert epochs(client.events(5)) == [1, 2, 3, 4, 5]
        assert client.ask(ping=1)["ping"] == "pong"
    assert late.strikes == 8


def test_what_latency_delays_is_sent_before_a_connection_closes(scopegate: LiveGateway) -> None:
    scopegate.fault("latency", milliseconds=60_000)
    with connect(f"{scopegate.endpoint}/websockets/v3?app_id=77") as socket:
        socket.send('{"ping": 1}')
        assert b"InvalidAppID" in socket.recv(decode=False)


def test_a_client_with_too_much_delayed_is_cut_off(scopegate: LiveGateway) -> None:
    size = len(json.dumps({"active_symbols": symbols_of(scopegate)}))
    scopegate.fault("latency", milliseconds=60_000, skip=1)
    with bot(scopegate) as client:
        for _ in range(2 * MAX_DELAYED // size):
            client.send(active_symbols="brief")
        assert client.next() == 1006


def symbols_of(scopegate: LiveGateway) -> Any:
    with bot(scopegate) as client:
        return client.ask(active_symbols="brief")["active_symbols"]


def test_the_gateway_has_these_kinds_without_an_exchange() -> None:
    names = FaultKinds().by_name()
    assert len(names) == 11
    assert FaultKinds().is_for_tests(None)


def test_a_lost_reply_leaves_what_was_done(scopegate: LiveGateway) -> None:
    lost = scopegate.fault("lost_reply", after="buy")
    with bot(scopegate) as client:
        client.send(**BUY)
        lost.wait()
        assert client.ask(balance=1)["balance"]["balance"] == 9990
        assert client.ask(**BUY)["buy"]["balance_after"] == 9980  # once, by default
    assert len(scopegate.contracts()) == 2


def test_a_call_that_is_refused_has_no_reply_to_lose(scopegate: LiveGateway) -> None:
    scopegate.fault("lost_reply", after="buy")
    with bot(scopegate) as client:
        assert "error" in client.ask(buy="nothing", price=10)


def test_events_arrive_twice(scopegate: LiveGateway) -> None:
    scopegate.fault("duplicate_events")
    with bot(scopegate) as client:
        assert client.ask(**TICKS)["tick"]["epoch"] % 60 == 0
        scopegate.clock.advance(2)
        assert epochs(client.events(4)) == [1, 1, 2, 2]


def test_events_arrive_in_another_order(scopegate: LiveGateway) -> None:
    scopegate.fault("reorder_events")
    with bot(scopegate) as client:
        client.ask(**TICKS)
        scopegate.clock.advance(4)
        assert epochs(client.events(4)) == [2, 1, 4, 3]


def test_the_events_of_each_stream_are_reordered_among_themselves(scopegate: LiveGateway) -> None:
    scopegate.fault("reorder_events", event="tick", times=1)
    with bot(scopegate) as client:
        client.send(ticks=["1HZ100V", "1HZ10V"], subscribe=1)
        client.events(2)
        scopegate.clock.advance(2)
        assert [(m["tick"]["symbol"], m["tick"]["epoch"] % 60) for m in client.events(4)] == [
            ("1HZ10V", 1),
            ("1HZ100V", 2),
            ("1HZ100V", 1),
            ("1HZ10V", 2),
        ]


def test_no_event_follows_the_reply_to_its_forget(scopegate: LiveGateway) -> None:
    scopegate.fault("reorder_events")
    with bot(scopegate) as client:
        stream = client.ask(**TICKS)["subscription"]["id"]
        scopegate.clock.advance(1)
        client.send(forget=stream)
        assert [message["msg_type"] for message in client.events(2)] == ["tick", "forget"]


@pytest.mark.lengthy
def test_an_event_that_is_held_back_arrives_without_another(scopegate: LiveGateway) -> None:
    scopegate.fault("reorder_events")
    with bot(scopegate) as client:
        client.ask(**TICKS)
        scopegate.clock.advance(1)
        assert epochs(client.events(1)) == [1]


def test_a_connection_drops_before_a_call(scopegate: LiveGateway) -> None:
    scopegate.fault("drop", before="buy")
    with bot(scopegate) as client:
        assert client.ask(**BUY) == 1006
    assert scopegate.contracts() == []
    with bot(scopegate) as client:
        assert "buy" in client.ask(**BUY)


def test_a_connection_drops_after_a_call(scopegate: LiveGateway) -> None:
    scopegate.fault("drop", after="buy", code=1012)
    with bot(scopegate) as client:
        assert client.ask(**BUY) == 1012
    assert len(scopegate.contracts()) == 1


def test_connections_drop_at_random(scopegate: LiveGateway) -> None:
    scopegate.fault("drop_at_random", chance=0.2, seed="1", skip=1)
    with bot(scopegate) as client:
        client.ask(**TICKS)
        scopegate.clock.advance(60)
        *ticks, code = client.rest()
    assert code == 1006
    assert epochs(ticks) == list(range(1, len(ticks) + 1))
    assert len(ticks) < 59


def test_a_connection_is_half_open(scopegate: LiveGateway) -> None:
    silent = scopegate.fault("half_open", after="buy")
    token = scopegate.token("read", "trade")
    with connect(scopegate.url, close_timeout=0.1) as socket:
        socket.send(f'{{"authorize": "{token}"}}')
        socket.recv()
        with bot(scopegate) as other:  # the first buy of any connection
            other.send(**BUY)
            silent.wait()
            other.send(ping=1)
            socket.send('{"ping": 1}')
            assert "pong" in str(socket.recv())
            scopegate.clock.advance(5)
            scopegate.hang_up()
            assert other.rest() == [1006]  # without a pong, a tick or a close frame
    assert len(scopegate.contracts()) == 1


def test_a_half_open_connection_answers_no_ping_of_the_protocol(scopegate: LiveGateway) -> None:
    silent = scopegate.fault("half_open", before="ping")
    with connect(scopegate.url, close_timeout=0.1, ping_interval=None) as socket:
        socket.send('{"ping": 1}')
        silent.wait()
        pong = socket.ping()
        scopegate.hang_up()
        with pytest.raises(ConnectionClosed):
            socket.recv()
        assert not pong.is_set()


def test_a_token_is_revoked_after_a_call(scopegate: LiveGateway) -> None:
    scopegate.fault("revoke_token", after="buy")
    token = scopegate.token("read", "trade")
    with bot(scopegate, token=token) as client:
        client.ask(balance=1, subscribe=1)
        assert "buy" in client.ask(**BUY)
        assert codes([client.ask(balance=1)]) == ["AuthorizationRequired"]
        assert codes([client.ask(authorize=token)]) == ["InvalidToken"]
    [ended] = [m for m in scopegate.messages if m["msg_type"] == "balance" and "error" in m][:1]
    assert ended["error"]["code"] == "InvalidToken"  # the stream's


def test_a_token_is_revoked_before_a_call(scopegate: LiveGateway) -> None:
    scopegate.fault("revoke_token", before="buy")
    with bot(scopegate) as client:
        assert codes([client.ask(**BUY)]) == ["AuthorizationRequired"]
    assert scopegate.contracts() == []


def test_a_call_meets_a_rate_limit(scopegate: LiveGateway) -> None:
    scopegate.fault("rate_limit", call="buy", times=2)
    with bot(scopegate) as client:
        answers = [client.ask(**BUY) for _ in range(3)]
    assert codes(answers) == ["RateLimit", "RateLimit", "ok"]
    assert len(scopegate.contracts()) == 1


def test_a_call_meets_an_internal_error(scopegate: LiveGateway) -> None:
    scopegate.fault("internal_error", call="buy")
    with bot(scopegate) as client:
        assert codes([client.ask(**BUY), client.ask(**BUY)]) == ["InternalServerError", "ok"]
    assert len(scopegate.contracts()) == 1


def test_an_error_never_replaces_a_refusal(scopegate: LiveGateway) -> None:
    scopegate.fault("internal_error", call="buy")
    with bot(scopegate, token=scopegate.token("read")) as client:
        assert codes([client.ask(**BUY)]) == ["PermissionDenied"]


def test_the_clock_is_wrong(scopegate: LiveGateway) -> None:
    scopegate.fault("wrong_clock", seconds=-100)
    now = int(scopegate.clock.now())
    with bot(scopegate) as client:
        answer = client.ask(time=1)
    assert answer["time"] == now - 100
    assert answer["echo_req"]["time"] == 1


def test_a_fault_ends(scopegate: LiveGateway) -> None:
    error = scopegate.fault("rate_limit", times=0)
    with bot(scopegate) as client:
        assert codes([client.ask(ping=1)]) == ["RateLimit"]
        error.end()
        assert codes([client.ask(ping=1)]) == ["ok"]


def test_streams_go_on_under_a_fault_that_begins_and_ends(scopegate: LiveGateway) -> None:
    with bot(scopegate) as client:
        client.ask(**TICKS)
        twice = scopegate.fault("duplicate_events")
        scopegate.clock.advance(1)
        twice.end()
        scopegate.clock.advance(1)
        assert epochs(client.events(3)) == [1, 1, 2]


def test_several_faults_act_together(scopegate: LiveGateway) -> None:
    scopegate.fault("duplicate_events", skip=1)
    scopegate.fault("rate_limit", call="ping")
    with bot(scopegate) as client:
        client.ask(**TICKS)
        scopegate.clock.advance(2)
        assert epochs(client.events(3)) == [1, 2, 2]
        assert codes([client.ask(ping=1)]) == ["RateLimit"]


def test_a_fault_is_of_one_token(scopegate: LiveGateway) -> None:
    token, other = scopegate.token("trade"), scopegate.token("trade")
    scopegate.fault("internal_error", token=token, call="buy", times=0)
    with bot(scopegate, token=token) as one, bot(scopegate, token=other) as two:
        assert codes([one.ask(**BUY), two.ask(**BUY)]) == ["InternalServerError", "ok"]
        assert codes([one.ask(authorize=other), one.ask(**BUY)]) == ["ok", "ok"]


def test_a_fault_of_a_token_counts_and_ends(scopegate: LiveGateway) -> None:
    token = scopegate.token("trade")
    error = scopegate.fault("internal_error", token=token, call="buy", times=0)
    with bot(scopegate, token=token) as client:
        client.send(**BUY)
        error.wait()
        error.end()
        assert codes(client.events(1)) == ["InternalServerError"]
        assert codes([client.ask(**BUY)]) == ["ok"]


def test_a_fault_is_of_one_app(scopegate: LiveGateway) -> None:
    app = scopegate.app()
    scopegate.fault("rate_limit", app=app, times=0)
    with connect(f"{scopegate.endpoint}/websockets/v3?app_id={app.id}") as socket:
        socket.send('{"ping": 1}')
        assert "RateLimit" in str(socket.recv())
    with bot(scopegate) as client:
        assert codes([client.ask(ping=1)]) == ["ok"]


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("explode", {}, "There is no fault 'explode'. There are: latency, lost_reply,"),
        ("drop", {}, "Give before or after, with the name of a call, and not both. The options"),
        ("drop", {"after": "buy", "before": "buy"}, "and not both."),
        ("drop", {"after": "buy", "code": 1005}, "code: Must be from 1000 to 1014, without 1004"),
        ("drop", {"after": "buy", "code": 5000}, "3000 to 4999. The options of drop are: chance"),
        ("drop", {"after": "bye"}, "There is no call bye."),
        ("spike", {"symbol": "NONE"}, "fault: symbol: There is no symbol NONE. active_symbols"),
        ("latency", {"jitter": -1}, "fault: jitter: Input should be greater than or equal to 0."),
        ("latency", {"seconds": 1}, "seconds: Unknown field. The options of latency are: chance"),
        ("lost_reply", {}, "Field required. The options of lost_reply are"),
    ],
)
def test_an_invalid_fault_is_refused_with_what_there_is(
    scopegate: LiveGateway, kind: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError, match="fault: ") as refused:
        scopegate.fault(kind, **options)
    assert words in str(refused.value)


def test_the_settings_have_faults() -> None:
    with (
        live_gateway(fault=["rate_limit call=ping", "internal_error call=time times=0"]) as gateway,
        bot(gateway) as client,
    ):
        answers = [client.ask(ping=1), client.ask(ping=1), client.ask(time=1)]
    assert codes(answers) == ["RateLimit", "ok", "InternalServerError"]


def test_the_settings_have_faults_of_one_app() -> None:
    with live_gateway(fault=["rate_limit times=0 app=1000"]) as gateway, bot(gateway) as client:
        assert codes([client.ask(ping=1)]) == ["ok"]
    of_app = live_gateway(fault=["rate_limit times=0 app=1089"])
    with of_app as gateway, connect(gateway.url) as socket:
        socket.send('{"ping": 1}')
        assert "RateLimit" in str(socket.recv())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"fault": ["explode"]}, "fault: 'explode': There is no fault 'explode'."),
        ({"fault": ["drop buy"]}, "'buy' is not of the form name=value. The options of drop are"),
        ({"fault": ["latency app=mine"]}, "app must be the number of an app"),
        ({"fault": [f"latency {TOKEN}"]}, "'latency <not shown>': '<not shown>' is not of the"),
        ({"fault": [f"latency app={TOKEN}"]}, "'latency app=<not shown>': app must be"),
        ({"fault": ["latency"], "allowed_host": ["example.com"]}, "set allow_faults too"),
    ],
)
def test_a_wrong_fault_of_the_settings_stops_the_start(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError) as refused, live_gateway(**settings):
        raise AssertionError("it has started")
    assert words in str(refused.value)
