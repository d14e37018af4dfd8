"""The digest of a quote request, by which a purchase is known again."""

import hashlib
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest

from scopegate.exchange.contracts.common.quote_request import QuoteRequest

RISE = QuoteRequest(
    contract_type="CALL",
    symbol="R_100",
    currency="USD",
    amount=Decimal(10),
    basis="stake",
    duration=5,
    duration_unit="t",
)
OTHERS: dict[str, Any] = {
    "Decimal | None": Decimal("0.5"),
    "int | None": 1_767_268_800,
    "str": "other",
    "str | None": "other",
}
"""A value of each type of field that none of `RISE` has."""


@pytest.mark.parametrize(
    "name", [field.name for field in fields(QuoteRequest) if field.name != "markup"]
)
def test_every_field_of_the_contract_counts(name: str) -> None:
    [annotation] = [str(field.type) for field in fields(QuoteRequest) if field.name == name]
    other = OTHERS[annotation.removeprefix("<class '").removesuffix("'>").replace("decimal.", "")]
    assert replace(RISE, **{name: other}).digest() != RISE.digest()


def test_numbers_count_by_their_value_and_markups_not_at_all() -> None:
    for same in (
        replace(RISE, amount=Decimal("10.0")),
        replace(RISE, amount=Decimal("1E+1")),
        replace(RISE, markup=Decimal("0.01")),
    ):
        assert same.digest() == RISE.digest()


def test_a_digest_is_the_one_that_earlier_purchases_have() -> None:
    """It is stored: another one would refuse their repetitions."""
    text = (
        '{"amount": "1E+1", "basis": "stake", "contract_type": "CALL", "currency": "USD",'
        ' "duration": 5, "duration_unit": "t", "symbol": "R_100"}'
    )
    assert RISE.digest() == hashlib.sha256(text.encode()).hexdigest()
