"""A market of a file is offered like every other: symbols, ticks, candles, prices and contracts."""

import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scopegate import testing
from scopegate.app import compose
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.listing import Decides
from scopegate.exchange.symbols import SYMBOLS
from scopegate.own_markets import OwnMarkets, own_markets
from scopegate.runtime.clock import HandClock
from scopegate.settings import Settings, SettingsError, chosen
from scopegate.testing import Mailbox, MemoryClient, World

FIRST = 1_769_504_400
"""2026-01-27 09:00 UTC, a Tuesday."""
PAUSE = FIRST + 3 * 3_600
"""The second of the last tick before an hour without any."""
LAST = FIRST + 8 * 3_600
"""The second of the last tick of the file."""


def ticks(*, deviation: float = 0.0004, seed: int = 1) -> dict[int, str]:
    """Prices with two decimals, one to three seconds apart, with a pause in which it is closed."""
    drawn, price, epoch = random.Random(seed), 1_000.0, FIRST
    prices: dict[int, str] = {}
    while epoch < LAST:
        if not PAUSE < epoch < PAUSE + 3_600:
            prices[epoch] = f"{price:.2f}"
        price *= math.exp(drawn.gauss(0, deviation))
        step = drawn.randint(1, 3)
        epoch = PAUSE if epoch < PAUSE < epoch + step else epoch + step
    return {**prices, LAST: f"{price:.2f}"}


def written(path: Path, prices: dict[int, str]) -> Path:
    """The path of a file with these prices."""
    rows = "".join(f"{epoch},{quote}\n" for epoch, quote in prices.items())
    path.write_text(f"epoch,quote\n{rows}")
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("market") / "ticks.csv", ticks())


async def ask(client: MemoryClient, **request: Any) -> Any:
    """The body of a reply that is no error."""
    reply = await client.ask(request)
    assert "error" not in reply, (request, reply["error"])
    return reply[reply["msg_type"]]


async def signed_in(world: World) -> MemoryClient:
    client = world.connect()
    await client.authorize(await world.token())
    return client


async def move(world: World, epoch: int) -> None:
    """Move the clock to this epoch."""
    world.clock.advance(epoch - world.clock.now())
    await world.caught_up()


async def test_it_is_listed_with_its_hours(file: Path) -> None:
    async with testing.world(market={"OWN_X": file}) as world:
        assert world.clock.now() == FIRST
        client = world.connect()
        [listed] = [
            each for each in await ask(client, active_symbols="brief") if each["symbol"] == "OWN_X"
        ]
        assert listed["market"] == "own"
        assert listed["exchange_is_open"] == 1
        assert listed["pip"] == 0.01
        again = next(epoch for epoch in ticks() if epoch > PAUSE)
        opens = ["09:00:00", time.strftime("%H:%M:%S", time.gmtime(again))]
        for day, times in (
            ("today", (opens, ["12:00:00", "17:00:00"])),
            ("2026-01-27", (opens, ["12:00:00", "17:00:00"])),
            ("2026-01-26", (["--"], ["--"])),
        ):
            markets = (await ask(client, trading_times=day))["markets"]
            [symbol] = markets[-1]["submarkets"][0]["symbols"]
            assert symbol["symbol"] == "OWN_X"
            assert (symbol["times"]["open"], symbol["times"]["close"]) == times
            assert symbol["trading_days"] == ["Tue"]
        [day] = (await ask(client, multiplier_financing="OWN_X"))["days"]
        assert (day["first_tick"], day["growth_per_tick"]) == (FIRST, 0)
        assert day["ticks"] == len(ticks())
        index = await ask(client, asset_index=1)
        assert "OWN_X" in [row[0] for row in index]
        durations = await ask(client, trading_durations=1)
        assert durations[-1]["market"]["name"] == "own"
        batch = await ask(client, ticks_batch=1, market="own")
        assert [(tick["symbol"], tick["quote"]) for tick in batch] == [("OWN_X", ticks()[FIRST])]
    assert "OWN_X" not in SYMBOLS
    async with testing.world() as world:
        symbols = await ask(world.connect(), active_symbols="brief")
        assert "OWN_X" not in [each["symbol"] for each in symbols]


async def test_streams_and_history_are_the_ticks_of_the_file(file: Path) -> None:
    prices = {epoch: float(quote) for epoch, quote in ticks().items()}
    async with testing.world(market={"OWN_X": file}) as world:
        client = world.connect()
        first = await ask(client, ticks="OWN_X", subscribe=1)
        await ask(
            client, ticks_history="OWN_X", style="candles", granularity=60, end="latest",
            count=1, subscribe=1,
        )  # fmt: skip
        await move(world, FIRST + 1_000)
        received = client.received
        streamed = [first, *(each["tick"] for each in received if each["msg_type"] == "tick")]
        assert {tick["epoch"]: tick["quote"] for tick in streamed} == {
            epoch: price for epoch, price in prices.items() if epoch <= FIRST + 1_000
        }
        history = await ask(client, ticks_history="OWN_X", end="latest", count=5_000, start=1)
        assert dict(zip(history["times"], history["prices"], strict=True)) == {
            epoch: price for epoch, price in prices.items() if epoch <= FIRST + 1_000
        }
        candles = await ask(
            client, ticks_history="OWN_X", style="candles", end="latest", start=1, count=5_000
        )
        last_ohlc: dict[int, Any] = {}
        for message in received:
            if message["msg_type"] == "ohlc":
                last_ohlc[message["ohlc"]["open_time"]] = message["ohlc"]
        for candle in candles:
            inside = [
                price
                for epoch, price in prices.items()
                if 0 <= epoch - candle["epoch"] < 60 and epoch <= FIRST + 1_000
            ]
            shown = (candle["open"], candle["high"], candle["low"], candle["close"])
            assert shown == (inside[0], max(inside), min(inside), inside[-1])
            ohlc = last_ohlc[candle["epoch"]]
            assert tuple(float(ohlc[name]) for name in ("open", "high", "low", "close")) == shown


def requests_of(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A request for a price of each row of `contracts_for`, with the barriers that it lists."""
    for row in rows:
        request: dict[str, Any] = {
            "contract_type": row["contract_type"],
            "symbol": "OWN_X",
            "currency": "USD",
            "amount": row["default_stake"],
            "basis": "stake",
        }
        if row["contract_category"] == "lookback":
            del request["basis"]
        if row["expiry_type"] == "tick":
            request |= {"duration": 5, "duration_unit": "t"}
        elif row["expiry_type"] == "intraday":
            request |= {"duration": 5, "duration_unit": "m"}
        if row["start_type"] == "forward":
            now = int(row["forward_starting_options"][0]["open"])
            request["date_start"] = now + 7_200
        if "multiplier_range" in row:
            request["multiplier"] = row["multiplier_range"][0]
        if "high_barrier" in row:
            request |= {"barrier": row["high_barrier"], "barrier2": row["low_barrier"]}
        elif "barrier" in row:
            request["barrier"] = row["barrier"]
        elif "last_digit_range" in row:
            request["barrier"] = str(row["last_digit_range"][0])
        if row["contract_category"] == "highlowticks":
            request["selected_tick"] = 2
        yield request


async def test_every_listed_type_is_priced_bought_and_settled_at_ticks_of_the_file(
    file: Path,
) -> None:
    prices = ticks()
    async with testing.world(market={"OWN_X": file}) as world:
        await move(world, FIRST + 1_800)
        client = await signed_in(world)
        rows = (await ask(client, contracts_for="OWN_X"))["available"]
        listed = {row["contract_type"] for row in rows}
        assert listed == {
            name for name, kind in TYPES.items() if kind.listing.decides is not Decides.EVERY_TICK
        }
        assert not [row for row in rows if row["expiry_type"] == "daily"]
        for request in requests_of(rows):
            await ask(client, proposal=1, **request)
            bought = await ask(client, buy=1, price=10_000, parameters=request)
            assert "_OWN_X_" in bought["shortcode"]
        await move(world, FIRST + 2_400 + 7_200 + 600)
        seen = set()
        for entry in (await ask(client, statement=1, limit=999))["transactions"]:
            if entry["action_type"] != "buy":
                continue
            contract = await ask(client, proposal_open_contract=1, contract_id=entry["contract_id"])
            kind = contract["contract_type"]
            seen.add(kind)
            assert contract["entry_spot_display_value"] == prices[contract["entry_tick_time"]]
            if kind in ("MULTUP", "MULTDOWN"):
                continue
            assert contract["is_sold"] == 1, contract
            assert contract["exit_tick_display_value"] == prices[contract["exit_tick_time"]]
        assert seen == listed


async def test_coarse_ticks_have_no_contracts_on_digits(tmp_path: Path) -> None:
    file = written(tmp_path / "coarse.csv", ticks(deviation=0.00002))
    async with testing.world(market={"OWN_X": file}) as world:
        rows = (await ask(world.connect(), contracts_for="OWN_X"))["available"]
        categories = {row["contract_category"] for row in rows}
        assert {"callput", "touchnotouch", "multiplier"} <= categories
        assert not categories & {"digits", "asian", "runs", "highlowticks", "accumulator"}


CALL = {
    "contract_type": "CALL",
    "symbol": "OWN_X",
    "amount": 10,
    "basis": "stake",
    "currency": "USD",
}


@pytest.mark.parametrize("moment", [FIRST - 10, PAUSE, PAUSE + 60, LAST, LAST + 100, LAST + 10**6])
async def test_it_is_closed_before_after_and_in_pauses(file: Path, moment: int) -> None:
    async with testing.world(market={"OWN_X": file}, start=float(moment)) as world:
        client = await signed_in(world)
        call = {**CALL, "duration": 5, "duration_unit": "t"}
        for request in (
            {"ticks": "OWN_X"},
            {"proposal": 1, **call},
            {"buy": 1, "price": 10, "parameters": call},
        ):
            assert await client.refused(request) == "MarketIsClosed"
        [listed] = [
            each for each in await ask(client, active_symbols="brief") if each["symbol"] == "OWN_X"
        ]
        assert listed["exchange_is_open"] == 0
        await ask(client, contracts_for="OWN_X")
        await ask(client, ticks_history="OWN_X", end="latest", count=10)


@pytest.mark.parametrize("closes", [PAUSE, LAST])
async def test_contracts_end_before_it_closes(file: Path, closes: int) -> None:
    async with testing.world(market={"OWN_X": file}, start=float(closes - 60)) as world:
        client = await signed_in(world)
        within = {**CALL, "duration": 59, "duration_unit": "s"}
        await ask(client, proposal=1, **within)
        for terms in (
            {"duration": 60, "duration_unit": "s"},
            {"duration": 90, "duration_unit": "m"},
            {"duration": 1, "duration_unit": "d"},
            {"date_expiry": closes + 3_700},
        ):
            refused = {"proposal": 1, **CALL, **terms}
            assert await client.refused(refused) == "OfferingsValidationError"
        await move(world, closes - 5)
        late = {"proposal": 1, **CALL, "duration": 8, "duration_unit": "t"}
        assert await client.refused(late) == "OfferingsValidationError"


async def test_a_multiplier_closes_at_the_last_tick_of_the_file(file: Path) -> None:
    async with testing.world(market={"OWN_X": file}, start=float(LAST - 100)) as world:
        client = await signed_in(world)
        rows = (await ask(client, contracts_for="OWN_X"))["available"]
        [row] = [row for row in rows if row["contract_type"] == "MULTUP"]
        terms = {**CALL, "contract_type": "MULTUP", "multiplier": row["multiplier_range"][0]}
        bought = await ask(client, buy=1, price=10, parameters=terms)
        await move(world, LAST + 10)
        held = await ask(client, proposal_open_contract=1, contract_id=bought["contract_id"])
        assert held["is_sold"] == 1
        assert held["exit_tick_time"] == LAST
        assert held["exit_tick_display_value"] == ticks()[LAST]
        await move(world, LAST + 90_000)


class Lasting:
    """The settings and the clock of a gateway whose database outlives it."""

    def __init__(self, db: Path, clock: float, *market: str) -> None:
        self.settings = Settings(db=db, seed="own", port=0, market=market)
        self.clock = HandClock(clock)


async def test_a_restart_settles_what_ended_and_other_files_are_refused(tmp_path: Path) -> None:
    db, path = tmp_path / "own.db", written(tmp_path / "ticks.csv", ticks())
    own = f"OWN_X={path}"
    first = Lasting(db, FIRST + 60.0, own)
    async with compose(first.settings, first.clock) as gateway:
        world = await World.around(gateway, first.clock, Mailbox())
        token = await world.token()
        client = world.connect()
        await client.authorize(token)
        call = {**CALL, "duration": 10, "duration_unit": "t"}
        bought = await ask(client, buy=1, price=10, parameters=call)

    for market, expected in (
        ((), "contracts of this database are on OWN_X: add OWN_X=FILE"),
        ((f"OWN_Y={path}",), "contracts of this database are on OWN_X"),
        ((f"{own}:1",), "number of decimals, has changed"),
        ((f"OWN_X={written(tmp_path / 'b.csv', ticks(seed=2))}",), "the file of OWN_X"),
    ):
        other = Lasting(db, FIRST + 70.0, *market)
        with pytest.raises(SettingsError, match=expected):
            async with compose(other.settings, other.clock):
                pass

    again = Lasting(db, FIRST + 600.0, own)
    async with compose(again.settings, again.clock) as gateway:
        world = await World.around(gateway, again.clock, Mailbox())
        client = world.connect()
        await client.authorize(token)
        held = await ask(client, proposal_open_contract=1, contract_id=bought["contract_id"])
        assert held["is_sold"] == 1
        times = list(ticks())
        entry = times.index(held["entry_tick_time"])
        assert times[entry - 1] <= bought["start_time"] < times[entry]
        assert held["exit_tick_time"] == times[entry + 10]
        assert held["exit_tick_display_value"] == ticks()[times[entry + 10]]


async def test_without_contracts_a_file_may_change(tmp_path: Path) -> None:
    db = tmp_path / "own.db"
    for seed in (1, 2):
        path = written(tmp_path / "ticks.csv", ticks(seed=seed))
        one = Lasting(db, FIRST + 60.0, f"OWN_X={path}")
        async with compose(one.settings, one.clock) as gateway:
            world = await World.around(gateway, one.clock, Mailbox())
            shown = await ask(world.connect(), ticks="OWN_X")
            assert shown["quote"] == float(
                [quote for epoch, quote in ticks(seed=seed).items() if epoch <= FIRST + 60][-1]
            )


async def test_who_joins_needs_the_same_files(file: Path, tmp_path: Path) -> None:
    other = written(tmp_path / "other.csv", ticks(seed=2))
    async with testing.world(market={"OWN_X": file}) as world:
        store = world.gateway.store
        present = world.service(OwnMarkets)
        await store.read(lambda reader: present.check(reader, joins=True))
        with own_markets(chosen(market=(f"OWN_Y={other}",)).market_files) as different:
            await store.read(different.check)  # there are no contracts
            for joining in (different, OwnMarkets()):
                with pytest.raises(SettingsError, match=r"name the same \(OWN_X\)"):
                    await store.read(
                        lambda reader, joining=joining: joining.check(reader, joins=True)
                    )


async def test_a_world_moves_its_markets_and_no_others(file: Path) -> None:
    other_world = testing.world(start=float(FIRST))
    async with testing.world(market={"OWN_X": file}) as world, other_world as other:
        for symbol in ("OWN_X", "R_100"):
            world.market(symbol).jump("+10%")
            assert len(world.market(symbol).moves) == 1
        await move(world, FIRST + 10)
        await move(other, FIRST + 10)
        shown = (await ask(world.connect(), ticks="OWN_X"))["quote"]
        assert shown == pytest.approx(float(ticks()[await last_epoch(world)]) * 1.1, abs=0.01)
        moved, plain = [
            (await ask(each.connect(), ticks="R_100"))["quote"] for each in (world, other)
        ]
        assert moved == pytest.approx(plain * 1.1, abs=0.01)


async def last_epoch(world: World) -> int:
    """The epoch of the latest tick of the file."""
    epoch: int = (await ask(world.connect(), ticks="OWN_X"))["epoch"]
    return epoch


async def test_two_worlds_of_a_process_may_share_a_market_but_not_a_name(
    file: Path, tmp_path: Path
) -> None:
    other = written(tmp_path / "other.csv", ticks(seed=2))
    async with testing.world(market={"OWN_X": file}), testing.world(market={"OWN_X": file}):
        with pytest.raises(SettingsError, match="choose another name"):
            async with testing.world(market={"OWN_X": other}):
                pass
