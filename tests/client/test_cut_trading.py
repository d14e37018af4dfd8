"""Trading while connections are cut by chance, and while the gateway is killed.

`python -m tests.client.cuts` does the same at length.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from scopegate.client import calls, client
from scopegate.client.streams import Subscription
from tests.client import cut_trading
from tests.client.cut_trading import trade_under_cuts
from tests.effort import chosen


async def test_nothing_is_lost_or_doubled_under_cuts_and_kills(tmp_path: Path) -> None:
    outcome = await trade_under_cuts(tmp_path, seed=1, cuts=chosen(40, 2_000), kills=chosen(1, 20))
    assert outcome.violations == []
    assert outcome.cuts >= 40
    assert outcome.kills >= 1
    assert outcome.bought > 10


class _Forgetful(Subscription):
    """Subscribes to the ledger anew after a lost connection, instead of resuming."""

    def message(self) -> dict[str, Any]:
        if self.name != "transaction":
            return super().message()
        return {"req_id": self.req_id, **self.request}


FAULTS: dict[str, tuple[str, Any, str]] = {
    "no resume": ("Subscription", _Forgetful, "entries differ, missing"),
    "no keys": ("KEYED", frozenset[str](), "purchases have"),
}
"""Faulty clients: what is replaced in the module, by what, and what finds it."""


@pytest.mark.proof
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_faulty_client_is_found(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, replacement, found = FAULTS[fault]
    monkeypatch.setattr(client, name, replacement)
    monkeypatch.setattr(client, "READS", calls.READS | {"buy"})  # repeated all the same
    monkeypatch.setattr(cut_trading, "PATIENCE", 15.0)
    outcome = await trade_under_cuts(tmp_path, seed=2, cuts=100, kills=0)
    assert re.search(found, " ".join(outcome.violations))
