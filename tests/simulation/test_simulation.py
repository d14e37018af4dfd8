"""Simulations hold, are the same for the same seed, and find each fault that is planted."""

import re
import subprocess
import sys
from typing import Any

import orjson
import pytest

from tests.effort import cases, chosen
from tests.simulation.__main__ import MODULE, many

if sys.platform != "linux":
    pytest.skip("worker processes need Linux", allow_module_level=True)
from tests.simulation.mutants import MUTANTS

pytestmark = [pytest.mark.sqlite, pytest.mark.timeout(600)]

HOURS = [0.1, pytest.param(chosen(1, 20), marks=pytest.mark.lengthy)]
"""Simulated hours without a fault in the gateway."""
SEEDS = chosen(1, 3)
"""First seeds from which each planted fault is found."""
REPEATED = chosen(2, 100)
"""How often a failure is repeated from its seed."""
SAME_SECONDS = chosen(60, 300)
"""Simulated seconds in which two processes do the same."""
IN_SUITE = ("reply_before_commit", "unguarded_debit", "reply_sent_twice")
"""Planted faults of the store, the books and the wire that are found within seconds."""
MUTANT_HOURS = 12.0
"""Within so many simulated hours, some minutes, a planted fault is found."""


def outcome(*options: str) -> dict[str, Any]:
    """The outcome of one simulation."""
    done = subprocess.run(
        [sys.executable, "-m", MODULE, *options],
        check=False,
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
    )
    found: dict[str, Any] = orjson.loads(done.stdout)
    assert done.returncode == bool(found["problem"])
    return found


@pytest.mark.parametrize("hours", HOURS)
def test_hours_of_trading_and_faults_hold(hours: float, capfd: pytest.CaptureFixture[str]) -> None:
    assert many("suite", hours, "") == 0, capfd.readouterr().out


@pytest.mark.lengthy
@pytest.mark.parametrize("workers", cases([1, 3], [3]))
def test_a_seed_gives_the_same_frames_in_every_process(workers: int) -> None:
    options = ("--seed", "same", "--seconds", str(SAME_SECONDS), "--workers", str(workers))
    first, second = outcome(*options), outcome(*options)
    assert first["digest"] == second["digest"]
    assert first["seen"] == second["seen"]
    assert first["problem"] == second["problem"] == ""
    assert outcome(*options[2:], "--seed", "another")["digest"] != first["digest"]


@pytest.mark.lengthy
def test_a_failure_is_repeated_by_its_seed() -> None:
    options = ("--seed", "again", "--mutant", "commit_lost", "--workers", "3")
    found = {
        (each["problem"], each["seconds"], each["digest"])
        for each in (outcome(*options) for _ in range(REPEATED))
    }
    [(problem, _, _)] = found
    assert problem


@pytest.mark.parametrize("number", range(SEEDS))
@pytest.mark.parametrize("mutant", cases(MUTANTS, IN_SUITE))
def test_it_finds(mutant: str, number: int, capfd: pytest.CaptureFixture[str]) -> None:
    assert many(f"find{number}", MUTANT_HOURS, mutant) == 1
    printed = capfd.readouterr().out
    assert re.search(MUTANTS[mutant].found_as, printed), printed
    assert f"--mutant {mutant}" in printed


@pytest.mark.lengthy
def test_the_command_says_how_to_see_a_failure_again(capfd: pytest.CaptureFixture[str]) -> None:
    assert many("say", 1.0, "prices_differ") == 1
    said = capfd.readouterr().out
    assert "one tick has two prices" in said
    again = said.partition("The same again: python -m ")[2].split()
    found = outcome(*again[1:])
    assert found["problem"] in said
