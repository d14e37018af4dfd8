"""The bots of `examples/` under every fault: each ends, and says what the books say.

`docs/faults.md` describes what is found here.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from websockets.sync.client import connect

from scopegate.handlers.exchange.feed_faults import MarketFaultKinds
from scopegate.testkit import LiveGateway, live_gateway
from tests.browser.tools import NODE_MODULES, node_module
from tests.clients.bad_days import bad_day, run
from tests.clients.test_snippets import PROGRAMS
from tests.effort import cases
from tests.product_files import ROOT
from tests.served import PATIENCE, environment

EXAMPLES = ROOT / "examples"
Contracts = Sequence[dict[str, Any]]

FAULTS = (
    "latency milliseconds=100 jitter=100",
    "lost_reply after=CALL",
    "half_open after=CALL",
    "drop before=CALL",
    "drop after=CALL",
    "drop after=CALL code=1012",
    "drop_at_random chance=0.3 times=4",
    "revoke_token after=CALL",
    "rate_limit call=CALL",
    "rate_limit skip=2 chance=0.3 times=3",
    "internal_error call=CALL",
    "internal_error skip=2 chance=0.3 times=3",
    "market_closed call=CALL",
    "price_moved call=CALL",
    "duplicate_events",
    "reorder_events",
    "stale_proposals",
    "frozen_feed skip=2",
    "tick_gap skip=2 seconds=3",
    "spike skip=2",
    "wrong_clock seconds=3600",
)
"""CALL is what a bot cannot do without."""
AT_RANDOM = ("drop_at_random", "rate_limit skip", "internal_error skip")
"""Those that may leave alone a bot that sends and is sent little."""
REFUSALS = ("rate_limit", "internal_error", "market_closed", "price_moved")


def test_every_kind_is_met() -> None:
    assert {text.split()[0] for text in FAULTS} == set(MarketFaultKinds().by_name())


def by_longcode(out: str, contracts: Contracts) -> int:
    return sum(out.count(text) for text in {each["longcode"] for each in contracts})


def by_words(words: str) -> Callable[[str, Contracts], int]:
    return lambda out, contracts: len(re.findall(words, out, re.M))


class Bot(NamedTuple):
    """A bot, and where it says what."""

    contracts: int
    """How many it buys at most."""
    bought: Callable[[str, Contracts], int] | None
    """How many purchases it reports; `None` if it reports only results."""
    profits: str
    """The pattern of a line with a result: the profit, or what was paid out."""
    call: str = "buy"
    survives: bool = True
    """Whether it goes on after a lost connection."""
    unmet: tuple[str, ...] = ("stale_proposals", "frozen_feed", "tick_gap", "spike")
    """The kinds about messages that it is not sent."""
    speed: float = 30


WON = r"(?:won|lost|sold)"
BOTS = {
    "rise_or_fall": Bot(
        5, by_words(r" pays \S+ for "), rf"{WON} ([+-]\S+)$", unmet=("stale_proposals",)
    ),
    "digits": Bot(
        6, by_words(r" pays "), rf"{WON} ([+-]\S+)$", unmet=("frozen_feed", "tick_gap", "spike")
    ),
    "multiplier_take_profit": Bot(1, by_longcode, rf"^{WON} at \S+ ([+-]\S+) USD$"),
    "accumulator": Bot(4, by_longcode, rf"{WON} after .*: ([+-]\S+) USD$"),
    "turbo": Bot(1, by_longcode, rf"^{WON} at .*, ([+-]\S+) USD$"),
    "vanilla": Bot(2, by_longcode, rf"{WON}, paid (\S+)$"),
    "watch_ticks": Bot(
        0, None, "$.", call="ticks", survives=False, unmet=("stale_proposals",), speed=5
    ),
    "tested_bot/fader": Bot(1, None, r"^(\S+)$", survives=False, unmet=("stale_proposals",)),
    "own_market/dipper": Bot(
        999,
        by_words(r"^bought \d+$"),
        "$.",
        survives=False,
        unmet=("stale_proposals",),
        speed=1_000,
    ),
}
EVERY = [(name, text) for name in BOTS for text in FAULTS]
IN_SUITE = [
    ("rise_or_fall", "drop after=CALL"),
    ("digits", "drop before=CALL"),
    ("vanilla", "revoke_token after=CALL"),
    ("tested_bot/fader", "drop after=CALL"),
]


@pytest.mark.parametrize(("name", "text"), cases(EVERY, IN_SUITE))
def test_a_bot_says_what_the_books_say(name: str, text: str, tmp_path: Path) -> None:
    bot, program = BOTS[name], EXAMPLES / f"{name}.py"
    file = EXAMPLES / "own_market" / "tuesday.csv"
    market = {"OWN_TUESDAY": file} if name == "own_market/dipper" else None
    with bad_day(text.replace("CALL", bot.call), market) as (gateway, fault):
        token, url = gateway.token("read", "trade"), gateway.url
        if name == "watch_ticks":
            url = url.partition("?")[0]
        done = run(gateway, [sys.executable, program, token, url], tmp_path, speed=bot.speed)
        assert fault.strikes or fault.kind in bot.unmet or text.startswith(AT_RANDOM), done
        gateway.clock.advance(600)  # what it has left open ends
        check(bot, text, done, gateway)


def check(
    bot: Bot, text: str, done: subprocess.CompletedProcess[str], gateway: LiveGateway
) -> None:
    out, err, contracts = done.stdout, done.stderr, gateway.contracts()
    assert "Traceback" not in err
    assert len(contracts) <= bot.contracts
    results = sorted(map(float, re.findall(bot.profits, out, re.M)))
    key = "sell_price" if bot.profits.endswith(r"paid (\S+)$") else "profit"
    booked = sorted(float(each[key]) for each in contracts)
    if "balance" in out:
        [*_, balance] = re.findall(r"^balance ([\d.]+)", out, re.M)
        assert float(balance) == gateway.balance()
    if done.returncode == 0:
        assert err == ""
        assert results == booked
        for total in re.findall(r"^total ([+-]\S+) USD$", out, re.M):
            assert float(total) == round(sum(each["profit"] for each in contracts), 2)
        return
    # It says why it has ended: in a sentence, of which a person can make something.
    assert done.returncode == 1
    assert re.fullmatch(r"(\w+: )?[A-Z].*\.?", err.strip().splitlines()[-1]), err
    left = list(booked)
    for result in results:
        left.remove(result)
    uncertain = re.search("may have|may or may not|portfolio", err) is not None
    if bot.bought is not None:
        said = bot.bought(out, contracts)
        assert said == len(contracts) or (uncertain and said == len(contracts) - 1)
    else:
        assert not contracts or uncertain or "InvalidToken" in err
    # Only a refusal ends a bot with a client that comes back, or the end of its token.
    assert not bot.survives or text.startswith((*REFUSALS, "revoke_token")), err


# The copier: another account trades, and the fault is of the bot alone.

COPIED = [text for text in FAULTS if "skip=2 " not in text]
COPIER_MESSAGE = re.compile(r"(buy|sell) of (\d+) by \w+: (?:copied as (\d+)|not copied, \w+: .*)")


@pytest.mark.parametrize("text", cases(COPIED, ["drop_at_random chance=0.3 times=4"]))
def test_the_copier_says_what_was_copied(text: str) -> None:
    fault = MarketFaultKinds().parsed(text.replace("CALL", "copy_start"))
    with live_gateway() as gateway:
        copier = gateway.open_account()
        own, named = gateway.token(loginid=copier), gateway.token()
        gateway.fault(fault.kind, token=own, **fault.options())
        command = [sys.executable, str(EXAMPLES / "copier.py"), own, named, gateway.url]
        with (
            gateway.clock.running(speed=5),
            connect(gateway.url) as trader,
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(),
            ) as bot,
        ):
            assert bot.stdout is not None
            ask(trader, authorize=named)
            ask(trader, set_settings=1, allow_copiers=1)
            trades = trade(trader) if bot.stdout.readline() == "copying\n" else []
            try:
                out, err = bot.communicate(timeout=PATIENCE)
            finally:
                bot.kill()
            copied_from = ask(trader, copytrading_list=1)["copytrading_list"]["copiers"]
        contracts = [each["contract_id"] for each in gateway.contracts(copier)]
    assert "Traceback" not in err
    said = [COPIER_MESSAGE.fullmatch(line) for line in out.splitlines() if line != "stopped"]
    assert None not in said
    found = [each for each in said if each is not None]
    assert [(each[1], int(each[2])) for each in found] == trades[: len(found)]
    bought = [int(each[3]) for each in found if each[1] == "buy" and each[3]]
    if bot.returncode == 0:
        assert err == ""
        assert len(found) == len(trades) == 4
        assert bought == contracts
        assert out.endswith("stopped\n")
        assert copied_from == []
        return
    assert bot.returncode == 1
    assert text.startswith((*REFUSALS, "revoke_token")), err
    assert re.fullmatch(r"\w+: [A-Z].*(\n.*copy_stop\.)?\n", err), err
    assert bought == contracts or "copy_stop" in err
    assert copied_from == [] or "copy_stop" in err


def ask(socket: Any, **request: Any) -> Any:
    """The reply to a request."""
    socket.send(json.dumps(request))
    return json.loads(socket.recv(PATIENCE))


def trade(trader: Any) -> list[tuple[str, int]]:
    """Buy three contracts, of which the second is not copied, and sell the first."""
    wanted = {"contract_type": "CALL", "symbol": "1HZ100V", "currency": "USD", "basis": "stake"}
    numbers = []
    for stake in (10, 30, 20):
        terms = {**wanted, "amount": stake, "duration": 15, "duration_unit": "m"}
        numbers.append(ask(trader, buy=1, price=stake, parameters=terms)["buy"]["contract_id"])
    while "error" in ask(trader, sell=numbers[0], price=0):
        pass  # until its entry tick is there
    return [*(("buy", number) for number in numbers), ("sell", numbers[0])]


# The JavaScript client in Node, with the bot of `docs/clients.md`.

SURVIVED = [text for text in FAULTS if not text.startswith((*REFUSALS, "revoke_token"))]


@pytest.mark.parametrize("text", cases(SURVIVED, ["drop after=CALL"]))
def test_a_bot_in_javascript_says_what_the_books_say(text: str, tmp_path: Path) -> None:
    node_module("ws")
    shutil.copy(ROOT / "client" / "scopegate-client.js", tmp_path)
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    with bad_day(text.replace("CALL", "buy")) as (gateway, _):
        program = PROGRAMS["first_bot.mjs"].replace("ws://127.0.0.1:5555", gateway.endpoint)
        (tmp_path / "first_bot.mjs").write_text(program)
        token = {"TOKEN": gateway.token("read", "trade")}
        done = run(gateway, ["node", "first_bot.mjs"], tmp_path, speed=10, variables=token)
        assert (done.returncode, done.stderr) == (0, "")
        [contract] = gateway.contracts()
        longcode, buy, sell, balance = done.stdout.splitlines()
        assert longcode == contract["longcode"]
        assert (buy, sell) == ("buy -10", f"sell {contract['sell_price']:g}")
        assert float(balance) == gateway.balance()
