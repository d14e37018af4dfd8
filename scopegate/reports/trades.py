"""The trades of a run, each with the result that the model expects of it.

The expected result is the fair value of the contract when it was bought, less its price. The fair
value is the price without the exchange's margin (`ContractType.fair_value`), so it is below zero by
the margin. The difference between the actual and the expected result is luck, apart from what a
sale before the end costs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from scopegate.exchange.book import Contract
from scopegate.exchange.contracts import shortcode
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import StoredTerms
from scopegate.exchange.contracts.common.state import Status, market_view, unentered
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.feed import Feed
from scopegate.exchange.money import CURRENCIES, to_units
from scopegate.exchange.symbols import EARLIEST, SYMBOLS
from scopegate.recordings.lines import Entry, Message

MAX_DECIMALS = 4
"""Decimals of an expected result, beyond those of its currency."""


class ReportError(Exception):
    """Raised if a report cannot be made."""


@dataclass(frozen=True, slots=True)
class Trade:
    """A contract that was bought. Amounts are in its currency, moments in epoch seconds."""

    contract_id: int
    contract_type: str
    symbol: str
    description: str
    """Its longcode."""
    currency: str
    price: float
    """The price that was paid for it."""
    bought_at: int
    status: str = "open"
    ended_at: int | None = None
    paid: float | None = None
    """What it has paid; `None` while it is open, or if that is not known."""
    expected: float | None = None
    """The expected result; `None` if it is not known."""
    loginid: str | None = None

    @property
    def result(self) -> float | None:
        """What it has gained, or lost if it is below zero."""
        return None if self.paid is None else round(self.paid - self.price, 8)

    @property
    def deviation(self) -> float | None:
        """The actual less the expected result."""
        if self.result is None or self.expected is None:
            return None
        return round(self.result - self.expected, 8)


def of_contracts(contracts: Iterable[Contract], feed: Feed) -> list[Trade]:
    """Return the trades of stored contracts, oldest first."""
    return [
        Trade(
            contract_id=each.id,
            contract_type=each.terms.contract_type,
            symbol=each.terms.symbol.name,
            description=TYPES[each.terms.contract_type].sentence(each.terms),
            currency=each.terms.currency,
            price=_amount(each.price, each.terms.currency),
            bought_at=each.bought_at,
            status=each.status.value,
            ended_at=each.sold_at,
            paid=None if each.sold_for is None else _amount(each.sold_for, each.terms.currency),
            expected=expected(each.terms, each.price, each.bought_at, feed),
            loginid=each.loginid,
        )
        for each in contracts
    ]


def expected(terms: Terms, price: int, bought_at: int, feed: Feed) -> float:
    """Return the expected result of a contract in its currency; `price` is in smallest units."""
    market = market_view(feed, terms.symbol, bought_at)
    fair = TYPES[terms.contract_type].fair_value(terms, unentered(terms, market.tick), market)
    digits = CURRENCIES[terms.currency].digits
    return float(round((fair - price) / 10**digits, digits + MAX_DECIMALS))


def _amount(units: int, currency: str) -> float:
    return float(Decimal(units).scaleb(-CURRENCIES[currency].digits))


# Trades of a recording: only what its messages show.


def of_recording(entries: Iterable[Entry], seed: str | None) -> list[Trade]:
    """Return the trades that the messages of a recording show, in the order of their purchases.

    With the `seed` of the market, they have expected results. Raises `ReportError` if the prices
    in the recording are not those of the seed.
    """
    feed = None if seed is None else Feed(seed)
    found: dict[int, _Shown] = {}
    currencies: dict[int, str] = {}
    for entry in entries:
        if not isinstance(entry, Message) or entry.direction != "received" or entry.body is None:
            continue
        signed_in = _object(entry.body, "authorize")
        if isinstance(signed_in.get("currency"), str):
            currencies[entry.connection] = signed_in["currency"]
        if feed is not None:
            _check_prices(feed, _object(entry.body, "tick"))
        for contract in _contracts(entry.body):
            contract_id = _whole(contract.get("contract_id"))
            if contract_id is None:
                continue
            known = found.setdefault(contract_id, _Shown(currencies.get(entry.connection)))
            known.update(contract)
    trades = (each.trade(contract_id, feed) for contract_id, each in found.items())
    return [trade for trade in trades if trade is not None]


def _contracts(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a message shows of contracts, in the fields of `proposal_open_contract`."""
    bought = _object(body, "buy")
    if bought:
        yield bought
    followed = _object(body, "proposal_open_contract")
    if followed:
        yield followed
    sold = _object(body, "sell")
    if sold:
        yield {
            "contract_id": sold.get("contract_id"),
            "is_sold": 1,
            "sell_price": sold.get("sold_for"),
            "status": Status.SOLD.value,
        }
    rows = _object(body, "profit_table").get("transactions")
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict):
            yield {"is_sold": 1, **row}


class _Shown:
    """What the messages of a recording have shown of one contract."""

    def __init__(self, currency: str | None) -> None:
        self._fields: dict[str, Any] = {"currency": currency}

    def update(self, shown: dict[str, Any]) -> None:
        """Add what another message shows; a later message knows better."""
        self._fields |= {name: value for name, value in shown.items() if value is not None}
        if shown.get("is_sold") and self._fields.get("status") in (None, "open"):
            self._fields["status"] = Status.SOLD.value

    def trade(self, contract_id: int, feed: Feed | None) -> Trade | None:
        """Return the trade; `None` if its purchase is not in the recording."""
        known = self._fields
        price = _number(known.get("buy_price"))
        code = str(known.get("shortcode", ""))
        bought_at = _whole(known.get("purchase_time"))
        if price is None or bought_at is None:
            return None
        currency = str(known.get("currency") or "")
        contract_type = str(known.get("contract_type") or code.partition("_")[0])
        ended_at = _whole(known.get("sell_time"))
        paid = _number(known.get("sell_price")) if known.get("is_sold") else None
        made = Trade(
            contract_id=contract_id,
            contract_type=contract_type,
            symbol=str(known.get("underlying") or ""),
            description=str(known.get("longcode", "")),
            currency=currency,
            price=float(price),
            bought_at=bought_at,
            status=str(known.get("status") or "open"),
            ended_at=ended_at if known.get("is_sold") else None,
            paid=None if paid is None else float(paid),
        )
        terms = self._terms(code, currency)
        if terms is None:
            return made
        made = replace(made, symbol=terms.symbol.name, contract_type=terms.contract_type)
        if feed is None or bought_at < EARLIEST:
            return made
        if "cancellation" in TYPES[terms.contract_type].takes and not known.get("commission"):
            return made  # the shortcode of a multiplier has no commission
        units = int(price.scaleb(CURRENCIES[currency].digits))
        return replace(made, expected=expected(terms, units, bought_at, feed))

    def _terms(self, code: str, currency: str) -> Terms | None:
        if currency not in CURRENCIES:
            return None
        commission = _number(self._fields.get("commission"))
        try:
            terms = shortcode.decode(code, currency)
            units = 0 if commission is None else to_units(commission, currency)
        except ValueError:
            return None
        stored = StoredTerms(units, is_financed=True)
        kept: Terms = TYPES[terms.contract_type].with_stored(terms, stored)
        return kept


def _check_prices(feed: Feed, tick: dict[str, Any]) -> None:
    symbol = SYMBOLS.get(str(tick.get("symbol")))
    epoch, quote = _whole(tick.get("epoch")), _number(tick.get("quote"))
    if symbol is None or epoch is None or quote is None or epoch < EARLIEST:
        return
    if float(quote) != symbol.quote(feed.price(symbol, epoch)):
        raise ReportError(
            f"the price of {symbol.name} at {epoch} is not that of this seed: give the seed of the"
            " gateway that was recorded, or none"
        )


def _object(body: dict[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def _number(value: object) -> Decimal | None:
    """Return a number of a message, which other gateways send as text too."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
