"""The tests of `examples/tested_bot` see the same market, to the byte, in every run."""

import hashlib
import itertools
import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.served import PATIENCE, environment

BOT = Path(__file__).parents[2] / "examples" / "tested_bot"
TESTS = "tests/test_fader.py"

# Given to pytest as a plugin: what the bots were sent in each test goes to a file.
SCRIBE = """
import json
import os

import pytest


@pytest.fixture(autouse=True)
def written_down(request, scopegate):
    yield
    with open(os.environ["TRANSCRIPT"], "a") as file:
        for message in scopegate.messages:
            print(request.node.name, json.dumps(message), file=file)
"""

STREAM_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

FACTS = {
    "tick": ("epoch", "quote"),
    "buy": ("buy_price", "payout", "purchase_time", "contract_id", "balance_after"),
    "proposal_open_contract": ("current_spot", "bid_price", "profit", "status", "sell_time"),
}
DIGEST = "fdb7890f300a8f2ad563b0d82f22be30060ba9e5322d3070d148ab7bac8b1e61"
"""Of the facts: what other machines have seen of this market."""


def transcript(folder: Path, **variables: str) -> str:
    """Run the tests in a copy of the project; what was sent, with stream ids by number."""
    shutil.copytree(BOT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "scribe.py").write_text(SCRIBE)
    written = folder / "transcript.txt"
    # All but the one in which the clock runs by itself.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "scribe", "-k", "not by_itself", TESTS],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment({"TRANSCRIPT": str(written), **variables}),
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout
    numbers: defaultdict[str, int] = defaultdict(itertools.count(1).__next__)
    return STREAM_ID.sub(lambda found: f"id-{numbers[found[0]]}", written.read_text())


def facts(text: str) -> list[Any]:
    """What the market and the books were in a transcript, without the words around it."""
    found = []
    for line in text.splitlines():
        test, _, told = line.partition(" ")
        message = json.loads(told)
        body = message.get(message["msg_type"], {})
        found.append([test, *map(body.get, FACTS.get(message["msg_type"], ()))])
    return found


@pytest.mark.lengthy
def test_every_run_is_the_same_to_the_byte(tmp_path: Path) -> None:
    """Whatever the folder, the hashes and the time zone; on another machine the facts are."""
    once = transcript(tmp_path / "once", PYTHONHASHSEED="1", TZ="UTC")
    again = transcript(tmp_path / "elsewhere" / "again", PYTHONHASHSEED="2", TZ="Asia/Tokyo")
    assert once == again
    seen = facts(once)
    assert len(seen) > 1_000
    assert hashlib.sha256(json.dumps(seen).encode()).hexdigest() == DIGEST
