"""What the log says about clients: one id in all lines, and never a secret."""

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from scopegate.gateway.calls.call_log import REFUSALS_A_SECOND
from tests.served import Served

BUY = {
    "buy": "1",
    "price": 10,
    "parameters": {
        "amount": 1,
        "basis": "stake",
        "contract_type": "CALL",
        "currency": "USD",
        "duration": 5,
        "duration_unit": "m",
        "symbol": "R_100",
    },
}
JSON = ("--log-format", "json")


def lines(served: Served) -> list[dict[str, Any]]:
    """The log's lines about clients, once the gateway has ended."""
    assert served.stop() == 0
    every = [orjson.loads(line) for line in served.stderr.splitlines()]
    return [line for line in every if line["event"] != "the audit trail"]


async def use(served: Served) -> str:
    """Sign in, buy and be refused; returns a secret that the gateway has seen."""
    async with served.connected() as client:
        assert await client.refused({"buy": "1", "price": 10}) == "AuthorizationRequired"
        wrong = "a1-" + "x" * 29
        await client.refused({"authorize": wrong})
        await client.authorize(served.token)
        await client.ask({"ping": 1, "passthrough": {"secret": served.token}})
        assert "error" not in await client.ask(BUY)
    return served.token


async def test_one_id_runs_through_all_lines_of_a_connection(tmp_path: Path) -> None:
    with Served(tmp_path, "--log-level", "info", *JSON) as served:
        await use(served)
        told = lines(served)
    first, second, write, end = told
    assert len({line["session"] for line in told}) == 1
    assert [line["event"] for line in told] == [
        "a refusal",
        "a refusal",
        "a write",
        "a connection has ended",
    ]
    assert (first["call"], first["code"]) == ("buy", "AuthorizationRequired")
    assert (second["call"], second["code"]) == ("authorize", "InvalidToken")
    assert (write["call"], write["account"]) == ("buy", served.loginids[0])
    assert [line["message"] for line in told[:3]] == [1, 2, 5]
    assert (end["messages"], end["code"], end["account"]) == (5, "client", served.loginids[0])
    assert {line["level"] for line in told} == {"info"}


async def test_each_call_is_logged_on_request(tmp_path: Path) -> None:
    with Served(tmp_path, "--log-level", "debug", *JSON) as served:
        await use(served)
        calls = [line for line in lines(served) if line["event"] == "a call"]
    assert [(line["call"], line["outcome"]) for line in calls] == [
        ("buy", "AuthorizationRequired"),
        ("authorize", "InvalidToken"),
        ("authorize", "ok"),
        ("ping", "ok"),
        ("buy", "ok"),
    ]
    assert all(0 < line["seconds"] < 60 for line in calls)


@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_line_has_a_secret(tmp_path: Path, form: str) -> None:
    with Served(tmp_path, "--log-level", "debug", "--log-format", form) as served:
        secret = await use(served)
        assert served.stop() == 0
    assert served.stderr
    assert secret not in served.stderr


async def test_nothing_is_logged_of_clients_by_default(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        await use(served)
        assert lines(served) == []


async def test_many_refusals_do_not_fill_the_disk(tmp_path: Path) -> None:
    with Served(tmp_path, "--log-level", "info", *JSON) as served:
        async with served.connected() as client:
            for _ in range(2_000):
                client.send_text(b'{"balance": 1}')
            for _ in range(2_000):
                await client.next()
            # The first line of the next second tells how many were left out.
            while len(told := refusals(_read(served))) + left_out(told) < 2_000:
                await client.refused({"balance": 1})
        told = refusals(lines(served))
    assert left_out(told) > 0
    by_second: dict[str, int] = {}
    for line in told:
        second = line["timestamp"][:19]
        by_second[second] = by_second.get(second, 0) + 1
    # The seconds of the log are not those by which lines are counted.
    assert max(by_second.values()) <= 2 * REFUSALS_A_SECOND


def refusals(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in told if line["event"] == "a refusal"]


def left_out(told: list[dict[str, Any]]) -> int:
    return sum(line.get("left_out", 0) for line in told)


def _read(served: Served) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in served.stderr.splitlines() if line.endswith("}")]


async def test_a_failure_names_the_connection(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(
        "from scopegate import One, Request, Session, call\n"
        "from typing_extensions import TypedDict\n\n\n"
        "class Fail(Request):\n"
        '    """Fails."""\n\n'
        "    fail: One\n\n\n"
        "class FailReply(TypedDict):\n"
        "    fail: int\n\n\n"
        "class Failing:\n"
        '    """Fails."""\n\n'
        '    @call("fail", needs=None)\n'
        "    async def fail(self, request: Fail, session: Session) -> FailReply:\n"
        '        """Fail."""\n'
        '        raise RuntimeError("it is broken")\n'
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    options = ("--handlers", "failing", "--log-level", "info", *JSON)
    with Served(tmp_path, *options, settings={"PYTHONPATH": path}) as served:
        async with served.connected() as client:
            client.send_text(b'{"fail": 1}')
            assert (await client.next())["error"]["code"] == "InternalServerError"
        failure, end = lines(served)
    assert failure["event"] == "a handler failed"
    assert "it is broken" in failure["exception"]
    assert (failure["session"], failure["message"]) == (end["session"], 1)
