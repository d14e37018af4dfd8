"""The published clients under every fault: what becomes of a bot that is written with them.

`docs/faults.md` describes what is found here.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scopegate.handlers.exchange.feed_faults import MarketFaultKinds
from tests.browser.tools import NODE_MODULES, missing, node_module
from tests.clients.bad_days import bad_day, run
from tests.clients.conftest import HERE, HOME, PYTHON
from tests.effort import cases

Outcomes = dict[str, str]

FINE = {"authorize": "ok", "ticks": "ok", "buy": "ok", "sold": "ok", "balance": "ok"}


def ends(**steps: str) -> Outcomes:
    """The outcomes of a session without a contract."""
    return {"authorize": "ok", "ticks": "ok", "balance": "ok", **steps}


class Seen(NamedTuple):
    """What is seen of a fault."""

    python: Outcomes
    javascript: Outcomes
    contracts: int = 1
    """How many were bought."""


GONE, SIGNED_OUT = "ConnectionClosedError", "AuthorizationRequired"
BOTH_FINE = Seen(FINE, FINE)

FAULTS: dict[str, Seen] = {
    "latency milliseconds=100 jitter=100": BOTH_FINE,
    # Neither has a timeout: what waits for a reply waits for ever.
    "lost_reply after=buy": Seen(ends(buy="hangs"), ends(buy="hangs")),
    "half_open after=buy": Seen(
        ends(buy="hangs", balance="hangs"), ends(buy="hangs", balance="hangs")
    ),
    # The one does not connect again, and the other connects without signing in again. With both,
    # what waits for a reply is not told.
    "drop before=buy": Seen(
        ends(buy="hangs", balance=GONE), ends(buy="hangs", balance=SIGNED_OUT), contracts=0
    ),
    "drop after=buy": Seen(ends(buy="hangs", balance=GONE), ends(buy="hangs", balance=SIGNED_OUT)),
    "drop_at_random chance=1 skip=1 times=1": Seen(
        {"authorize": "ok", "ticks": "hangs", "buy": GONE, "balance": GONE},
        {"authorize": "ok", "ticks": "hangs", "buy": SIGNED_OUT, "balance": SIGNED_OUT},
        contracts=0,
    ),
    "revoke_token after=buy": Seen(
        {**FINE, "sold": SIGNED_OUT, "balance": SIGNED_OUT},
        {**FINE, "sold": SIGNED_OUT, "balance": SIGNED_OUT},
    ),
    # Errors reach the bot, and the session goes on.
    "rate_limit call=buy": Seen(ends(buy="RateLimit"), ends(buy="RateLimit"), contracts=0),
    "internal_error call=buy": Seen(
        ends(buy="InternalServerError"), ends(buy="InternalServerError"), contracts=0
    ),
    "market_closed": Seen(ends(buy="MarketIsClosed"), ends(buy="MarketIsClosed"), contracts=0),
    "price_moved": Seen(ends(buy="PriceMoved"), ends(buy="PriceMoved"), contracts=0),
    # Nothing of these is noticed: they are for the bot to see.
    "duplicate_events": BOTH_FINE,
    "reorder_events event=tick": BOTH_FINE,
    "stale_proposals": BOTH_FINE,
    "frozen_feed skip=2": BOTH_FINE,
    "tick_gap skip=2 seconds=3": BOTH_FINE,
    "spike skip=2": BOTH_FINE,
    "wrong_clock seconds=3600": BOTH_FINE,
}


def test_every_kind_is_met() -> None:
    assert {text.split()[0] for text in FAULTS} == set(MarketFaultKinds().by_name())


CLIENTS = ("python", "javascript")
EVERY = [(client, text) for text in FAULTS for client in CLIENTS]


@pytest.mark.lengthy
@pytest.mark.parametrize(
    ("client", "text"), cases(EVERY, [(client, "drop after=buy") for client in CLIENTS])
)
def test_a_published_client_under_a_fault(client: str, text: str, tmp_path: Path) -> None:
    seen, contracts = session(client, text, tmp_path)
    expected = FAULTS[text]
    outcomes = expected.python if client == "python" else expected.javascript
    assert seen["outcomes"] == outcomes
    assert contracts == expected.contracts


@pytest.mark.proof
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("text", ["duplicate_events", "reorder_events event=tick"])
def test_what_is_wrong_with_events_reaches_the_bot(client: str, text: str, tmp_path: Path) -> None:
    seen, _ = session(client, text, tmp_path)
    epochs = seen["epochs"]
    assert epochs != sorted(set(epochs))


def session(client: str, text: str, folder: Path) -> tuple[Any, int]:
    """What a bot with a published client has seen under a fault, and how many contracts it has."""
    if client == "python":
        if not (HOME / "made").exists():
            missing(".venv-deriv-client is missing: make test makes it")
        command = [str(PYTHON), str(HERE / "deriv_client_bad_day.py")]
    else:
        node_module("ws")
        program = "deriv_api_bad_day.mjs"
        (folder / program).write_text((HERE / program).read_text())
        (folder / "node_modules").symlink_to(NODE_MODULES)
        command = ["node", program]
    with bad_day(text) as (gateway, fault):
        token = gateway.token("read", "trade")
        done = run(
            gateway,
            [*command, gateway.endpoint],
            folder,
            speed=10,
            variables={"TOKEN": token},
        )
        assert done.returncode == 0, done.stderr
        assert fault.strikes > 0 or fault.kind == "stale_proposals"  # of which it asks for none
        return json.loads(done.stdout), len(gateway.contracts())
