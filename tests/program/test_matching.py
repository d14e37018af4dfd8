"""Which recorded message a message is, and how they differ."""

from typing import Any

import pytest

from scopegate.recordings.masking import numbered_id
from scopegate.recordings.matching import (
    Problem,
    call_of,
    differences,
    own_ids,
    secret_fields,
    without_secrets,
)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ({"amount": 10, "proposal": 1, "req_id": 1}, "proposal"),
        ({"landing_company": "svg", "active_symbols": "brief"}, "active_symbols"),
        ({"req_id": 3, "greet": "Ada"}, "greet"),
        ({"buy": 1, "sell": 2}, "buy"),
        ({"req_id": 3}, ""),
        (None, ""),
    ],
)
def test_the_call_of_a_message(message: dict[str, Any] | None, call: str) -> None:
    assert call_of(message) == call


def test_what_a_client_chooses_anew_and_secrets_are_no_difference() -> None:
    recorded = {"authorize": "<secret 1>", "req_id": 1, "passthrough": {"a": 1}}
    assert differences(recorded, {"authorize": "another", "req_id": 7}) == []
    assert differences({"unlock": 1, "pin": "<secret 1>"}, {"unlock": 1, "pin": "1"}) != []
    pin = frozenset(secret_fields({"unlock": 1, "pin": "<secret 1>"}))
    assert differences({"unlock": 1, "pin": "<secret 1>"}, {"unlock": 1, "pin": "1"}, pin) == []


def test_differences_are_listed_by_field() -> None:
    recorded = {"buy": 1, "price": 10, "parameters": {"amount": 10, "symbol": "R_100"}, "l": [1, 2]}
    actual = {"buy": 1, "price": 10.0, "parameters": {"amount": 12, "basis": "stake"}, "l": [1, 3]}
    assert [str(each) for each in differences(recorded, actual)] == [
        "parameters.amount: expected 10, but got 12",
        'parameters.symbol: expected "R_100", but it is missing',
        'parameters.basis: not expected, but got "stake"',
        "l[1]: expected 2, but got 3",
    ]


def test_a_message_that_is_not_json_is_a_difference() -> None:
    assert differences(None, None) == []
    [difference] = differences({"ping": 1}, None)
    assert str(difference) == 'message: expected "a JSON object", but got "not a JSON object"'


def test_ids_that_a_client_chooses_stand_for_the_recorded_ones() -> None:
    own = "3f0e8d6c-1111-4222-8333-123456789abc"
    assert own_ids({"key": numbered_id(1), "n": [1]}, {"key": own, "n": [2]}) == {
        own: numbered_id(1)
    }


def test_secrets_are_not_shown() -> None:
    assert without_secrets({"tokens": ["abc"], "authorize": "MULTI", "price": 3}) == {
        "tokens": ["<not shown>"],
        "authorize": "MULTI",
        "price": 3,
    }


def test_a_problem_is_readable() -> None:
    found = tuple(differences({"buy": 1, "price": 10}, {"buy": 1, "price": 12}))
    assert str(Problem("buy differs from the recording", 1, 17, differences=found)) == (
        "connection 1, line 17: buy differs from the recording\n  price: expected 10, but got 12"
    )
    assert str(Problem("ping came", 2, actual={"ping": 1})) == (
        'connection 2: ping came\n  got:      {"ping":1}'
    )
