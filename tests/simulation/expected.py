"""What must happen in many simulations: otherwise a check has never had anything to check."""

from typing import Final

EXPECTED: Final = frozenset(
    {
        *("authorize", "buy", "sell", "transfer_between_accounts", "copy", "revocation"),
        *("buy refused", "sell refused", "authorize refused", "repeated"),
        *("contract closed", "contract stream complete", "rest"),
        *("balance event", "balance ended", "balance stream complete"),
        *("transaction event", "transaction ended", "transaction stream complete"),
        *("ticks event", "ticks stream complete", "closed with 1000", "closed with 1012"),
        *("fault: reset", "fault: vanish", "fault: stall", "fault: slow", "fault: full"),
        *("fault: pause", "fault: kill", "fault: kill all", "fault: clock", "fault: restart"),
        *("market compared with real time", "event while all is quiet", "time"),
    }
)
