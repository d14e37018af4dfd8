"""The bounds of stake and payout, and the error messages with them.

Published clients parse the numbers in "Minimum stake of 0.35" and "maximum payout of 50000.00".
"""

from decimal import Decimal

from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.money import bound_in, to_text
from scopegate.exchange.rules import MAX_PAYOUT, MAX_STAKE, MIN_STAKE


def _bounds(currency: str) -> str:
    least, most = (text(bound, currency) for bound in (MIN_STAKE, MAX_PAYOUT))
    return f"Minimum stake of {least} and maximum payout of {most}."


def text(bound: Decimal, currency: str) -> str:
    """A bound converted to a currency, with all decimals."""
    return to_text(bound_in(bound, currency), currency)


def check_stake(stake: int, currency: str, *, payout: int | None = None) -> None:
    """Raise `Refusal` for a stake (smallest units) that is too small or too large.

    If the stake is too large and a payout is given, a payout that is too large is reported first.
    """
    if stake < bound_in(MIN_STAKE, currency):
        raise _out_of_bounds(f"{_bounds(currency)} Current stake is {to_text(stake, currency)}.")
    if stake > bound_in(MAX_STAKE, currency):
        if payout is not None:
            check_payout(payout, currency)
        raise _out_of_bounds(
            f"Maximum stake allowed is {text(MAX_STAKE, currency)}."
            f" Current stake is {to_text(stake, currency)}."
        )


def check_payout(payout: int, currency: str) -> None:
    """Raise `Refusal` for a payout (smallest units) that is too large."""
    if payout > bound_in(MAX_PAYOUT, currency):
        raise _out_of_bounds(f"{_bounds(currency)} Current payout is {to_text(payout, currency)}.")


def _out_of_bounds(problem: str) -> Refusal:
    return Refusal("ContractBuyValidationError", problem, {"amount": problem})
