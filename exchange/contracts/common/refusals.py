"""Refusals: why a request of a client is not carried out, in the words and codes of the wire."""

from typing import Any

from scopegate.exchange.money import CURRENCIES

NOT_OPEN = "This contract was not found among your open positions."


class Refusal(Exception):
    """A request is not carried out; nothing has changed.

    `code` is an error code of the wire, `message` a sentence that says what to do, `details` the
    fields at fault with a sentence each. With `names_field`, the error names the first of them in
    a field of its own, so that a form can mark it.
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
    """A field of the request is missing or invalid."""
    return Refusal("InputValidationFailed", f"Input validation failed: {field}", {field: problem})


def not_offered(problem: str, field: str, *, offered: str | None = None) -> Refusal:
    """The requested value is not offered; `offered` is a sentence on the values that are."""
    return Refusal("OfferingsValidationError", problem, {field: offered or problem})


def bad_amount(problem: str, field: str) -> Refusal:
    """The amount of a stake, a payout or an order is out of bounds."""
    return Refusal("ContractBuyValidationError", problem, {field: problem})


def too_precise(currency: str, field: str) -> Refusal:
    """An amount has more decimals than its currency."""
    return bad_amount(f"Only {CURRENCIES[currency].digits} decimal places allowed.", field)


def barriers_needed(count: str, field: str, needed: str) -> Refusal:
    """The `Single` or `Double` barrier of a contract type is missing; `needed` says which."""
    text = f"Invalid barrier ({count} barrier input is expected)."
    return Refusal("ContractCreationFailure", text, {field: needed})


def bad_barrier(problem: str, field: str = "barrier") -> Refusal:
    """The barrier is not allowed for the contract."""
    return Refusal("BarrierValidationError", problem, {field: problem})


def unsaleable(why: str) -> Refusal:
    """The contract cannot be sold back, now or ever."""
    return Refusal("InvalidSellContractProposal", why)
