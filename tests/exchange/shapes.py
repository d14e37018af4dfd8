"""Terms of any type, in the shape that its family has."""

from typing import Any

from scopegate.exchange.contracts.accumulators import Accumulator, AccumulatorTerms
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import Orders
from scopegate.exchange.contracts.common.fixed_payout import FixedPayout, FixedPayoutTerms
from scopegate.exchange.contracts.common.per_point import PerPoint, PerPointTerms
from scopegate.exchange.contracts.lookbacks import Lookback, LookbackTerms
from scopegate.exchange.contracts.multipliers import Multiplier, MultiplierTerms

SHAPES = {
    FixedPayout: (FixedPayoutTerms, "payout"),
    PerPoint: (PerPointTerms, "stake"),
    Lookback: (LookbackTerms, "multiplier"),
    Multiplier: (MultiplierTerms, "stake"),
    Accumulator: (AccumulatorTerms, "stake"),
}
"""By family: the class of its terms, and the amount that a client names."""


def terms_of(contract_type: str, amount: int, **fields: Any) -> Any:
    """Terms of a type; `amount` is the payout, the stake or the multiplier, in smallest units.

    `take_profit` and `stop_loss` are its orders.
    """
    kind = TYPES[contract_type]
    shape, named = next(found for family, found in SHAPES.items() if isinstance(kind, family))
    orders = {name: fields.pop(name) for name in Orders._fields if name in fields}
    if orders:
        fields["orders"] = Orders(**orders)
    return shape(contract_type=contract_type, **{named: amount}, **fields)


def amount_of(terms: Any) -> int:
    """The payout, the stake or the multiplier, in smallest units."""
    shape = type(terms)
    amount: int = getattr(terms, next(name for cls, name in SHAPES.values() if cls is shape))
    return amount
