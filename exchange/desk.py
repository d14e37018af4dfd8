"""The trading desk: follows every open contract over the ticks, and closes each when it is due.

Rules:
- `on_second` is called for every second of the market, in order, and checks only contracts that the
  tick can change (`exchange.contracts.common.state.Trigger`).
- A contract is settled exactly once, at the tick that decides it, whether or not a client is
  connected. Nothing else is done with a contract that has ended: a sale or new orders come too
  late.
- Contracts are taken from the announcements of the book, so only committed changes count.
- Copiers buy and close in the transaction of the trader (`exchange.copying`).
- Each worker process has all open contracts, and settles those of its own share of the accounts.
- On start, contracts that ended while the gateway was down are settled before anything else.
- A contract that cannot be settled is set aside, reported once, and tried again later: nothing
  waits for it.
"""

import asyncio
import contextlib
import heapq
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import structlog

from scopegate.exchange import book
from scopegate.exchange.book import (
    BoughtContract,
    BoughtTerms,
    ClosedContract,
    Contract,
    ContractChanged,
    ContractClosed,
    ContractOpened,
    Purchase,
)
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import Orders, replay, resume
from scopegate.exchange.contracts.common.refusals import NOT_OPEN, ORDERS_CHANGE, Refusal
from scopegate.exchange.contracts.common.state import (
    ContractState,
    MarketView,
    Outcome,
    Status,
    Tick,
    Trigger,
    begin,
    latest,
    market_view,
    with_growth,
)
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.copying import Copying
from scopegate.exchange.feed import Feed
from scopegate.exchange.ledger import BookedEntry, Guard, Record, last_entry
from scopegate.exchange.money import to_text
from scopegate.exchange.rules import Margins
from scopegate.exchange.symbols import Symbol
from scopegate.exchange.trade_clock import DeadlinePassedError, TradeClock, check_deadline
from scopegate.exchange.trades import Buying, Closing, Settling
from scopegate.runtime.clock import Clock
from scopegate.runtime.health import OVERDUE
from scopegate.runtime.metrics import Histogram, Metric, gauge
from scopegate.runtime.siblings import Siblings
from scopegate.runtime.supervisor import supervise
from scopegate.store.errors import (
    StoreBusyError,
    StoreDamagedError,
    StoreError,
    StoreUnavailableError,
)
from scopegate.store.store import Store
from scopegate.store.transactions import Row, Snapshot, Transaction

SETTLED_TOGETHER = 256
"""The number of contracts passed to the store at once; the others wait for these."""
STALE = 1_000
"""The number of entries of closed contracts that stay in a heap before they are removed."""
ATTEMPTS = 3
"""How often a trade is tried if the contract's orders keep changing meanwhile, and how often if its
deadline passes."""
RETRY = 1.0
"""Real seconds after which a settlement that the store could not commit is tried again."""
SETTLING_ATTEMPTS = 5
"""Failed attempts after which a settlement is set aside."""
LEFT_SECONDS = 2.0
"""Real seconds after which a contract is settled that another process should have settled."""
ASIDE = 60.0
"""Real seconds after which a settlement that was set aside is tried again."""
NAMED = 20
"""Maximum number of contracts named in one log line."""

ResultT = TypeVar("ResultT")
Key = TypeVar("Key", int, str)

log = structlog.get_logger("scopegate.desk")


class Position:
    """An open contract, its state and its trigger."""

    __slots__ = ("contract", "kind", "state", "trigger")

    def __init__(self, contract: Contract, state: ContractState[Any]) -> None:
        self.contract = contract
        self.kind = TYPES[contract.terms.contract_type]
        self.state = state
        self.trigger = Trigger(0)

    @property
    def terms(self) -> Terms:
        """The terms of the contract."""
        return self.contract.terms


class _TriggerIndex:
    """The positions of one symbol, by the time or the price at which to check them."""

    __slots__ = ("by_level", "by_time")

    def __init__(self) -> None:
        self.by_time: list[tuple[int, int]] = []
        self.by_level: dict[int, Position] = {}


class Desk:
    """The open contracts of a running gateway."""

    def __init__(
        self,
        store: Store,
        feed: Feed,
        clock: Clock,
        margins: Margins,
        copying: Copying,
        siblings: Siblings,
        trade_clock: TradeClock,
    ) -> None:
        self.feed = feed
        self.margins = margins
        self._store = store
        self._clock = clock
        self._copying = copying
        self._siblings = siblings
        self._trade_clock = trade_clock
        self._positions: dict[int, Position] = {}
        self._of_account: dict[str, dict[int, Position]] = {}
        self._copies: dict[int, dict[int, Position]] = {}
        """The open copies of each contract, by the ids of the contract and of the copy."""
        self._triggers: dict[Symbol, _TriggerIndex] = {}
        self._second = 0
        self._due: list[Position] = []
        self._settling: asyncio.Task[None] | None = None
        self._failures: dict[int, int] = {}
        """The number of failed settlements, by contract id."""
        self._reported: set[int] = set()
        """The ids of contracts that were reported as set aside."""
        self._unsettled: dict[int, float] = {}
        """Contracts that have ended and are to be settled here, with the monotonic time of that."""
        self._settled_after = Histogram()
        self._left: deque[tuple[float, int]] = deque()
        """Contracts that have ended and that other processes settle, with the monotonic time from
        which this one does, if they are still open."""
        self._closing = False
        self._early: list[Callable[[], None]] | None = []
        """Announcements that were received before the open contracts are loaded."""
        self._opened: list[Callable[[Position], None]] = []
        self._closed: list[Callable[[Contract], None]] = []
        store.listen(ContractOpened, self._contract_opened)
        store.listen(ContractChanged, self._contract_changed)
        store.listen(ContractClosed, self._contract_closed)

    def listen(
        self,
        *,
        opened: Callable[[Position], None] | None = None,
        closed: Callable[[Contract], None] | None = None,
    ) -> None:
        """Call these with every contract that is opened or closed, once it is committed."""
        if opened is not None:
            self._opened.append(opened)
        if closed is not None:
            self._closed.append(closed)

    async def start(self) -> None:
        """Load all open contracts, and settle those that have ended meanwhile."""
        self._second = int(self._clock.now())
        rows = await self._store.read(book.open_rows)
        loop = asyncio.get_running_loop()
        positions = await loop.run_in_executor(None, self._read, rows)
        early, self._early = self._early or [], None
        # In the order of their ends, since ledger times never decrease.
        for position in sorted(positions, key=_ended_at):
            self._add(position)
        for apply in early:
            apply()
        await self.settled()

    def _read(self, rows: Iterable[Row]) -> list[Position]:
        """The positions of these rows; a row that cannot be read is reported and left out."""
        positions: list[Position] = []
        for row in rows:
            try:
                contract = book.contract(row)
                positions.append(Position(contract, self._followed(contract)))
            except Exception as problem:
                log.error("an open contract cannot be read", contract=row["id"], exc_info=problem)
        return positions

    def _followed(self, contract: Contract) -> ContractState[Any]:
        """The state of a contract at the present second, replayed from the ticks alone."""
        terms = contract.terms
        kind = TYPES[terms.contract_type]
        state = begin(terms, self.feed)
        if contract.followed_to > state.seen:
            # Its orders changed then, while it was open: earlier ticks met the previous orders.
            state = resume(kind, terms, self.feed, contract.followed_to)
        return replay(kind, terms, state, self.feed, self._second)

    async def settled(self) -> None:
        """Wait until all due contracts have been settled or set aside."""
        while self._settling is not None:
            await asyncio.wait([self._settling])

    async def close(self) -> None:
        """Finish the settlements in progress, within twice `RETRY`."""
        self._closing = True
        if self._settling is not None:
            try:
                async with asyncio.timeout(RETRY * 2):
                    await self.settled()
            except TimeoutError:
                self._settling.cancel()

    def metrics(self) -> Iterator[Metric]:
        """Return how many contracts are open, due and settled."""
        yield gauge("contracts_open", "Open contracts.", len(self._positions))
        yield gauge(
            "settlements_due",
            "Contracts that have ended and wait for payment.",
            len(self._unsettled),
        )
        overdue = time.monotonic() - OVERDUE
        yield gauge(
            "settlements_late",
            f"Those of them that ended more than {OVERDUE:.0f} seconds ago.",
            sum(moment < overdue for moment in self._unsettled.values()),
        )
        yield gauge(
            "settlements_set_aside",
            "Contracts that could not be settled and are tried again every minute.",
            len(self._reported),
        )
        yield self._settled_after.metric(
            "settlement_seconds", "Seconds from the end of a contract to its payment."
        )

    # Open contracts.

    def position(self, contract_id: int) -> Position | None:
        """The open contract with this id; `None` if there is none."""
        return self._positions.get(contract_id)

    def positions(self, loginid: str) -> list[Position]:
        """The account's open contracts, in order of purchase."""
        return list(self._of_account.get(loginid, {}).values())

    @property
    def now(self) -> int:
        """The latest second of the market that the desk has processed."""
        return self._second

    def market_view(self, symbol: Symbol) -> MarketView:
        """What is known of a symbol at the second `now`."""
        return market_view(self.feed, symbol, self._second)

    def value(self, position: Position, seen: MarketView) -> int:
        """What the exchange would pay for it now, whether or not it can be sold at this moment.

        For a contract that has ended and is being settled, its payment. In smallest units.
        """
        if position.state.outcome is not None:
            return position.state.outcome.pays
        return position.kind.value(position.terms, position.state, seen, self.margins)

    # Every second.

    def on_second(self, epoch: int) -> None:
        """Apply the ticks of this second to the contracts that they can change."""
        self._second = epoch
        self._take_over()
        for symbol, index in self._triggers.items():
            if symbol.has_tick(epoch) and (index.by_time or index.by_level):
                self._tick(index, Tick(epoch, self.feed.price(symbol, epoch)))

    def _tick(self, index: _TriggerIndex, tick: Tick) -> None:
        due: dict[int, Position] = {}
        while index.by_time and index.by_time[0][0] <= tick.epoch:
            _, contract_id = heapq.heappop(index.by_time)
            position = self._positions.get(contract_id)
            if position is not None and position.trigger.until <= tick.epoch:
                due[contract_id] = position
        due |= {
            contract_id: position
            for contract_id, position in index.by_level.items()
            if position.trigger.matters(tick)
        }
        if any(position.terms.needs_growth for position in due.values()):
            symbol = next(iter(due.values())).terms.symbol
            tick = with_growth(tick, self.feed, symbol)
        for position in due.values():
            if position.state.outcome is None and position.state.seen < tick.epoch:
                position.state = position.kind.step(position.terms, position.state, tick)
                self._arm(position)

    def _arm(self, position: Position) -> None:
        """Register the position's next trigger, or queue it for settlement if it has ended."""
        index = self._triggers[position.terms.symbol]
        contract_id = position.contract.id
        index.by_level.pop(contract_id, None)
        if position.state.outcome is not None:
            if self._is_ours(position):
                self._settle_soon(position)
                self._start_settling()
            else:
                self._left.append((time.monotonic() + LEFT_SECONDS, contract_id))
            return
        trigger = position.kind.trigger(position.terms, position.state)
        if trigger.until != position.trigger.until:  # else it is in the heap already
            heapq.heappush(index.by_time, (trigger.until, contract_id))
        position.trigger = trigger
        if trigger.low is not None or trigger.high is not None:
            index.by_level[contract_id] = position

    def _take_over(self) -> None:
        """Settle what another process should have settled by now."""
        now = time.monotonic()
        while self._left and self._left[0][0] <= now:
            position = self._positions.get(self._left.popleft()[1])
            if position is not None and position.state.outcome is not None:
                self._settle_soon(position)
        self._start_settling()

    def _settle_soon(self, position: Position) -> None:
        self._unsettled.setdefault(position.contract.id, time.monotonic())
        self._due.append(position)

    def _start_settling(self) -> None:
        if self._settling is None and self._due:
            self._settling = supervise("settlement", self._settle)

    async def _settle(self) -> None:
        try:
            while self._due:
                batch, self._due = self._due[:SETTLED_TOGETHER], self._due[SETTLED_TOGETHER:]
                try:
                    await self._settle_together(batch)
                except Exception:
                    self._try_after(ASIDE, batch)
                    raise
        finally:
            if not self._due:
                self._settling = None

    async def _settle_together(self, batch: list[Position]) -> None:
        """Settle these contracts; try those that fail again soon, or set them aside."""
        ended = [(held, held.state.outcome) for held in batch if held.state.outcome is not None]
        jobs = [self._store.write(Settling(position.contract, end)) for position, end in ended]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        again: list[Position] = []
        unavailable: list[Position] = []
        aside: list[Position] = []
        why: BaseException | None = None
        for (position, _), result in zip(ended, results, strict=True):
            contract_id = position.contract.id
            if not isinstance(result, BaseException) or contract_id not in self._positions:
                continue
            if isinstance(result, StoreUnavailableError) and not isinstance(
                result, StoreDamagedError
            ):
                unavailable.append(position)
                continue
            why = result
            count = self._failures[contract_id] = self._failures.get(contract_id, 0) + 1
            is_passing = isinstance(result, StoreError) and not isinstance(
                result, StoreDamagedError
            )
            if is_passing and count < SETTLING_ATTEMPTS:
                again.append(position)
            else:
                aside.append(position)
        if unavailable:
            self._try_after(RETRY, unavailable)
        if aside:
            self._set_aside(aside, why)
        if again:
            log.error("contracts were not settled", count=len(again), exc_info=why)
            await asyncio.sleep(RETRY)
            self._due += again

    def _set_aside(self, positions: list[Position], why: BaseException | None) -> None:
        self._try_after(ASIDE, positions)
        new = [p.contract.id for p in positions if p.contract.id not in self._reported]
        self._reported.update(new)
        if new:
            log.error(
                "contracts cannot be settled and are set aside",
                count=len(new),
                contracts=" ".join(map(str, new[:NAMED])),
                why=str(why),
            )

    def _try_after(self, seconds: float, positions: list[Position]) -> None:
        """Settle these contracts later; `settled` does not wait for them."""

        def due() -> None:
            if not self._closing:
                self._due += [held for held in positions if held.contract.id in self._positions]
                self._start_settling()

        asyncio.get_running_loop().call_later(seconds, due)

    # Announcements of the book.

    def _contract_opened(self, opened: ContractOpened) -> None:
        if self._early is not None:
            self._early.append(partial(self._contract_opened, opened))
            return
        if opened.contract.id in self._positions:  # loaded already
            return
        position = Position(opened.contract, self._followed(opened.contract))
        self._add(position)
        for listener in self._opened:
            listener(position)

    def _contract_changed(self, changed: ContractChanged) -> None:
        if self._early is not None:
            self._early.append(partial(self._contract_changed, changed))
            return
        known = self._positions.get(changed.contract.id)
        if known is not None and known.contract.version <= changed.contract.version:
            known.contract = changed.contract
            known.state = self._followed(known.contract)
            self._arm(known)

    def _contract_closed(self, closed: ContractClosed) -> None:
        if self._early is not None:
            self._early.append(partial(self._contract_closed, closed))
            return
        self._drop(closed.contract)
        for listener in self._closed:
            listener(closed.contract)

    def _is_ours(self, position: Position) -> bool:
        """Whether this worker process settles it: one does for all contracts of an account."""
        return self._siblings.is_ours(position.contract.loginid)

    def _add(self, position: Position) -> None:
        contract = position.contract
        self._positions[contract.id] = position
        self._of_account.setdefault(contract.loginid, {})[contract.id] = position
        if contract.copied_from is not None:
            self._copies.setdefault(contract.copied_from, {})[contract.id] = position
        self._triggers.setdefault(contract.terms.symbol, _TriggerIndex())
        self._arm(position)

    def _drop(self, contract: Contract) -> None:
        if self._positions.pop(contract.id, None) is None:
            return
        ended_at = self._unsettled.pop(contract.id, None)
        if ended_at is not None:
            self._settled_after.add(time.monotonic() - ended_at)
        self._failures.pop(contract.id, None)
        self._reported.discard(contract.id)
        _remove_from_group(self._of_account, contract.loginid, contract.id)
        if contract.copied_from is not None:
            _remove_from_group(self._copies, contract.copied_from, contract.id)
        index = self._triggers[contract.terms.symbol]
        index.by_level.pop(contract.id, None)
        if len(index.by_time) > STALE + 2 * len(self._positions):
            # Contracts that were closed early leave entries whose time may be years away.
            index.by_time = [entry for entry in index.by_time if entry[1] in self._positions]
            heapq.heapify(index.by_time)

    # Requests of clients.

    async def buy(
        self,
        guard: Guard,
        make_purchase: Callable[[float], Purchase],
        record: Record[BoughtContract] | None = None,
    ) -> BoughtContract:
        """Buy a contract, once per key, and copies of it for the accounts that copy this one.

        `make_purchase` prices the contract for a market time. It is called again if the purchase
        has waited for the database until that price was no longer the market's. Copies carry no
        markup. Raises `Refusal`, `StoreBusyError`, or what `make_purchase` and the guard raise.
        """

        async def attempt(now: float, deadline: float) -> BoughtContract:
            copies = self._copying.copies
            return await self._store.write(
                Buying(guard, make_purchase(now), copies, deadline, record)
            )

        return await self._in_time(attempt)

    async def bought_with(
        self, loginid: str, key: str, *, pending: bool = False
    ) -> BoughtContract | None:
        """The contract that the account bought under this key; `None` if there is none.

        With `pending`, wait for all purchases that are being written.
        """
        look = self._store.write if pending else self._store.read
        return await look(lambda transaction: book.bought_with(transaction, loginid, key))

    async def find(self, contract_id: int, loginid: str) -> Contract | None:
        """A contract of the account, open or closed; `None` if there is none with this id."""
        position = self._positions.get(contract_id)
        if position is not None:
            return position.contract if position.contract.loginid == loginid else None
        return await self._store.read(lambda reader: book.find(reader, contract_id, loginid))

    async def contracts(self, ids: Collection[int]) -> dict[int, Contract]:
        """These contracts, open or closed, by id."""
        if not ids:
            return {}
        return await self._store.read(lambda reader: book.several(reader, ids))

    async def booked_after(
        self, loginid: str, position: int, limit: int
    ) -> tuple[list[BookedEntry], dict[int, BoughtTerms]]:
        """The account's ledger entries after `position`, oldest first, `limit` at most.

        Also the terms of each contract that they are for, by its id.
        """
        return await self._store.read(
            lambda reader: book.booked_after(reader, loginid, position, limit)
        )

    async def closed_between(
        self, loginid: str, after: int, until: int, limit: int
    ) -> list[Contract]:
        """The account's contracts that were closed by ledger entries after `after` up to `until`.

        In the order of these entries, at most `limit`.
        """
        return await self._store.read(
            lambda reader: book.closed_between(reader, loginid, after, until, limit)
        )

    async def latest_closed_after(self, loginid: str, position: int, most: int) -> tuple[int, int]:
        """Where to begin for the account's latest `most` contracts closed after `position`.

        That is `position` itself, or the entry of a closing if there are more. The second is the id
        of the latest ledger entry of all.
        """

        def job(reader: Snapshot) -> tuple[int, int]:
            cut = book.nth_latest_closing(reader, loginid, position, most)
            return position if cut is None else cut, last_entry(reader)

        return await self._store.read(job)

    async def sell(
        self,
        contract_id: int,
        *,
        loginid: str,
        min_price: int,
        app_id: int | None,
        guard: Guard,
        record: Record[ClosedContract] | None = None,
    ) -> ClosedContract:
        """Sell a contract back at its present value, but not below `min_price` (smallest units).

        Raises `Refusal`, `StoreBusyError`, or what the guard raises.
        """

        def sale(position: Position, now: int) -> Outcome:
            terms = position.terms
            position.kind.check_sale(terms, position.state, now)
            seen = market_view(self.feed, terms.symbol, now)
            return Outcome(Status.SOLD, seen.tick, self.value(position, seen))

        return await self._end(contract_id, loginid, sale, app_id, guard, record, min_price)

    async def cancel(
        self,
        contract_id: int,
        *,
        loginid: str,
        app_id: int | None,
        guard: Guard,
        record: Record[ClosedContract] | None = None,
    ) -> ClosedContract:
        """Cancel a multiplier that was bought with cancellation: the stake is refunded.

        Raises `Refusal`, `StoreBusyError`, or what the guard raises.
        """

        def cancellation(position: Position, now: int) -> Outcome:
            tick = latest(self.feed, position.terms.symbol, now)
            return position.kind.cancelled(position.terms, tick, now)

        return await self._end(contract_id, loginid, cancellation, app_id, guard, record)

    async def change_orders(
        self,
        contract_id: int,
        *,
        loginid: str,
        change: Callable[[Position], Orders],
        guard: Guard,
        record: Record[Contract] | None = None,
    ) -> Contract:
        """Replace the orders of an open contract with those that `change` returns for it.

        Raises `Refusal`, `StoreBusyError`, or what `change` and the guard raise.
        """

        async def attempt(position: Position, now: int, deadline: float) -> Contract | None:
            held, orders, seen = position.contract, change(position), position.state.seen

            def job(transaction: Transaction) -> Contract | None:
                check_deadline(deadline)
                guard(transaction)
                changed = book.change_orders(transaction, held, orders, at=now, followed_to=seen)
                if record is not None and changed is not None:
                    record(transaction, changed)
                return changed

            return await self._store.write(job)

        return await self._until_applied(contract_id, loginid, attempt)

    async def _end(
        self,
        contract_id: int,
        loginid: str,
        end: Callable[[Position, int], Outcome],
        app_id: int | None,
        guard: Guard,
        record: Record[ClosedContract] | None,
        min_price: int = 0,
    ) -> ClosedContract:
        """Close an open contract, and its copies, with the outcome that `end` returns now.

        Raises `Refusal` if it pays less than `min_price`; a copy is closed whatever it pays.
        """

        async def attempt(position: Position, now: int, deadline: float) -> ClosedContract | None:
            held, ending = position.contract, end(position, now)
            if ending.pays < min_price:
                currency = position.terms.currency
                raise Refusal(
                    "PriceMoved",
                    f"The contract is worth {currency} {to_text(ending.pays, currency)} now, less"
                    f" than your minimum of {currency} {to_text(min_price, currency)}.",
                )
            closing = Closing(
                guard=guard,
                held=held,
                outcome=ending,
                at=now,
                app_id=app_id,
                copies=self._copying.copies,
                ends=self._ends_of_copies(held, end, now),
                deadline=deadline,
                record=record,
            )
            return await self._store.write(closing)

        return await self._until_applied(contract_id, loginid, attempt)

    def _ends_of_copies(
        self, held: Contract, end: Callable[[Position, int], Outcome], now: int
    ) -> list[tuple[Contract, Outcome | Refusal]]:
        """The open copies of a contract, each with its present outcome, or why it has none."""
        ends: list[tuple[Contract, Outcome | Refusal]] = []
        for copy in self._copies.get(held.id, {}).values():
            self._follow(copy, now)
            if copy.state.outcome is None:  # else it is being settled
                try:
                    ends.append((copy.contract, end(copy, now)))
                except Refusal as refusal:
                    ends.append((copy.contract, refusal))
        return ends

    async def _until_applied(
        self,
        contract_id: int,
        loginid: str,
        attempt: Callable[[Position, int, float], Awaitable[ResultT | None]],
    ) -> ResultT:
        """Apply `attempt` to an open contract, again if its orders have changed meanwhile.

        Raises `Refusal` if it is not open, or if its orders change during each of `ATTEMPTS`.
        """

        async def attempt_now(now: float, deadline: float) -> ResultT | None:
            position = await self._open(contract_id, loginid, int(now))
            return await attempt(position, int(now), deadline)

        for _ in range(ATTEMPTS):
            done = await self._in_time(attempt_now)
            if done is not None:
                return done
        raise Refusal("NoOpenPosition", ORDERS_CHANGE)

    async def _in_time(self, attempt: Callable[[float, float], Awaitable[ResultT]]) -> ResultT:
        """Make a trade at the present market time; if its deadline passes, at a later one.

        `attempt` gets that time and the deadline. Raises `StoreBusyError` if all `ATTEMPTS` fail.
        """
        for _ in range(ATTEMPTS):
            now = self._trade_clock.now()
            with contextlib.suppress(DeadlinePassedError):
                return await attempt(now, self._trade_clock.deadline(now))
        fault = StoreBusyError("a trade waited too long for the database")
        self._store.complain(fault)
        raise fault

    def ended(self, loginid: str) -> list[Position]:
        """The account's contracts that have ended, and are about to be settled."""
        now = int(self._clock.now())
        positions = self.positions(loginid)
        for position in positions:
            self._follow(position, now)
        return [position for position in positions if position.state.outcome is not None]

    async def settle_due(self, loginid: str) -> int:
        """Settle the account's contracts that have ended; return their number."""
        ended = self.ended(loginid)
        self._due += [position for position in ended if not self._is_ours(position)]
        self._start_settling()
        await self.settled()
        return len(ended)

    async def _open(self, contract_id: int, loginid: str, now: int) -> Position:
        """Return the position, followed up to `now`. Raises `Refusal` if it is not open."""
        position = self._positions.get(contract_id)
        if position is None or position.contract.loginid != loginid:
            if await self.find(contract_id, loginid) is None:
                raise Refusal("ContractNotFound", NOT_OPEN)
            raise _closed_already()
        self._follow(position, now)
        if position.state.outcome is not None:
            raise _closed_already()
        return position

    def _follow(self, position: Position, epoch: int) -> None:
        # Every tick up to this second has been checked, though few needed a step.
        state = replace(position.state, seen=max(position.state.seen, self._second))
        position.state = state
        if state.outcome is None and state.seen < epoch:
            position.state = replay(position.kind, position.terms, state, self.feed, epoch)
            self._arm(position)


def _remove_from_group(groups: dict[Key, dict[int, Position]], key: Key, contract_id: int) -> None:
    """Remove a position from its group, and the group if it is then empty."""
    group = groups[key]
    del group[contract_id]
    if not group:
        del groups[key]


def _ended_at(position: Position) -> float:
    end = position.state.outcome
    return math.inf if end is None else end.tick.epoch


def _closed_already() -> Refusal:
    return Refusal("NoOpenPosition", NOT_OPEN)
