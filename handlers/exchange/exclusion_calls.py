"""Self-exclusion: limits and pauses of trading that an account's owner sets."""

import time
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from scopegate.exchange import exclusion
from scopegate.exchange.money import rounded_units, to_number
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.errors import input_validation_failed
from scopegate.gateway.calls.idempotency import RECORDED
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange.days import midnight
from scopegate.handlers.exchange.exchange_scopes import ADMIN, READ
from scopegate.handlers.exchange.paper_accounts import facts_of
from scopegate.runtime.clock import Clock
from scopegate.schemas.exclusion_messages import (
    GetSelfExclusion,
    GetSelfExclusionReply,
    SelfExclusionBody,
    SetSelfExclusion,
    SetSelfExclusionReply,
)
from scopegate.store.store import Store


class SelfExclusion:
    """Self-exclusion: limits and pauses of trading that an account's owner sets."""

    def __init__(self, access: Access, store: Store, clock: Clock) -> None:
        self._access = access
        self._store = store
        self._clock = clock

    @call("get_self_exclusion", needs=READ, error_codes=())
    async def get_self_exclusion(
        self, request: GetSelfExclusion, session: Session
    ) -> GetSelfExclusionReply:
        """Return the limits and pauses in force; pauses that are over are left out."""
        grant = session.grant
        at = int(self._clock.now())
        limits = await self._store.read(
            lambda reader: exclusion.in_force(reader, grant.loginid, at)
        )
        values: dict[str, Any] = dict(limits)
        for name in exclusion.AMOUNTS:
            if name in values:
                values[name] = to_number(limits[name], facts_of(grant).currency)
        if "exclude_until" in values:
            moment = time.gmtime(limits["exclude_until"])
            values["exclude_until"] = time.strftime("%Y-%m-%d", moment)
        body: SelfExclusionBody = {}
        body.update(values)  # type: ignore[typeddict-item] # the names are those of the columns
        return {"get_self_exclusion": body}

    @call(
        "set_self_exclusion",
        needs=ADMIN,
        app_tokens=False,
        error_codes=("SetSelfExclusionError",),
        idempotency=RECORDED,
    )
    async def set_self_exclusion(
        self, request: SetSelfExclusion, session: Session
    ) -> SetSelfExclusionReply:
        """Set limits for the account's purchases and for payments into it, or pauses of trading.

        You can make a limit stricter or a pause longer, but this call never eases or removes one; 0
        and null mean none. Amounts are in the account's currency, days are days of the market
        (UTC). Apps may not make this call.
        """
        grant = session.grant
        wanted: dict[str, int | None] = {}
        for name in exclusion.FIELDS:
            value = getattr(request, name)
            if name not in request.model_fields_set:
                continue
            if isinstance(value, Decimal):
                value = _units(value, facts_of(grant).currency, name)
            elif name == "exclude_until" and value is not None:
                value = midnight(value, name)
            wanted[name] = value
        at = int(self._clock.now())
        return await self._access.write_reply(
            session,
            lambda transaction: exclusion.tighten(transaction, grant.loginid, wanted, at=at),
            lambda _: {"set_self_exclusion": 1},
            audited="set_self_exclusion",
        )


def _units(amount: Decimal, currency: str, field: str) -> int:
    """Return an amount in smallest units, rounded down; 0 means none.

    Raises `InputValidationFailed` for the field if a larger amount is rounded to 0.
    """
    units = rounded_units(amount, currency, ROUND_FLOOR)
    if amount and not units:
        raise input_validation_failed(
            {field: f"Must not be below the smallest amount of {currency}."}
        )
    return units
