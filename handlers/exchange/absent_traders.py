"""Sell what nobody is connected for, where the restrictions of a token ask for it.

Rules:
- A token counts as connected while it, or a token that was created with it, is signed in on any
  gateway. That is stored every few seconds while contracts are open: if all gateways are killed, it
  is known afterwards until when it was connected at least.
- All times are real: it is about programs that have crashed, not about the market.
- What cannot be sold at the moment is tried again until it has ended, or somebody is connected.
- Take profit and stop loss orders of a contract that cannot be sold stay: without them it could
  lose more.
"""

import time

import structlog

from scopegate.exchange import caps
from scopegate.exchange.caps import Watched
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.desk import Desk
from scopegate.gateway.access.guard import Access
from scopegate.runtime.siblings import Siblings
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot, Transaction

EVERY = 1.0
"""Real seconds between two checks."""
LASTS = 10.0
"""Seconds for which a stored connection counts at most, unless it is stored again."""

log = structlog.get_logger("scopegate.desk")


def _nobody(reader: Snapshot) -> None:
    """The guard of a sale that no token has asked for."""


class AbsentTraders:
    """Sells the contracts of restricted tokens that are not connected any more."""

    def __init__(self, store: Store, desk: Desk, access: Access, siblings: Siblings) -> None:
        self._store = store
        self._desk = desk
        self._access = access
        self._siblings = siblings

    async def check(self, now: float | None = None) -> None:
        """Store who is connected, and sell what is due at a moment (epoch seconds of real time)."""
        now = time.time() if now is None else now
        watched = await self._store.read(caps.watched)
        connected, left = self._access.connected_restrictions()
        present: list[tuple[int, float]] = []
        due: list[Watched] = []
        for each in watched:
            lasts = min(LASTS, each.close_on_disconnect / 2)
            until = each.present_until
            if each.id in connected:
                if until is None or until < now + lasts / 2:
                    present.append((each.id, now + lasts))
            elif until is None or each.id in left:
                present.append((each.id, now))
            elif now >= until + each.close_on_disconnect and self._siblings.is_first:
                due.append(each)
        if present:

            def note(transaction: Transaction) -> None:
                for caps_id, until in present:
                    caps.note_present(transaction, caps_id, until)

            await self._store.write(note)
        for each in due:
            await self._sell(each)

    async def _sell(self, each: Watched) -> None:
        found = await self._store.read(lambda reader: caps.open_contracts(reader, each.id))
        for contract_id, loginid in found:
            try:
                await self._desk.sell(
                    contract_id, loginid=loginid, min_price=0, app_id=None, guard=_nobody
                )
            except Refusal:  # it has ended meanwhile, or cannot be sold at the moment
                continue
            log.info("sold a contract of a token that is not connected", contract=contract_id)
