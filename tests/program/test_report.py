"""Reports after a run: of the test kit, of pytest with an option, and of recordings."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from scopegate.exchange.rules import Margins
from scopegate.recordings.lines import read
from scopegate.reports.report import CONNECTED_AGAIN, Total, report_of
from scopegate.reports.trades import ReportError, Trade, of_recording
from scopegate.testkit import LiveGateway
from tests.program.reporting_bot import ask, played
from tests.program.test_pytest_plugin import run_pytest
from tests.served import scopegate as command

ROUNDS = 12


def test_a_report_has_what_the_bot_did_and_what_came_of_it(scopegate: LiveGateway) -> None:
    played(scopegate, ROUNDS)
    report = scopegate.report("A run")

    calls = {each.call: each for each in report.calls}
    assert list(calls) == ["authorize", "buy", "ticks_history"]
    assert calls["buy"].answered == ROUNDS
    assert calls["buy"].refused == {"RateLimit": 1, "PriceMoved": 1}
    assert calls["buy"].unanswered == 1
    assert [each.code for each in report.refusals] == ["RateLimit", "PriceMoved"]
    assert (report.connections, report.reconnects) == (3, 2)
    assert [(each.by, each.code) for each in report.ended][:1] == [("gateway", 1006)]
    limited, moved, dropped = report.faults
    assert limited.fault == "rate_limit skip=1 call=buy"
    assert limited.next_steps[0] == "buy"
    assert moved.next_steps[0] == "buy"
    assert dropped.next_steps[:3] == [CONNECTED_AGAIN, "authorize", "buy"]
    assert [(bot.name, bot.outcome) for bot in report.bots] == [("play", "returned")] * 2

    contracts = scopegate.contracts()
    assert [trade.contract_id for trade in report.trades] == [c["contract_id"] for c in contracts]
    assert [trade.result for trade in report.trades] == [c["profit"] for c in contracts]
    [total] = report.totals
    assert total.trades == ROUNDS
    assert total.result == pytest.approx(scopegate.balance() - 10_000)


def test_a_trade_is_expected_to_lose_its_margin(scopegate: LiveGateway) -> None:
    """A rise costs its probability plus the margin, both of the payout."""
    played(scopegate, ROUNDS)
    for trade, contract in zip(scopegate.report().trades, scopegate.contracts(), strict=True):
        assert trade.expected == pytest.approx(-Margins().rise_fall * contract["payout"], abs=0.011)
        assert trade.deviation == pytest.approx((trade.result or 0) - (trade.expected or 0))


def test_totals_have_the_standard_error_of_the_scatter() -> None:
    trades = [
        Trade(1, "CALL", "R_100", "", "USD", 10.0, 0, "won", 60, 19.0, -0.2),
        Trade(2, "CALL", "R_100", "", "USD", 10.0, 60, "lost", 90, 0.0, -0.2),
        Trade(3, "CALL", "R_100", "", "USD", 10.0, 0, "open", expected=-0.2),
        Trade(4, "CALL", "R_100", "", "EUR", 10.0, 0, "won", 1, 19.0),
    ]
    dollars, euros = report_of("Sums", [], trades).totals
    # Deviations of 9.2 and -9.8: their mean is -0.3, and both are 9.5 away from it.
    error = round(math.sqrt(2 * 2 * 9.5**2), 6)
    assert dollars == Total("USD", 2, 1, 20.0, -1.0, -0.4, -0.6, error)
    assert euros == Total("EUR", 1, 0, 10.0, 9.0, None, None, None)


def test_trades_that_depend_on_the_same_prices_count_as_one() -> None:
    """Else a bot that buys the same contract a hundred times would seem sure of its luck."""
    first, again, other = (
        Trade(1, "CALL", "R_100", "", "USD", 10.0, 0, "won", 60, 19.0, 0.0),
        Trade(2, "CALL", "R_100", "", "USD", 10.0, 59, "won", 70, 19.0, 0.0),
        Trade(3, "CALL", "R_50", "", "USD", 10.0, 0, "lost", 60, 0.0, 0.0),
    )
    [total] = report_of("One group", [], [first, again]).totals
    assert (total.deviation, total.standard_error) == (18.0, None)
    [total] = report_of("Two groups", [], [first, again, other]).totals
    assert total.standard_error == 28.0


def test_the_failure_of_a_bot_is_reported_and_still_raised(scopegate: LiveGateway) -> None:
    def fail(token: str) -> None:
        raise ValueError(f"my token {token} was wrong")

    token = scopegate.token()
    with connect(scopegate.url) as socket:
        ask(socket, authorize=token)
    failing = scopegate.run(fail, token)
    with pytest.raises(ValueError, match="was wrong"):
        scopegate.wait_for("buy")
    [bot] = scopegate.report().bots
    assert bot.outcome == "failed with ValueError: my token <secret 1> was wrong"
    assert failing.exception() is not None


def test_a_recording_gives_the_same_report(scopegate: LiveGateway, tmp_path: Path) -> None:
    played(scopegate, ROUNDS)
    with connect(scopegate.url) as socket:
        ask(socket, authorize=scopegate.token())
        ask(socket, profit_table=1, description=1, limit=50)
    scopegate.save_recording(tmp_path / "session.jsonl")
    made = command("report", "session.jsonl", "-o", "report.json", folder=tmp_path)
    assert made.stderr == "the report is in report.json\n"
    known = json.loads((tmp_path / "report.json").read_text())
    here = json.loads(json.dumps(scopegate.report().to_json()))
    assert known["calls"] == here["calls"]
    assert known["faults"] == here["faults"]
    assert known["totals"] == here["totals"]
    assert [trade["expected"] for trade in known["trades"]] == [
        trade["expected"] for trade in here["trades"]
    ]
    assert [trade["result"] for trade in known["trades"]] == [
        trade["result"] for trade in here["trades"]
    ]


MESSAGES: tuple[dict[str, Any], ...] = (
    {"authorize": {"currency": "USD"}, "msg_type": "authorize"},
    {
        "buy": {
            "contract_id": 7,
            "buy_price": 10,
            "purchase_time": 1767268800,
            "shortcode": "CALL_R_100_19.55_1767268800_1767268860_S0P_0",
            "longcode": "Pays if it rises.",
        },
        "msg_type": "buy",
    },
    {"sell": {"contract_id": 7, "sold_for": "9.40"}, "msg_type": "sell"},
    {"buy": {"contract_id": 8, "buy_price": 1, "purchase_time": 1767268900, "shortcode": "X_Y"}},
    {"proposal_open_contract": {"contract_id": 9, "is_sold": 1, "sell_price": 3}},
)


def saved(folder: Path, *more: dict[str, Any]) -> Path:
    path = folder / "saved.jsonl"
    lines = [{"direction": "received", "message": message} for message in (*MESSAGES, *more)]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_messages_of_another_gateway_give_trades_without_an_expected_result(
    tmp_path: Path,
) -> None:
    sold, unknown = of_recording(read(saved(tmp_path)), None)
    assert (sold.contract_type, sold.symbol, sold.status) == ("CALL", "R_100", "sold")
    assert (sold.result, sold.expected, sold.deviation) == (-0.6, None, None)
    assert (unknown.contract_type, unknown.status, unknown.result) == ("X", "open", None)


def test_a_wrong_seed_is_noticed(tmp_path: Path, scopegate: LiveGateway) -> None:
    tick = scopegate.ticks("R_100", 4)[0]
    path = saved(tmp_path, {"tick": {"symbol": "R_100", **tick}, "msg_type": "tick"})
    [sold, _] = of_recording(read(path), "test")
    assert sold.expected is not None
    with pytest.raises(ReportError, match="not that of this seed"):
        of_recording(read(path), "another")
    done = command("report", path.name, "-o", "x.html", "--seed", "another", folder=tmp_path)
    assert "not that of this seed" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("saved.jsonl", "-o", "report.txt"), "must end with .html or .json"),
        (("saved.jsonl", "-o", "nowhere/report.html"), "nowhere/report.html: No such file"),
        (("wrong.jsonl", "-o", "report.html"), "line 1: it is not JSON"),
    ],
)
def test_wrong_arguments_are_named(
    tmp_path: Path, arguments: tuple[str, ...], problem: str
) -> None:
    saved(tmp_path)
    (tmp_path / "wrong.jsonl").write_text("{")
    done = command("report", *arguments, folder=tmp_path)
    assert done.returncode in (1, 2)
    assert problem in done.stderr


TESTS = """
import json

import pytest
from websockets.sync.client import connect


@pytest.mark.parametrize("text", ["a", "a/b", "a b"])
def test_it(scopegate, text):
    with connect(scopegate.url) as socket:
        socket.send(json.dumps({"ping": 1}))
        socket.recv()
    assert text != "a b"
"""


@pytest.mark.lengthy
def test_pytest_writes_a_report_of_each_test(tmp_path: Path) -> None:
    (tmp_path / "test_bot.py").write_text(TESTS)
    done = run_pytest(tmp_path, "-p", "no:asyncio", "--scopegate-report", "reports")
    assert "1 failed, 2 passed" in done.stdout
    files = sorted((tmp_path / "reports").iterdir())
    assert len(files) == 6  # also of the test that fails
    titles = {json.loads(file.read_text())["title"] for file in files if file.suffix == ".json"}
    assert titles == {f"test_bot.py::test_it[{text}]" for text in ("a", "a/b", "a b")}

    (tmp_path / "file").write_text("")
    done = run_pytest(tmp_path, "-p", "no:asyncio", "-k", "a/b", "--scopegate-report", "file")
    assert "--scopegate-report: file: File exists" in done.stdout
