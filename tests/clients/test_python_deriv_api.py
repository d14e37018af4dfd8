"""The published Python client, as PyPI has it, works against the gateway unchanged.

`python-deriv-api` 0.1.6 pins an old WebSocket library, so it lives in a virtual environment of its
own, `.venv-deriv-client`, and its session runs there as a program of its own.
"""

import subprocess
from typing import Any

import pytest

from tests.clients.conftest import PYTHON, Run
from tests.served import Served


@pytest.fixture(scope="module")
def seen(gateway: Served, run_client: Run) -> dict[str, Any]:
    """What the client was shown in its session."""
    read_only = gateway.command(
        "token", "create", "--loginid", gateway.loginids[1], "--scopes", "read", "--name", "Look"
    )
    found: dict[str, Any] = run_client(
        "deriv_client_session.py", {"TOKEN": gateway.token, "READ_TOKEN": read_only}
    )
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
    assert gateway.token not in str(seen)
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


def test_what_is_no_whole_number_goes_by_send(seen: dict[str, Any]) -> None:
    """A method of a call cuts decimals off; `docs/clients.md` says so."""
    assert seen["cut"]["code"] == "OfferingsValidationError"
    assert "grows by 3%" in seen["whole"]["answered"]["proposal"]["longcode"]


def test_an_unknown_app_is_told_so(seen: dict[str, Any]) -> None:
    assert "Your app_id is invalid." in seen["stranger"]
