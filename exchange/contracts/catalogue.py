"""Every type of contract that is offered, one row each.

To add a type to an existing family, add a row; to add a family, add a module with a class, and its
rows.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from operator import eq, gt, lt, ne
from typing import Final

from scopegate.exchange.contracts.accumulators import Accumulator
from scopegate.exchange.contracts.common.contract_type import AnyContractType
from scopegate.exchange.contracts.digits import Digits
from scopegate.exchange.contracts.european import European
from scopegate.exchange.contracts.few_ticks import Asian, Run, SelectedTick
from scopegate.exchange.contracts.lookbacks import Lookback
from scopegate.exchange.contracts.multipliers import Multiplier
from scopegate.exchange.contracts.resets import Reset
from scopegate.exchange.contracts.touches import Touch
from scopegate.exchange.contracts.turbos import Turbo
from scopegate.exchange.contracts.two_barriers import Ends, Spread, Stays
from scopegate.exchange.contracts.vanillas import Vanilla

_ROWS: tuple[AnyContractType, ...] = (
    European("CALL", "Higher", rises=True, ties=False),
    European("PUT", "Lower", rises=False, ties=False),
    European("CALLE", "Higher or equal", rises=True, ties=True),
    European("PUTE", "Lower or equal", rises=False, ties=True),
    Touch("ONETOUCH", "Touches", touches=True),
    Touch("NOTOUCH", "Does Not Touch", touches=False),
    Digits("DIGITMATCH", "Digit Matches", "match", words="is {}", wins=eq, choices=range(10)),
    Digits("DIGITDIFF", "Digit Differs", "differ", words="is not {}", wins=ne, choices=range(10)),
    Digits("DIGITOVER", "Digit Over", "over", words="is over {}", wins=gt, choices=range(9)),
    Digits(
        "DIGITUNDER", "Digit Under", "under", words="is under {}", wins=lt, choices=range(1, 10)
    ),
    Digits("DIGITODD", "Digit Odd", "odd", words="is odd", wins=lambda digit, _: digit % 2 == 1),
    Digits(
        "DIGITEVEN", "Digit Even", "even", words="is even", wins=lambda digit, _: digit % 2 == 0
    ),
    Ends("EXPIRYRANGE", "Ends Between", between=True, ties=False),
    Ends("EXPIRYMISS", "Ends Outside", between=False, ties=False),
    Ends("EXPIRYRANGEE", "Ends Between", between=True, ties=True),
    Ends("EXPIRYMISSE", "Ends Outside", between=False, ties=True),
    Stays("RANGE", "Stays Between", stays=True),
    Stays("UPORDOWN", "Goes Outside", stays=False),
    Asian("ASIANU", "Asian Up", rises=True),
    Asian("ASIAND", "Asian Down", rises=False),
    SelectedTick("TICKHIGH", "High Tick", highest=True),
    SelectedTick("TICKLOW", "Low Tick", highest=False),
    Reset("RESETCALL", "Reset Call", rises=True),
    Reset("RESETPUT", "Reset Put", rises=False),
    Run("RUNHIGH", "Only Ups", rises=True),
    Run("RUNLOW", "Only Downs", rises=False),
    Spread("CALLSPREAD", "Spread Up", rises=True),
    Spread("PUTSPREAD", "Spread Down", rises=False),
    Lookback("LBFLOATCALL", "Close-to-Low", "up", upper="close", lower="low"),
    Lookback("LBFLOATPUT", "High-to-Close", "down", upper="high", lower="close"),
    Lookback("LBHIGHLOW", "High-to-Low", "high_vol", upper="high", lower="low"),
    Multiplier("MULTUP", "Multiply Up", rises=True),
    Multiplier("MULTDOWN", "Multiply Down", rises=False),
    Accumulator(),
    Vanilla("VANILLALONGCALL", "Call", rises=True),
    Vanilla("VANILLALONGPUT", "Put", rises=False),
    Turbo("TURBOSLONG", "Long", rises=True),
    Turbo("TURBOSSHORT", "Short", rises=False),
)


class Catalogue(Mapping[str, AnyContractType]):
    """The types of contracts by name, in the order in which they are listed."""

    def __init__(self, kinds: Iterable[AnyContractType]) -> None:
        self._kinds = {kind.name: kind for kind in kinds}

    def __getitem__(self, name: str) -> AnyContractType:
        return self._kinds[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    @contextmanager
    def including(self, *kinds: AnyContractType) -> Iterator[None]:
        """Offer additional types within the block; for tests of a family."""
        before = self._kinds
        self._kinds = before | {kind.name: kind for kind in kinds}
        try:
            yield
        finally:
            self._kinds = before


TYPES: Final = Catalogue(_ROWS)
"""Every type that is offered."""
