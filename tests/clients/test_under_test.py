"""A bot written with the published client is tested with the fixture `scopegate`, unchanged.

It is a program of its own, in `.venv-deriv-client`: the test starts it and moves the clock.
"""

import json
from pathlib import Path

import pytest

from scopegate.testkit import LiveGateway
from tests.browser.tools import missing
from tests.clients.conftest import HERE, HOME, PYTHON
from tests.served import printed


@pytest.mark.scopegate(seed="tested", balance="500.00")
def test_its_five_minutes_pass_in_milliseconds(scopegate: LiveGateway, tmp_path: Path) -> None:
    if not (HOME / "made").exists():
        missing(".venv-deriv-client is missing: make test makes it")
    playing = scopegate.run(
        printed,
        [PYTHON, HERE / "deriv_client_five_minutes.py", scopegate.endpoint],
        tmp_path,
        {"TOKEN": scopegate.token("read", "trade")},
    )
    bought = scopegate.wait_for("buy")["buy"]
    scopegate.wait_for("proposal_open_contract")  # it follows the contract now
    scopegate.clock.advance(300)
    [contract] = scopegate.contracts()
    assert contract["sell_time"] == bought["start_time"] + 300
    assert json.loads(playing.result(timeout=10)) == contract
    assert scopegate.balance() == 490 + contract["sell_price"]
