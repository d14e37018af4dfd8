"""Copying another trader's contracts.

Rules:
- A trader is named by a token that the trader hands out, of any scope. A wrong token counts like a
  wrong token in `authorize`. That the token is valid, and that the trader lets others copy, is
  checked in the transaction that starts the copying.
- In place of the token, the list shows a handle, which only the copier's `copy_stop` accepts.
"""

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from scopegate.exchange import copying as copies
from scopegate.exchange import ledger, performance
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common import bounds
from scopegate.exchange.copying import Copying, Following, Report
from scopegate.exchange.ledger import Guard
from scopegate.exchange.money import rounded_units, to_number
from scopegate.exchange.performance import Performance
from scopegate.exchange.rules import MIN_STAKE
from scopegate.exchange.symbols import SYMBOLS
from scopegate.gateway.access import tokens, users
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.bus import Bus
from scopegate.gateway.calls.errors import ApiError, input_validation_failed, invalid_token
from scopegate.gateway.calls.idempotency import RECORDED, KeyedRequest, recorder
from scopegate.gateway.calls.limits import Rate
from scopegate.gateway.calls.registry import Stream, call
from scopegate.gateway.calls.scheduling import Workers
from scopegate.gateway.calls.session import Grant, Session
from scopegate.handlers.exchange.exchange_scopes import ADMIN, READ, TRADE, TRADING_INFORMATION
from scopegate.handlers.exchange.paper_accounts import facts_of
from scopegate.handlers.exchange.reach import out_of_reach
from scopegate.runtime.clock import Clock
from scopegate.schemas.copying_messages import (
    CopyReport,
    CopyReportBody,
    CopyReportReply,
    CopyShown,
    CopyStart,
    CopyStartReply,
    CopyStop,
    CopyStopReply,
    CopytradingList,
    CopytradingListReply,
    CopytradingStatistics,
    CopytradingStatisticsReply,
    TraderShown,
)
from scopegate.store.errors import StoreError
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot

ALLOWS_COPIERS = "allow_copiers"
"""The setting with which a user lets others copy."""

_ALL = "*"
"""Shown in the list if every symbol or type is copied."""
_CALL = "copy_report"


class CopyTrading:
    """Copying another trader's contracts."""

    def __init__(
        self,
        copying: Copying,
        access: Access,
        store: Store,
        bus: Bus,
        clock: Clock,
        workers: Workers,
    ) -> None:
        self._copying = copying
        self._access = access
        self._store = store
        self._bus = bus
        self._clock = clock
        self._workers = workers
        copying.listen(self._reported)

    @call(
        "copy_start",
        needs=TRADE,
        error_codes=("CopyTradingNotAllowed", "CopyTradingWrongCurrency", "InvalidStakeLimit"),
        idempotency=RECORDED,
    )
    async def copy_start(self, request: CopyStart, session: Session) -> CopyStartReply:
        """Copy from now on what the trader who gave you this token buys and sells.

        Each copy costs what the trader's contract costs without an app's markup, and is bought in
        the same transaction, within the account's own balance and limits. If the account already
        copies the trader, this request replaces the settings. Copying ends with `copy_stop`, when
        the trader's token or the token that started it ends, and when the trader no longer allows
        it.
        """
        grant = session.grant
        _check_known("assets", request.assets, SYMBOLS, "active_symbols")
        _check_known("trade_types", request.trade_types, TYPES, "contracts_for")
        least, most = _bounds(request, grant)
        [trader] = await self._access.grants([request.copy_start], session)
        self._access.records.used(session, trader, "copy_start")
        await self._copying.start(
            Following(
                copier=grant.loginid,
                trader=trader.loginid,
                copier_token=grant.token_id,
                trader_token=trader.token_id,
                assets=request.assets or (),
                trade_types=request.trade_types or (),
                min_stake=least,
                max_stake=most,
            ),
            self._may_copy(grant, trader, session.keyed),
            recorder(session.keyed, _started),
        )
        return _started()

    def _may_copy(self, grant: Grant, trader: Grant, keyed: KeyedRequest | None) -> Guard:
        still_holds = self._access.guard(grant, keyed)

        def may_copy(reader: Snapshot) -> int | None:
            caps_id = still_holds(reader)
            if tokens.find_valid(reader, trader.token_id) is None:
                raise invalid_token()
            if not _allows(reader, trader.user_id):
                raise _not_allowed()
            return caps_id

        return may_copy

    @call(
        "copy_stop",
        needs=TRADE,
        error_codes=("CopyTradingNotAllowed",),
        idempotency=RECORDED,
    )
    async def copy_stop(self, request: CopyStop, session: Session) -> CopyStopReply:
        """Stop copying a trader, named by their token or by what `copytrading_list` shows.

        Open copies stay open, and you can sell them.
        """
        grant, named = session.grant, request.copy_stop
        guard = self._access.guard(grant, session.keyed)
        record = recorder(session.keyed, _stopped)
        if named.startswith(copies.HANDLE_PREFIX):
            stopped = await self._copying.stop(grant.loginid, guard, handle=named, record=record)
        else:
            [trader] = await self._access.grants([named], session)
            self._access.records.used(session, trader, "copy_stop")
            stopped = await self._copying.stop(
                grant.loginid, guard, trader=trader.loginid, record=record
            )
        if not stopped:
            raise ApiError(
                "InvalidToken",
                "You copy no trader by this token. copytrading_list shows the traders that you"
                " copy.",
            )
        return _stopped()

    @call("copytrading_list", needs=ADMIN, app_tokens=True, error_codes=())
    async def copytrading_list(
        self, request: CopytradingList, session: Session
    ) -> CopytradingListReply:
        """List the accounts that copy this one, and the traders that this one copies.

        Instead of a trader's token, the list has a handle that `copy_stop` accepts as well. With an
        app's token, other accounts of the user are listed only if the app may use them.
        """
        grant = session.grant
        copiers, traders, hidden = await self._store.read(
            lambda reader: (
                self._copying.copies.copiers(reader, grant.loginid),
                self._copying.copies.traders(reader, grant.loginid),
                out_of_reach(reader, grant),
            )
        )
        return {
            "copytrading_list": {
                "copiers": [{"loginid": loginid} for loginid in copiers if loginid not in hidden],
                "traders": [
                    _shown(each, facts_of(grant).currency)
                    for each in traders
                    if each.trader not in hidden
                ],
            }
        }

    @call(
        "copytrading_statistics",
        needs=None,
        rate=Rate.OUTCOME,
        error_codes=("CopyTradingNotAllowed",),
    )
    async def copytrading_statistics(
        self, request: CopytradingStatistics, session: Session
    ) -> CopytradingStatisticsReply:
        """Return the trading results of a trader who lets others copy.

        They are computed from the latest 5,000 closed contracts; only `total_trades` counts all.
        All shares are in percent.
        """
        loginid, now = request.trader_id, int(self._clock.now())

        def job(reader: Snapshot) -> tuple[Performance, int]:
            try:
                account = ledger.account(reader, loginid)
            except StoreError:
                raise _not_allowed() from None
            if not _allows(reader, account.user_id):
                raise _not_allowed()
            found = performance.of(reader, loginid, now)
            return found, len(self._copying.copies.copiers(reader, loginid))

        async with self._workers.queue.turn(session.client, "copytrading_statistics"):
            found, copiers = await self._store.read(job)
        return {
            "copytrading_statistics": {
                "active_since": found.since,
                "avg_duration": found.duration,
                "avg_loss": found.loss,
                "avg_profit": found.gain,
                "copiers": copiers,
                "last_12months_profitable_trades": found.gaining_this_year,
                "monthly_profitable_trades": dict(found.gaining_by_month),
                "performance_probability": found.luck,
                "total_trades": found.trades,
                "trades_breakdown": dict(found.by_market),
                "trades_profitable": found.gaining,
                "yearly_profitable_trades": dict(found.gaining_by_year),
            }
        }

    @call("copy_report", needs=(READ, TRADING_INFORMATION), error_codes=())
    async def copy_report(
        self, request: CopyReport, session: Session
    ) -> CopyReportReply | Stream[CopyReportReply]:
        """List the latest trades that were copied for the account or refused, newest first.

        With `subscribe`, each further trade of a trader follows once it is copied or refused. With
        an app's token, trades of another account of the user are shown only if the app may use that
        account.
        """
        grant = session.grant
        loginid = grant.loginid
        found, since = await self._copying.latest(loginid, request.limit)
        reached = [each for each in found if not each.is_own or grant.reaches(each.trader)]
        body: CopyReportReply = {"copy_report": _report_body(loginid, reached)}
        if not request.subscribe:
            return body
        return Stream(
            kind=_CALL,
            key=(_CALL, loginid),
            label=_CALL,
            topic=f"copies.{loginid}",
            first=body,
            msg_type=_CALL,
            since=since,
        )

    def _reported(self, report: Report) -> None:
        topic = f"copies.{report.copier}"
        if self._bus.has_listeners(topic):
            body = _report_body(report.copier, [report])
            own_trader = report.trader if report.is_own else None
            self._bus.publish(topic, body, report.id, of_account=own_trader)


def _started(_: None = None) -> CopyStartReply:
    return {"copy_start": 1}


def _stopped(_: None = None) -> CopyStopReply:
    return {"copy_stop": 1}


def _allows(reader: Snapshot, user_id: int) -> bool:
    """Return whether a user lets others copy."""
    return users.settings(reader, user_id).get(ALLOWS_COPIERS) == 1


def _not_allowed() -> ApiError:
    return ApiError("CopyTradingNotAllowed", "Trader does not allow copy trading.")


def _check_known(field: str, names: Iterable[str] | None, known: Iterable[str], call: str) -> None:
    """Raise `InputValidationFailed` for an unknown name; `call` is the call that lists them."""
    unknown = set(names or ()).difference(known)
    if unknown:
        raise input_validation_failed(
            {field: f"{min(unknown)} is not offered here. {call} lists what is."}
        )


def _bounds(request: CopyStart, grant: Grant) -> tuple[int | None, int | None]:
    """The bounds of the stake, in smallest units. Raises `ApiError` if no stake fits them."""
    least, most = request.min_trade_stake, request.max_trade_stake
    if least is not None and least < 0:
        raise _bad_limit("min_trade_stake", "It must not be negative.")
    if most is not None and most < Decimal(
        smallest := bounds.text(MIN_STAKE, facts_of(grant).currency)
    ):
        raise _bad_limit("max_trade_stake", f"It must be at least the minimum stake, {smallest}.")
    if least is not None and most is not None and least > most:
        raise _bad_limit("min_trade_stake", "It must not be more than max_trade_stake.")
    return (
        None if least is None else rounded_units(least, facts_of(grant).currency, ROUND_CEILING),
        None if most is None else rounded_units(most, facts_of(grant).currency, ROUND_FLOOR),
    )


def _bad_limit(field: str, problem: str) -> ApiError:
    return ApiError(
        "InvalidStakeLimit", f"The stake limits are invalid. {problem}", {field: problem}
    )


def _shown(following: Following, currency: str) -> TraderShown:
    return {
        "assets": list(following.assets) or [_ALL],
        "loginid": following.trader,
        "max_trade_stake": _amount(following.max_stake, currency),
        "min_trade_stake": _amount(following.min_stake, currency),
        "token": following.handle,
        "trade_types": list(following.trade_types) or [_ALL],
    }


def _amount(units: int | None, currency: str) -> float | None:
    return None if units is None else to_number(units, currency)


def _report_body(loginid: str, reports: Iterable[Report]) -> CopyReportBody:
    return {"copies": [_copy(report) for report in reports], "loginid": loginid}


def _copy(report: Report) -> CopyShown:
    shown: CopyShown = {
        "action": report.action,
        "contract_id": report.contract_id,
        "time": report.at,
        "trader": report.trader,
        "trader_contract_id": report.original,
    }
    if report.code is not None and report.message is not None:
        shown["code"] = report.code
        shown["message"] = report.message
    return shown
