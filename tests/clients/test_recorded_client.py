"""A session of the published Python client is recorded, and replayed without a gateway."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scopegate.recordings.replay import replaying
from scopegate.testkit import LiveGateway
from tests.browser.tools import missing
from tests.clients.conftest import HERE, HOME, PYTHON
from tests.process.test_recording import recorded
from tests.served import Served, printed


def run(endpoint: str, token: str, folder: Path) -> Any:
    """What the client saw at the end of its contract."""
    program = [PYTHON, HERE / "deriv_client_five_minutes.py", endpoint]
    return json.loads(printed(program, folder, {"TOKEN": token}))


@pytest.mark.scopegate(seed="tested", balance="500.00")
def test_its_session_is_replayed_to_it(scopegate: LiveGateway, tmp_path: Path) -> None:
    if not (HOME / "made").exists():
        missing(".venv-deriv-client is missing: make test makes it")
    path, token = tmp_path / "session.jsonl", scopegate.token("read", "trade")
    with recorded(scopegate.endpoint, path) as url:
        playing = scopegate.run(run, url.partition("/websockets")[0], token, tmp_path)
        scopegate.wait_for("buy")
        scopegate.wait_for("proposal_open_contract")  # it follows the contract now
        scopegate.clock.advance(300)
        contract = playing.result(timeout=10)
    assert token not in path.read_text()
    assert contract["is_sold"]

    with replaying(path) as replay:
        assert run(replay.endpoint, "any", tmp_path) == contract


@pytest.mark.lengthy
def test_a_long_session_with_streams_is_replayed_to_it(gateway: Served, tmp_path: Path) -> None:
    """The client's own first example: prices, purchases, a sale, lists, several streams at once."""
    path = tmp_path / "session.jsonl"
    with recorded(gateway.url.removesuffix("/websockets/v3"), path) as url:
        seen = session(url.partition("/websockets")[0], gateway.token, tmp_path)
    with replaying(path) as replay:
        again = session(replay.endpoint, "any", tmp_path)
    assert again == seen
    assert again["complaints"] == []


def session(endpoint: str, token: str, folder: Path) -> Any:
    """What the client saw, without ids and without what the client chooses."""
    told = printed([PYTHON, HERE / "deriv_client_bot.py", endpoint], folder, {"TOKEN": token})
    seen = json.loads(re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", told))
    del seen["authorize"]["echo_req"]
    return seen
