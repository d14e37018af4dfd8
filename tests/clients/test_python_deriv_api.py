"""The published Python client, as PyPI has it, works against the gateway unchanged.

`python-deriv-api` 0.1.6 pins an old WebSocket library, so it lives in a virtual environment of its
own, `.venv-deriv-client`, and its session runs there as a program of its own.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.served import PATIENCE, Served, environment

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-deriv-client" / "bin" / "python"
SESSION = Path(__file__).with_name("deriv_client_session.py")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    if not (ROOT / ".venv-deriv-client" / "made").exists():
        missing = ".venv-deriv-client is missing: make test makes it"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    served = Served(tmp_path_factory.mktemp("deriv"), "--seed", "tests", "--speed", "20")
    yield served
    assert served.stop() == 0
    assert served.stderr == ""


@pytest.fixture(scope="module")
def seen(gateway: Served) -> dict[str, Any]:
    """What the client was shown in its session."""
    read_only = gateway.command(
        "token", "create", "--loginid", gateway.loginids[1], "--scopes", "read", "--name", "Look"
    )
    done = subprocess.run(
        [PYTHON, SESSION, gateway.url.removesuffix("/websockets/v3")],
        check=False,
        capture_output=True,
        text=True,
        cwd=gateway.folder,  # so that nothing of ours can be imported
        env=environment({"TOKEN": gateway.token, "READ_TOKEN": read_only}),
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_client_is_the_published_one(gateway: Served) -> None:
    told = subprocess.run(
        [
            PYTHON,
            "-c",
            "from importlib.metadata import version as v;"
            "print(v('python-deriv-api'), v('websockets'))",
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=gateway.folder,
    )
    assert told.stdout.split() == ["0.1.6", "10.3"]


def test_it_never_complains(seen: dict[str, Any]) -> None:
    """The client reports messages that it cannot place, and throws them away."""
    assert seen["complaints"] == []


def test_it_looks_around(seen: dict[str, Any]) -> None:
    assert seen["ping"]["ping"] == "pong"
    names = {symbol["symbol"] for symbol in seen["active_symbols"]["active_symbols"]}
    assert {"R_50", "1HZ100V"} <= names


def test_it_signs_in(seen: dict[str, Any], gateway: Served) -> None:
    assert seen["before_login"]["code"] == "AuthorizationRequired"
    assert seen["wrong_token"] == {
        "code": "InvalidToken",
        "message": "The token is invalid.",
        "msg_type": "authorize",
    }
    signed_in = seen["authorize"]["authorize"]
    assert signed_in["loginid"] == gateway.loginids[0]
    assert gateway.token not in json.dumps(seen)
    balance = {"balance": 10000, "currency": "USD", "loginid": gateway.loginids[0]}
    assert seen["balance"]["balance"] == balance
    [first] = seen["balances"]
    assert first["balance"] == {**balance, "id": first["subscription"]["id"]}


@pytest.mark.parametrize("symbol", ["R_50", "1HZ100V"])
def test_live_ticks_are_those_of_later_history(seen: dict[str, Any], symbol: str) -> None:
    messages = seen["ticks"][symbol]
    assert len(messages) >= 5
    live = [message["tick"] for message in messages]
    assert {tick["symbol"] for tick in live} == {symbol}
    step = 1 if symbol.startswith("1HZ") else 2
    assert [tick["epoch"] for tick in live] == [
        live[0]["epoch"] + step * number for number in range(len(live))
    ]
    assert seen["ticks_history"][symbol]["history"] == {
        "times": [tick["epoch"] for tick in live],
        "prices": [tick["quote"] for tick in live],
    }


def test_forgetting_all_ends_both_streams(seen: dict[str, Any]) -> None:
    streams = [
        {message["subscription"]["id"] for message in told} for told in seen["ticks"].values()
    ]
    assert [len(ids) for ids in streams] == [1, 1]
    assert sorted(seen["forget_all"]["forget_all"]) == sorted(set.union(*streams))


def test_it_is_stopped_where_its_scope_ends(seen: dict[str, Any], gateway: Served) -> None:
    assert seen["read_only"]["authorize"]["scopes"] == ["read"]
    assert seen["beyond_scope"] == {
        "code": "PermissionDenied",
        "message": "Permission denied, requires trade scope.",
        "msg_type": "topup_virtual",
    }
    assert seen["within_scope"]["balance"]["loginid"] == gateway.loginids[1]
    assert seen["unknown_symbol"]["code"] == "InvalidSymbol"
    assert seen["logout"]["logout"] == 1
    assert seen["after_logout"]["code"] == "AuthorizationRequired"


def test_an_unknown_app_is_told_so(seen: dict[str, Any]) -> None:
    assert "Your app_id is invalid." in seen["stranger"]
