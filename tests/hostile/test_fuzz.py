"""Tens of thousands of hostile messages are answered; `python -m tests.hostile.fuzz` sends more."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.effort import cases, chosen
from tests.hostile import mutants
from tests.hostile.fuzz import FoundError, fuzz
from tests.hostile.messages import Attacker
from tests.served import Served

pytestmark = pytest.mark.timeout(1_200)

MESSAGES = chosen(50_000, 1_000_000)
SEED = ("--seed", "fuzz")


@pytest.mark.lengthy
async def test_hostile_messages_are_answered_and_change_nothing_else(tmp_path: Path) -> None:
    with Served(tmp_path, *SEED) as served:
        codes = await fuzz(served, MESSAGES, "suite")
    # Each of them is there often: the messages get past every check, and are stopped by each.
    often = {
        *("answered", "AuthorizationRequired", "BadRequest", "InputValidationFailed"),
        *("PermissionDenied", "SanityCheckFailed", "UnrecognisedRequest"),
    }
    assert often <= {code for code, count in codes.items() if count > MESSAGES / 100}, codes


@pytest.mark.parametrize("mutant", cases(mutants.MUTANTS, ["answers_no_json", "shows_secrets"]))
async def test_they_find_a_gateway_that(mutant: str, tmp_path: Path) -> None:
    with Served(tmp_path, *SEED) as served:
        served.stop()
        served.program = (sys.executable, str(Path(mutants.__file__)), mutant)
        served.start()
        with pytest.raises(FoundError):
            await fuzz(served, 50_000, "find")


def test_the_same_seed_gives_the_same_messages() -> None:
    def messages(seed: str) -> list[bytes]:
        attacker = Attacker(seed, ["secret"])
        return [attacker.message() for _ in range(1_000)]

    assert messages("a") == messages("a")
    assert Counter(messages("a")) != Counter(messages("b"))
