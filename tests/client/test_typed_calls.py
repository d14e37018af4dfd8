"""The generated calls: what a type checker accepts and refuses, and what they are made from."""

import inspect
import subprocess
import sys
import typing
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from docs import client_calls
from scopegate.client import Stream, calls, messages, streams
from scopegate.client.calls import Calls
from tests.product_files import ROOT
from tests.served import our_calls

PROGRAM = """
from decimal import Decimal
from typing import Any, assert_type

from scopegate.client import Client, Stream, messages


async def trade(client: Client) -> None:
    assert_type(await client.time(), int)
    balance = await client.balance()
    assert_type(balance, messages.BalanceBody)
    assert_type(balance["balance"], float)
    bought = await client.buy(
        price=Decimal("10.50"),
        parameters={
            "contract_type": "CALL",
            "symbol": "R_100",
            "currency": "USD",
            "basis": "stake",
            "amount": 10,
            "duration": 5,
            "duration_unit": "t",
        },
    )
    assert_type(bought["contract_id"], int)
    assert_type(client.transactions(after=7), Stream[messages.TransactionBody])
    async for tick in client.ticks("R_100"):
        assert_type(tick, messages.Tick)
    async for entry in client.transactions():
        assert_type(entry["amount"], float)
    history = await client.ticks_history("R_100", end="latest", style="candles", count=5)
    assert_type(history, messages.HistoryReply | messages.CandlesReply)
    assert_type(await client.call({"greet": "Ada"}), dict[str, Any])
    assert_type(client.subscribe({"greetings": 1}), Stream[dict[str, Any]])
"""

WRONG = {
    'await client.buy(price="ten", parameters={})': "arg-type",
    "await client.buy(prize=10)": "call-arg",
    'await client.buy(price=10, parameters={"contract_type": "CALL"})': "arg-type",
    "await client.sell()": "call-arg",
    'await client.sell("7", price=0)': "arg-type",
    "client.ticks(100)": "arg-type",
    'client.ticks("R_100", after="7")': "arg-type",
    '(await client.balance())["balanced"]': "typeddict-item",
    'await client.statement(action_type="bought")': "arg-type",
}
"""Lines that are wrong, each with the code of mypy's error."""


def checked(folder: Path, text: str) -> str:
    """What mypy reports about a program, in strict mode."""
    program = folder / "program.py"
    program.write_text(text)
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "mypy",
                "--strict",
                "--config-file=",
                "--follow-imports=silent",
            ),
            *("--cache-dir", ROOT / ".mypy_cache" / "client", program),
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    return done.stdout + done.stderr


@pytest.mark.lengthy
def test_a_program_is_checked_against_the_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    lines = "".join(f"    {line}\n" for line in WRONG)
    text = f"{PROGRAM}\n\nasync def wrong(client: Client) -> None:\n{lines}"
    first = text.splitlines().index("async def wrong(client: Client) -> None:") + 2
    found = [line for line in checked(tmp_path, text).splitlines() if ": error:" in line]
    errors = {int(line.split(":")[1]): line.rpartition("[")[2].rstrip("]") for line in found}
    assert {number - first: code for number, code in errors.items()} == dict(
        enumerate(WRONG.values())
    ), found


def test_there_is_a_method_for_each_call_that_a_token_can_make() -> None:
    names = {call.name for call in client_calls.offered()}
    assert {"buy", "balance", "sell", "ticks_history", "token_rotate"} <= names
    for name in names - client_calls.ONLY_STREAMS:
        assert callable(getattr(calls.Calls, name))
    for stream in client_calls.STREAMS.values():
        assert stream is None or callable(getattr(calls.Calls, stream))
    assert {"authorize", "sign_in", "operator_overview"}.isdisjoint(vars(calls.Calls))


def test_what_changes_something_is_not_repeated_without_a_key() -> None:
    assert {"balance", "statement", "time", "portfolio", "copytrading_list"} <= calls.READS
    changing = {"buy", "sell", "token_create", "verify_email", "logout", "new_account_virtual"}
    assert changing.isdisjoint(calls.READS)
    assert calls.READS.isdisjoint(calls.KEYED)
    assert set(streams.KINDS) == client_calls.RESUMED


def test_a_decimal_is_a_number_of_a_request() -> None:
    assert typing.get_args(messages.Number) == (float, Decimal)


def test_importing_the_client_imports_nothing_of_the_gateway() -> None:
    text = (
        "import sys; import scopegate.client; print(*(name for name in sys.modules"
        " if name.startswith(('scopegate', 'pydantic', 'structlog', 'numpy'))))"
    )
    done = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)
    ours = {"scopegate", "scopegate.client"}
    ours |= {f"scopegate.client.{name}" for name in ("backoff", "calls", "client", "errors")}
    assert set(done.stdout.split()) == {*ours, "scopegate.client.streams"}


class Noted(Calls):
    """Notes what a method asks for."""

    noted: tuple[str, dict[str, Any], object, object]

    async def _body(
        self,
        name: str,
        arguments: Mapping[str, Any],
        timeout: float | None,  # noqa: ASYNC109 - as in the class
        key: str | None = None,
    ) -> Any:
        self.noted = name, dict(arguments), timeout, key
        return self

    _fields = _body

    def _stream(
        self,
        name: str,
        arguments: Mapping[str, Any],
        after: int | None = None,
        *,
        whole: bool = False,
    ) -> Stream[Any]:
        self.noted = name, dict(arguments), after, None
        return cast("Stream[Any]", self)


METHODS = {
    name: method
    for name, method in inspect.getmembers(Calls, inspect.isfunction)
    if not name.startswith("_")
}


@pytest.mark.parametrize("name", METHODS)
async def test_a_method_asks_for_its_call_with_each_argument(name: str) -> None:
    given = {each: object() for each in inspect.signature(METHODS[name]).parameters}
    del given["self"]
    asking = Noted()
    asked = METHODS[name](asking, **given)
    assert (await asked if inspect.isawaitable(asked) else asked) is asking
    call_name, arguments, timeout, key = asking.noted
    call = our_calls()[call_name]
    assert arguments.keys() <= call.request.model_fields.keys()
    assert timeout is given.pop("timeout", None) or timeout is given.pop("after")
    assert key is given.pop("idempotency_key", None)
    assert {id(value) for value in given.values()} == {
        id(value) for value in arguments.values() if value is not None
    }
