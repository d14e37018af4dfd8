"""Restrictions of tokens that concern trading and payments, stored as caps of the exchange."""

from collections.abc import Collection, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from scopegate.exchange import caps, ledger
from scopegate.exchange.caps import AMOUNTS, Caps
from scopegate.exchange.money import rounded_units, to_number
from scopegate.exchange.symbols import OWN_MARKET, SYMBOLS
from scopegate.gateway.access.restrictions import RestrictionKinds
from scopegate.gateway.calls.errors import input_validation_failed
from scopegate.runtime.clock import Clock
from scopegate.schemas.restriction_messages import Restrictions, TradingRestrictions
from scopegate.store.transactions import Snapshot, Transaction


class TradingRestrictionKinds(RestrictionKinds):
    """The restrictions of the gateway, and those of the exchange."""

    model = TradingRestrictions

    def __init__(self, clock: Clock, own_markets: Collection[str] = ()) -> None:
        """`own_markets` are the names of symbols of files, where `SYMBOLS` does not have them."""
        self._clock = clock
        self._own_markets = own_markets

    def checked(self, given: Mapping[str, Any], field_name: str = "restrictions") -> Restrictions:
        """Return restrictions as given. Raises `InputValidationFailed` if they are invalid."""
        values = super().checked(given, field_name)
        assert isinstance(values, TradingRestrictions)  # noqa: S101 - it is of `model`
        _check_names(values, field_name, self._own_markets)
        return values

    def put(
        self,
        transaction: Transaction,
        number: int,
        parent_id: int | None,
        loginids: Sequence[str],
        values: Restrictions,
    ) -> None:
        """Store the caps, in the currency of the account.

        Those of an authorization of several accounts are in the currency of the first of them, and
        stay in it while any of them has it.
        """
        assert isinstance(values, TradingRestrictions)  # noqa: S101 - it is of `model`
        accounts = [ledger.account(transaction, loginid) for loginid in loginids]
        currencies = [account.currency for account in accounts]
        before = caps.currency_of(transaction, number)
        currency = before if before in currencies else currencies[0]
        caps.put(
            transaction,
            number,
            parent_id,
            Caps(
                currency=currency,
                symbols=tuple(values.symbols or ()),
                markets=tuple(values.markets or ()),
                contract_types=tuple(values.contract_types or ()),
                max_stake=_units(values.max_stake, currency),
                max_stake_per_day=_units(values.max_stake_per_day, currency),
                max_loss_per_day=_units(values.max_loss_per_day, currency),
                max_open_contracts=values.max_open_contracts,
                max_transfer_per_day=_units(values.max_transfer_per_day, currency),
                no_trading=tuple(values.no_trading or ()),
                close_on_disconnect=values.close_on_disconnect,
            ),
            user_id=accounts[0].user_id,
        )

    def moved_below(self, transaction: Transaction, numbers: Sequence[int], parent: int) -> None:
        """Let what these caps count count for their new parent too."""
        caps.move_below(transaction, numbers, parent)

    def further(self, reader: Snapshot, number: int) -> dict[str, Any]:
        """Return the caps that are set."""
        found, _ = caps.get(reader, number, int(self._clock.now()))
        values: dict[str, Any] = {
            name: list(getattr(found, name)) for name in caps.LISTS if getattr(found, name)
        }
        for name in AMOUNTS:
            units = getattr(found, name)
            if units is not None:
                values[name] = to_number(units, found.currency)
        for name in ("max_open_contracts", "close_on_disconnect"):
            if getattr(found, name) is not None:
                values[name] = getattr(found, name)
        return {name: values[name] for name in self.model.model_fields if name in values}

    def use(self, reader: Snapshot, number: int) -> dict[str, Any]:
        """Return what of the caps is used, and their currency."""
        found, used = caps.get(reader, number, int(self._clock.now()))
        return {
            "currency": found.currency,
            "max_stake_per_day": to_number(used.staked, found.currency),
            "max_loss_per_day": to_number(used.loss, found.currency),
            "max_open_contracts": used.open_contracts,
            "max_transfer_per_day": to_number(used.transferred, found.currency),
        }

    def rotated(self, transaction: Transaction, before: int, after: int) -> None:
        """Let copying that was started with a token go on with the one that takes its place."""
        for column in ("copier_token", "trader_token"):
            transaction.execute(
                f"UPDATE copyings SET {column} = ? WHERE {column} = ?",  # noqa: S608 - see above
                after,
                before,
            )


def _units(amount: Decimal | None, currency: str) -> int | None:
    return None if amount is None else rounded_units(amount, currency, ROUND_FLOOR)


def _check_names(
    values: TradingRestrictions, field_name: str, own_markets: Collection[str]
) -> None:
    problems = {}
    markets = {symbol.market for symbol in SYMBOLS.values()}
    for name, given, known in (
        ("symbols", values.symbols, {*SYMBOLS, *own_markets}),
        ("markets", values.markets, markets | {OWN_MARKET} if own_markets else markets),
    ):
        unknown = sorted(set(given or ()) - known)
        if unknown:
            problems[f"{field_name}.{name}"] = (
                f"There is no {unknown[0]}; active_symbols lists what there is."
            )
    if problems:
        raise input_validation_failed(problems)
