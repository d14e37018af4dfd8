"""The paper exchange as a plugin: simulated markets, contracts, accounts with paper money.

Rules: services are listed in no particular order, because each is created when it is first needed;
background work is entered in the order of `background`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final

import structlog

from scopegate import market_start, paper_retention
from scopegate.exchange import ledger, reconciliation, rules
from scopegate.exchange.announcements import Announcements
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.copying import Copying
from scopegate.exchange.desk import Desk
from scopegate.exchange.feed import Feed
from scopegate.exchange.heartbeat import Heartbeat
from scopegate.exchange.ledger import CurrencySettled, Ledger
from scopegate.exchange.payments import PaymentService
from scopegate.exchange.rates import Rates
from scopegate.exchange.rules import Margins
from scopegate.exchange.trade_clock import TradeClock
from scopegate.gateway.access import tokens, verification
from scopegate.gateway.access.accounts import Accounts as GatewayAccounts
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.restrictions import RestrictionKinds
from scopegate.gateway.calls.bus import Bus
from scopegate.gateway.calls.limits import Limit, Per
from scopegate.gateway.calls.scheduling import Workers
from scopegate.gateway.calls.wire_faults import FaultKinds
from scopegate.handlers.exchange import (
    absent_traders,
    market_calls,
    quotes,
    verification_calls,
)
from scopegate.handlers.exchange.absent_traders import AbsentTraders
from scopegate.handlers.exchange.account_calls import Accounts
from scopegate.handlers.exchange.api_errors import as_error
from scopegate.handlers.exchange.assessment_calls import Assessment
from scopegate.handlers.exchange.calendar_calls import Calendars
from scopegate.handlers.exchange.candle_work import MAX_RANGES, MAX_RANGES_OF_ALL, CandleWork
from scopegate.handlers.exchange.contract_streams import ContractStreams
from scopegate.handlers.exchange.copying_calls import CopyTrading
from scopegate.handlers.exchange.exchange_rate_calls import ExchangeRates
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.handlers.exchange.exclusion_calls import SelfExclusion
from scopegate.handlers.exchange.feed_faults import MarketFaultKinds
from scopegate.handlers.exchange.market_calls import Market
from scopegate.handlers.exchange.markup_calls import Markups
from scopegate.handlers.exchange.offering_calls import Offerings
from scopegate.handlers.exchange.opening_calls import Opening
from scopegate.handlers.exchange.order_calls import Orders
from scopegate.handlers.exchange.paper_accounts import PaperAccounts, facts_after
from scopegate.handlers.exchange.payment_agent_calls import PaymentAgents
from scopegate.handlers.exchange.payment_calls import Payments
from scopegate.handlers.exchange.place_calls import Places
from scopegate.handlers.exchange.portfolio_calls import Portfolio
from scopegate.handlers.exchange.profile_calls import Profile
from scopegate.handlers.exchange.proposal_calls import Proposals
from scopegate.handlers.exchange.quotes import Quotes
from scopegate.handlers.exchange.tick_streams import TickStreams
from scopegate.handlers.exchange.trading_calls import Trading
from scopegate.handlers.exchange.trading_restrictions import TradingRestrictionKinds
from scopegate.handlers.exchange.verification_calls import Verification
from scopegate.handlers.exchange.website_calls import Website
from scopegate.market_start import Origin
from scopegate.offered import EXCHANGE
from scopegate.plugins import Plugin
from scopegate.runtime.clock import Clock, RunningClock
from scopegate.runtime.health import OVERDUE, Health
from scopegate.runtime.metrics import Metric, Metrics, gauge
from scopegate.runtime.siblings import Siblings
from scopegate.runtime.supervisor import supervise
from scopegate.schemas.owner_messages import PaperSignInDemoReply, PaperSignInReply
from scopegate.schemas.session_messages import PaperAuthorizeReply
from scopegate.settings import Settings
from scopegate.store.errors import StoreUnavailableError
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot, Transaction


@lru_cache(maxsize=2)
def _feed(seed: str) -> Feed:
    """Share a feed between gateways of one process, as in tests: each price is computed once."""
    return Feed(seed)


log = structlog.get_logger("scopegate.market")

# Services.


@asynccontextmanager
async def origin(store: Store, settings: Settings, siblings: Siblings) -> AsyncIterator[Origin]:
    """Provide the market of this database; `market_marks` stores that of a new one."""
    joins = bool(siblings.present)

    def foreseen(reader: Snapshot) -> Origin:
        return market_start.foresee(
            reader, seed=settings.seed, start=settings.start, speed=settings.speed, joins=joins
        )

    def stored(transaction: Transaction) -> Origin:
        found = foreseen(transaction)
        market_start.settle(transaction, found)
        if not (joins and market_start.is_running(transaction)):
            running = clock(found, settings).running
            market_start.note_pace(transaction, running, settings.speed, found.resume)
        return found

    # Gateways that start at the same time must not each choose a market, nor its time.
    yield await (store.read(foreseen) if siblings.alone else store.write(stored))


def clock(origin: Origin, settings: Settings) -> Clock:
    """Return the market's clock."""
    return RunningClock(origin.clock, settings.speed, earliest=origin.resume, since=origin.since)


def trade_clock(clock: Clock, siblings: Siblings, settings: Settings) -> TradeClock:
    """Return the time of trades."""
    return TradeClock(
        clock,
        siblings,
        2 * market_start.MAX_CLOCK_DIFFERENCE * settings.speed,
        settings.speed,
    )


def margins(settings: Settings) -> Margins:
    """Return the margins of the exchange, by family of contracts."""
    return settings.margin


def feed(origin: Origin) -> Feed:
    """Return the feed of prices."""
    return _feed(origin.seed)


def copying(store: Store, clock: Clock) -> Copying:
    """Return the service for copied trades; the gateway checks whether a token is valid."""
    return Copying(store, clock, tokens.find_valid)


def rates(feed: Feed) -> Rates:
    """Return the rates between currencies."""
    return Rates(feed)


def announcements(origin: Origin) -> Announcements:
    """Return the economic calendar."""
    return Announcements(origin.seed)


@asynccontextmanager
async def candle_work(feed: Feed, workers: Workers) -> AsyncIterator[CandleWork]:
    """Compute candles that take long."""
    work = CandleWork(feed, workers)
    computing = supervise("candles", work.run)
    try:
        yield work
    finally:
        computing.cancel()
        await asyncio.gather(computing, return_exceptions=True)


def restriction_kinds(clock: Clock) -> RestrictionKinds:
    """Return the restrictions of tokens, with those of trading."""
    return TradingRestrictionKinds(clock)


def fault_kinds() -> FaultKinds:
    """Return the faults that clients can ask for, with those of the market."""
    return MarketFaultKinds()


def accounts(clock: Clock) -> GatewayAccounts:
    """Return the accounts with a currency and a balance."""
    return PaperAccounts(clock)


# Background work.


@asynccontextmanager
async def account_updates(store: Store, access: Access) -> AsyncIterator[None]:
    """Update live connections when the currency of an account is set."""
    store.listen(
        CurrencySettled,
        lambda settled: access.account_changed(settled.loginid, facts_after(settled)),
    )
    yield


@asynccontextmanager
async def market_marks(
    store: Store, clock: Clock, origin: Origin, settings: Settings, siblings: Siblings
) -> AsyncIterator[None]:
    """Store the market's current time from the start to the stop.

    The first worker process does every second, and another if the mark is overdue. Also gives a
    currency to accounts that were opened without the exchange.
    """
    if siblings.is_first:
        await store.write(lambda transaction: market_start.settle(transaction, origin))
        await store.write(lambda transaction: ledger.take_over(transaction, at=clock.now()))

    async def mark() -> None:
        await store.write(
            lambda transaction: market_start.run(
                transaction, clock.running, settings.speed, origin.resume
            )
        )

    async def store_mark() -> None:
        """Keep a mark ahead of the market, which never resumes before it."""
        off_by = ""  # the note of the market's pace from which the clock differed at the last look
        while True:
            await asyncio.sleep(market_start.MARK_EVERY)
            if siblings.is_first:
                await mark()
                continue
            due, difference, note = await store.read(
                lambda reader: (
                    market_start.is_mark_due(reader, clock.running(), settings.speed),
                    market_start.difference(reader, clock.running),
                    market_start.pace_note(reader),
                )
            )
            if due:
                await mark()
            # A difference to a single note may only mean that the real time was set after it.
            is_off = abs(difference) > market_start.MAX_CLOCK_DIFFERENCE
            if is_off and off_by not in ("", note):
                log.error("this gateway is not at the time of the others", ahead=difference)
            off_by = note if is_off else ""

    await mark()  # before the first second is published
    keeping = supervise("the market's mark", store_mark)
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        # Nothing may be published after the moment that is stored.
        if siblings.is_first and await siblings.wait_until_alone():
            with contextlib.suppress(StoreUnavailableError):  # already logged; the stop continues
                await store.write(lambda transaction: market_start.stand(transaction, clock.now()))


@asynccontextmanager
async def settlement(desk: Desk, metrics: Metrics) -> AsyncIterator[None]:
    """Settle open contracts."""
    metrics.add("scopegate", desk.metrics)
    await desk.start()
    try:
        yield
    finally:
        await desk.close()


@asynccontextmanager
async def closing_on_disconnect(absent: AbsentTraders) -> AsyncIterator[None]:
    """Sell what nobody is connected for, where a token's restrictions ask for it."""

    async def watch() -> None:
        while True:
            await asyncio.sleep(absent_traders.EVERY)
            with contextlib.suppress(StoreUnavailableError):  # already logged
                await absent.check()

    watching = supervise("closing on disconnect", watch)
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


@asynccontextmanager
async def heartbeat(
    clock: Clock,
    bus: Bus,
    desk: Desk,
    tick_streams: TickStreams,
    contract_streams: ContractStreams,
    quotes: Quotes,
    exchange_rates: ExchangeRates,
    settings: Settings,
    metrics: Metrics,
    health: Health,
) -> AsyncIterator[None]:
    """Run these steps for each second of the market, in this order."""
    beating = Heartbeat(
        clock,
        (
            tick_streams.on_second,
            desk.on_second,
            contract_streams.on_second,
            quotes.on_second,
            exchange_rates.on_second,
        ),
        bus.when_idle,
    )

    def late() -> float:
        return beating.late / settings.speed

    def fault() -> str | None:
        return f"the market is {late():.0f} seconds late" if late() > OVERDUE else None

    def lateness() -> list[Metric]:
        return [gauge("market_late_seconds", "Seconds by which the market is late.", late())]

    metrics.add("scopegate", lateness)
    health.add(fault)
    beating.start(after=desk.now)
    try:
        yield
    finally:
        beating.stop()


LIMITS: Final = (
    Limit("proposal_time", quotes.GOOD_FOR, "seconds", Per.CONNECTION),
    Limit("proposals_kept", quotes.MAX_PROPOSALS, "proposals", Per.CONNECTION),
    Limit("letters", verification_calls.FROM_AN_ADDRESS, "e-mails a minute", Per.ADDRESS),
    Limit("letters_per_user", verification.MAX_PER_ADDRESS, "e-mails an hour", Per.USER),
    Limit("letters_of_client", verification.MAX_PER_REQUESTER, "e-mails an hour", Per.CLIENT),
    Limit("letters_of_all", verification.MAX_OF_ALL, "e-mails an hour", Per.GATEWAY),
    Limit("history_results", market_calls.MAX_RESULTS, "ticks or candles", Per.MESSAGE),
    Limit("candles_waiting_per_client", MAX_RANGES, "ranges of candles", Per.CLIENT),
    Limit("candles_waiting", MAX_RANGES_OF_ALL, "ranges of candles", Per.GATEWAY),
    Limit("open_positions", rules.MAX_OPEN_POSITIONS, "contracts", Per.ACCOUNT),
    Limit("accounts", ledger.MAX_PER_USER, "accounts", Per.USER),
    Limit("accounts_by_apps", ledger.MAX_BY_APPS, "accounts opened by apps", Per.USER),
)

PAPER_EXCHANGE: Final = Plugin(
    name=EXCHANGE,
    scopes=SCOPES,
    handlers=(
        Website,
        Market,
        ExchangeRates,
        Calendars,
        Offerings,
        Proposals,
        Trading,
        Orders,
        Portfolio,
        Accounts,
        CopyTrading,
        Payments,
        PaymentAgents,
        Profile,
        Assessment,
        Verification,
        Opening,
        Places,
        Markups,
        SelfExclusion,
    ),
    services=(
        origin,
        clock,
        trade_clock,
        margins,
        feed,
        copying,
        rates,
        announcements,
        candle_work,
        accounts,
        fault_kinds,
        restriction_kinds,
        AbsentTraders,
        Ledger,
        PaymentService,
        Desk,
        TickStreams,
        ContractStreams,
        Quotes,
    ),
    background=(account_updates, market_marks, settlement, heartbeat, closing_on_disconnect),
    check=market_start.check_feed,
    errors={Refusal: as_error},
    replies={
        "authorize": PaperAuthorizeReply,
        "sign_in": PaperSignInReply,
        "sign_in_demo": PaperSignInDemoReply,
    },
    limits=LIMITS,
    retention=paper_retention.RULES,
    checks={
        "ledger": reconciliation.ledger_faults,
        "contracts": reconciliation.contract_faults,
        "payments": reconciliation.payment_faults,
        "caps": reconciliation.cap_faults,
    },
    several_workers=True,
    same_in_workers=(Origin,),
    trusted=True,
)
