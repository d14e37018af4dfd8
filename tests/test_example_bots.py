"""The bots of `examples/` trade to their end against a gateway, and print what the books say."""

import asyncio
import itertools
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any

import pytest

from scopegate.gateway.access import tokens
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from tests.served import PATIENCE, Served, environment, serving
from tests.stores import run_once

EXAMPLES = Path(__file__).parents[1] / "examples"
BOTS = (
    *("rise_or_fall", "digits", "multiplier_take_profit"),
    *("accumulator", "turbo", "vanilla"),
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A market that runs fast, so that the bots need not wait long."""
    with serving(tmp_path_factory.mktemp("bots"), "--speed", "50") as served:
        yield served


def run(
    *arguments: str | Path, gateway: Served, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run Python to the end of the program."""
    return subprocess.run(
        [sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=gateway.folder,
        env=environment(variables),
        timeout=PATIENCE,
    )


def printed(name: str, gateway: Served) -> list[str]:
    """The lines of a bot that was given its URL and token as arguments."""
    done = run(EXAMPLES / f"{name}.py", gateway.token, gateway.url, gateway=gateway)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


async def booked(gateway: Served, count: int) -> list[dict[str, Any]]:
    """What the gateway has of the last contracts, the oldest first."""
    async with gateway.connected() as client:
        await client.authorize(gateway.token)
        reply = await client.ask({"profit_table": 1, "description": 1, "limit": count})
        rows: list[dict[str, Any]] = reply["profit_table"]["transactions"]
        assert len(rows) == count
        assert (await client.ask({"portfolio": 1}))["portfolio"]["contracts"] == []
        return rows[::-1]


def profit(row: dict[str, Any]) -> float:
    return float(round(row["sell_price"] - row["buy_price"], 2))


ROUND = re.compile(
    r"([0-9.]+) -> ([0-9.]+): (CALL|PUT) pays ([0-9.]+) for 10\.00"
    r" ([0-9.]+) -> ([0-9.]+) (won|lost) ([+-][0-9.]+)"
)


async def test_rise_or_fall_plays_its_rounds(gateway: Served) -> None:
    *lines, total = printed("rise_or_fall", gateway)
    stopped = lines[-1] == "the loss limit is reached"
    if stopped:
        lines.pop()
    rows = await booked(gateway, len(lines))
    sum_of_all = 0.0
    for number, (line, row) in enumerate(zip(lines, rows, strict=True), 1):
        found = ROUND.fullmatch(line)
        assert found is not None, line
        before, after, side, payout, entry, ended, status, result = found.groups()
        assert side == ("CALL" if float(after) > float(before) else "PUT")
        assert row["shortcode"].startswith(f"{side}_1HZ100V_")
        assert row["payout"] == float(payout)
        rose = float(ended) > float(entry)
        fell = float(ended) < float(entry)
        assert status == ("won" if (rose if side == "CALL" else fell) else "lost")
        assert profit(row) == float(result)
        sum_of_all += float(result)
        # The limit is looked at after every round, and ends the play.
        assert (sum_of_all <= -15) == (stopped and number == len(lines))
    assert stopped or len(lines) == 5
    assert total == f"total {sum_of_all:+.2f} USD"


def test_rise_or_fall_stops_at_its_loss_limit(gateway: Served) -> None:
    """With a limit that any result is beyond, the first round is the last."""
    program = (
        "import asyncio, os, rise_or_fall as bot;"
        "bot.LOSS_LIMIT = -1_000;"
        "asyncio.run(bot.main(os.environ['TOKEN']))"
    )
    done = run(
        "-c",
        program,
        gateway=gateway,
        TOKEN=gateway.token,
        URL=gateway.url,
        PYTHONPATH=os.fspath(EXAMPLES),
    )
    assert done.returncode == 0, done.stderr
    first, stopped, total = done.stdout.splitlines()
    assert ROUND.fullmatch(first) is not None
    assert stopped == "the loss limit is reached"
    assert total == f"total {first.split()[-1]} USD"


async def test_digits_adds_up_what_its_rounds_brought(gateway: Served) -> None:
    *lines, summary, balance = printed("digits", gateway)
    rows = await booked(gateway, len(lines))
    won = 0
    for line, row in zip(lines, rows, strict=True):
        found = re.fullmatch(
            r"((?:[0-9] ){9})([0-9]) even of 9: (DIGITODD|DIGITEVEN) pays ([0-9.]+)"
            r" ([0-9]) (won|lost) ([+-][0-9.]+)",
            line,
        )
        assert found is not None, line
        before, even, side, payout, digit, status, result = found.groups()
        assert sum(int(each) % 2 == 0 for each in before.split()) == int(even)
        assert side == ("DIGITODD" if int(even) > 4 else "DIGITEVEN")
        assert row["contract_type"] == side
        assert row["payout"] == float(payout)
        is_won = int(digit) % 2 == (side == "DIGITODD")
        assert status == ("won" if is_won else "lost")
        assert profit(row) == float(result)
        won += is_won
    assert len(lines) == 6
    got = sum(row["sell_price"] for row in rows)
    assert summary == f"{won} of 6 won: paid 30.00, got {got:.2f}, profit {got - 30:+.2f}"
    async with gateway.connected() as client:
        await client.authorize(gateway.token)
        told = (await client.ask({"balance": 1}))["balance"]
    assert balance == f"balance {told['balance']:.2f} {told['currency']}"


async def test_the_multiplier_ends_at_one_of_its_orders(gateway: Served) -> None:
    longcode, *lines, last = printed("multiplier_take_profit", gateway)
    [row] = await booked(gateway, 1)
    assert row["longcode"] == longcode
    assert row["multiplier"] == "400"
    orders: dict[str, tuple[float, float]] = {}
    for line in lines:
        found = re.fullmatch(r"(.*): ([+-][0-9.]+) at ([0-9.]+)", line)
        if found is not None:
            orders[found[1]] = (float(found[2]), float(found[3]))
    assert {name: amount for name, (amount, _) in orders.items()} == {
        "stop out": -10,
        "take profit": 6,
        "moved the take profit": 3,
        "stop loss": -5,
    }
    begun = next(line for line in lines if line.startswith("entered at "))
    entry = float(begun.removeprefix("entered at "))
    takes, stops = orders["moved the take profit"][1], orders["stop loss"][1]
    assert orders["stop out"][1] < stops < entry < takes < orders["take profit"][1]
    found = re.fullmatch(r"(won|lost) at ([0-9.]+): ([+-][0-9.]+) USD", last)
    assert found is not None, last
    status, exit_spot, result = found[1], float(found[2]), float(found[3])
    # It ended at the first tick that reached an order: by then no other spot had.
    spots = [float(line.split()[0]) for line in lines if re.fullmatch(r"[0-9.]+ [+-][0-9.]+", line)]
    assert all(stops <= spot < takes for spot in spots[1:])
    if status == "won":
        assert exit_spot >= takes
        assert result >= 3
    else:
        assert exit_spot <= stops
        assert result <= -5
    assert profit(row) == result


def token_for(loginid: str, gateway: Served) -> str:
    """A token of all scopes for an account."""
    return run_once(
        gateway.db,
        lambda transaction: tokens.create(transaction, tokens.NewToken(loginid, "Bot", SCOPES)),
    )


async def test_the_copier_tells_what_became_of_each_trade(gateway: Served) -> None:
    _, trader, copier = gateway.loginids
    own, named = token_for(copier, gateway), token_for(trader, gateway)
    wanted = {"contract_type": "CALL", "symbol": "1HZ100V", "currency": "USD", "basis": "stake"}
    async with gateway.connected() as client:
        await client.authorize(named)
        await client.ask({"set_settings": 1, "allow_copiers": 1})
        bot = await asyncio.create_subprocess_exec(
            *(sys.executable, EXAMPLES / "copier.py", own, named, gateway.url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(),
        )
        assert bot.stdout is not None
        assert await bot.stdout.readline() == b"copying\n"
        numbers = []
        for stake in (10, 30, 20):
            terms = {**wanted, "amount": stake, "duration": 15, "duration_unit": "m"}
            reply = await client.ask({"buy": 1, "price": stake, "parameters": terms})
            numbers.append(reply["buy"]["contract_id"])
        while "error" in await client.ask({"sell": numbers[0], "price": 0}):
            pass  # until its entry tick is there
        async with asyncio.timeout(PATIENCE):
            printed, complaints = await bot.communicate()
    assert (bot.returncode, complaints) == (0, b"")
    first, second, third, fourth, last = printed.decode().splitlines()
    assert last == "stopped"
    found = re.fullmatch(rf"buy of {numbers[0]} by {trader}: copied as ([0-9]+)", first)
    assert found is not None, first
    assert second == (
        f"buy of {numbers[1]} by {trader}: not copied, InvalidStakeLimit: The trader's stake of"
        " USD 30.00 is above your maximum of USD 20.00."
    )
    assert third.startswith(f"buy of {numbers[2]} by {trader}: copied as ")
    assert fourth == f"sell of {numbers[0]} by {trader}: copied as {found[1]}"
    async with gateway.connected() as client:
        await client.authorize(own)
        [row] = (await client.ask({"profit_table": 1}))["profit_table"]["transactions"]
        assert str(row["contract_id"]) == found[1]


async def test_the_accumulator_is_sold_or_goes_too_far(gateway: Served) -> None:
    *lines, total = printed("accumulator", gateway)
    ends = [line for line in lines if " after " in line]
    rows = await booked(gateway, len(ends))
    assert len(ends) == 4
    for line, row in zip(ends, rows, strict=True):
        found = re.fullmatch(
            r"([0-9.]+) (won|lost|sold) after ([0-9]+) ticks, range ([0-9.]+) to ([0-9.]+):"
            r" ([+-][0-9.]+) USD",
            line,
        )
        assert found is not None, line
        spot, status, passed, low, high, result = found.groups()
        assert (float(low) < float(spot) < float(high)) == (status != "lost")
        assert float(result) == profit(row)
        if status == "lost":
            assert row["sell_price"] == 0
        else:  # sold when it was time, or later where the market was faster than the bot
            assert int(passed) >= 6
            assert row["sell_price"] == math.floor(1_000 * 1.03 ** int(passed) + 1e-6) / 100
    # While it was open, each spot lay in the range that was told before it, if no tick was left out
    # in between, as by a gateway that is in a hurry. Each tick but the first adds 3 percent.
    told = [
        re.fullmatch(r"([0-9.]+) ([0-9.]+), next ([0-9.]+) to ([0-9.]+)", line) for line in lines
    ]
    following = [
        (before, after)
        for before, after in itertools.pairwise(told)
        if before is not None and after is not None
        if 10 < float(before[2]) < float(after[2]) < float(before[2]) * 1.045
    ]
    assert following
    for before, after in following:
        assert float(before[3]) < float(after[1]) < float(before[4])
    assert total == f"total {sum(map(profit, rows)):+.2f} USD"


async def test_the_turbo_is_left_or_met_or_ends(gateway: Served) -> None:
    barriers, longcode, points, *lines, last = printed("turbo", gateway)
    [row] = await booked(gateway, 1)
    assert row["longcode"] == longcode
    assert len(barriers.split()) == 6
    found = re.fullmatch(
        r"(won|lost|sold) at ([0-9.]+), barrier ([0-9.]+): paid ([0-9.]+), ([+-][0-9.]+) USD", last
    )
    assert found is not None, last
    status, spot, barrier, paid, result = found.groups()
    assert (float(paid), float(result)) == (row["sell_price"], profit(row))
    told = [line.split() for line in lines]
    assert all(float(line[0]) > float(barrier) for line in told[1:])
    if status == "lost":
        assert float(spot) <= float(barrier)
        assert float(paid) == 0
    elif status == "sold":
        assert float(paid) >= 12
        assert any(float(line[2]) >= 4 for line in told)
    else:
        each = Decimal(points.removesuffix(" a point"))
        gain = each * (Decimal(spot) - Decimal(barrier))
        assert Decimal(paid) == gain.quantize(Decimal("0.01"), ROUND_DOWN)


async def test_of_a_call_and_a_put_at_one_strike_mostly_one_pays(gateway: Served) -> None:
    *lines, total = printed("vanilla", gateway)
    rows = await booked(gateway, 2)
    assert [row["longcode"] for row in rows] == lines[:3:2]
    for row in rows:
        [line] = [line for line in lines if line.startswith(row["contract_type"]) and "->" in line]
        found = re.fullmatch(r"[A-Z]+ ([0-9.]+) -> ([0-9.]+): (won|lost), paid ([0-9.]+)", line)
        assert found is not None, line
        strike, ended, status, paid = Decimal(found[1]), Decimal(found[2]), found[3], found[4]
        side = 1 if row["contract_type"] == "VANILLALONGCALL" else -1
        contracts = Decimal(row["shortcode"].rsplit("_", 2)[1])
        gain = contracts * max(Decimal(0), (ended - strike) * side)
        assert Decimal(paid) == gain.quantize(Decimal("0.01"), ROUND_DOWN)
        assert float(paid) == row["sell_price"]
        assert (status == "won") == (float(paid) > 0)
    assert total == f"total {sum(map(profit, rows)):+.2f} USD"


@pytest.mark.parametrize("name", [*BOTS, "copier"])
def test_a_bot_says_why_it_cannot_begin(name: str, gateway: Served) -> None:
    number = [*BOTS, "copier"].index(name)
    if number and number % 5 == 0:  # an address may try five wrong tokens a minute
        assert gateway.stop() == 0
        gateway.start()
    more = ["a1-other"] if name == "copier" else []
    done = run(EXAMPLES / f"{name}.py", "a1-nonsense", *more, gateway.url, gateway=gateway)
    assert done.returncode == 1
    assert (done.stdout + done.stderr).strip() == "InvalidToken: The token is invalid."
