"""What can be bought, and for how long: proposals of a connection, remembered and forgotten."""

from decimal import Decimal

import pytest

from exchange.contracts.terms import Wish
from exchange.feed import Feed
from exchange.rules import Margins
from gateway.bus import Bus
from gateway.clock import HandClock
from gateway.errors import ApiError
from gateway.limits import PROFILES
from gateway.session import Session
from gateway.testing import NOON
from handlers import proposals as module
from handlers.proposals import Proposals
from schemas.trading import Proposal

WISH = {
    "contract_type": "CALL",
    "symbol": "R_100",
    "currency": "USD",
    "amount": 10,
    "basis": "stake",
    "duration": 5,
    "duration_unit": "t",
}


class Now:
    """Monotonic time, moved by hand."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def proposals(now: Now) -> Proposals:
    return Proposals(Feed("p"), HandClock(NOON), Bus(), PROFILES["open"], Margins(), monotonic=now)


async def asked(proposals: Proposals, session: Session) -> str:
    reply = await proposals.proposal(Proposal(proposal=1, **WISH), session)
    assert isinstance(reply, dict)
    return reply["proposal"]["id"]


def is_known(proposals: Proposals, session: Session, proposal_id: str) -> bool:
    try:
        quoted = proposals.find(session, proposal_id)
    except ApiError as error:
        return error.code != "InvalidContractProposal"
    return quoted.wish == Wish(**{**WISH, "amount": Decimal(10)})


async def test_a_proposal_is_good_for_a_minute(proposals: Proposals, now: Now) -> None:
    session = Session([].append)
    first = await asked(proposals, session)
    now.seconds = 60.0
    assert is_known(proposals, session, first)
    now.seconds = 60.1
    assert not is_known(proposals, session, first)
    await asked(proposals, session)
    assert len(proposals._told[session]) == 1


async def test_so_many_are_remembered_and_none_of_who_has_left(
    proposals: Proposals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    session, other = Session([].append), Session([].append)
    ids = [await asked(proposals, session) for _ in range(5)]
    assert [is_known(proposals, session, one) for one in ids] == [False, False, True, True, True]
    assert not is_known(proposals, other, ids[-1])
    session.close()
    assert not is_known(proposals, session, ids[-1])
    assert proposals._told == {}
