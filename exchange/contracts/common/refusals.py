"""Refusals: why a client's request is rejected, with the messages and codes of the wire."""

from typing import Any

from scopegate.exchange.money import CURRENCIES

NOT_OPEN = "This contract was not found among your open positions."

ORDERS_CHANGE = "The orders of this contract are being changed. Try again in a moment."


class Refusal(Exception):
    """The rejection of a request; nothing has changed.

    `code` is an error code of the wire, `message` a sentence that says what to do, `details` the
    invalid fields with a sentence each. With `names_field`, the error has the name of the first of
    them in a separate field, so that a form can mark it.
    """

    def __init__(
        self,
        code: str,
        message: str,
        details: dict[str, Any] | None = None,
        *,
        names_field: bool = True,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.details = details
        self.names_field = names_field


def invalid(field: str, problem: str) -> Refusal:
    """The refusal of a missing or invalid field of the request."""
    return Refusal("InputValidationFailed", f"Input validation failed: {field}", {field: problem})


def not_offered(problem: str, field: str, *, offered: str | None = None) -> Refusal:
    """The refusal of a value that is not offered; `offered` is a sentence on those that are."""
    return Refusal("OfferingsValidationError", problem, {field: offered or problem})


def bad_amount(problem: str, field: str) -> Refusal:
    """The refusal of a stake, payout or order that is out of bounds."""
    return Refusal("ContractBuyValidationError", problem, {field: problem})


def too_precise(currency: str, field: str) -> Refusal:
    """The refusal of an amount with more decimals than its currency has."""
    return bad_amount(f"Only {CURRENCIES[currency].digits} decimal places allowed.", field)


def barriers_needed(count: str, field: str, needed: str) -> Refusal:
    """The refusal of a request without its `Single` or `Double` barrier; `needed` says which."""
    text = f"Invalid barrier ({count} barrier input is expected)."
    return Refusal("ContractCreationFailure", text, {field: needed})


def bad_barrier(problem: str, field: str = "barrier") -> Refusal:
    """The refusal of a barrier that is not allowed for the contract."""
    return Refusal("BarrierValidationError", problem, {field: problem})


def unsaleable(why: str) -> Refusal:
    """The refusal to buy back a contract, now or ever, or to cancel it."""
    return Refusal("InvalidSellContractProposal", why)
