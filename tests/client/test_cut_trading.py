"""Trading while connections are cut by chance, and while the gateway is killed.

`python -m tests.client.cuts` does the same at length.
"""

from pathlib import Path

from tests.client.cut_trading import trade_under_cuts
from tests.effort import chosen


async def test_nothing_is_lost_or_doubled_under_cuts_and_kills(tmp_path: Path) -> None:
    outcome = await trade_under_cuts(tmp_path, seed=1, cuts=chosen(40, 2_000), kills=chosen(1, 20))
    assert outcome.violations == []
    assert outcome.cuts >= 40
    assert outcome.kills >= 1
    assert outcome.bought > 10
