"""What pytest gets from Scopegate: the fixture `scopegate` and the mark of the same name.

Rules: loaded into every run of pytest where the product is installed, so it imports nothing of the
gateway before a test asks for one.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gateway.testkit import LiveGateway

_MARK = (
    "scopegate(seed=..., start=..., balance=..., currency=..., handlers=..., **settings): how the"
    " gateway of the fixture `scopegate` begins"
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, also where pytest is strict about marks."""
    config.addinivalue_line("markers", _MARK)


@pytest.fixture
def scopegate(request: pytest.FixtureRequest) -> Iterator["LiveGateway"]:
    """A gateway of the test's own on a free port, whose clock the test moves.

    `@pytest.mark.scopegate(balance="500.00")` says how it begins; of several marks (on the test,
    its class, its module) each adds what the nearer ones do not say.
    """
    from gateway.calls import DeclarationError
    from gateway.settings import SettingsError
    from gateway.testkit import live_gateway

    options: dict[str, Any] = {}
    for mark in request.node.iter_markers("scopegate"):
        if mark.args:
            pytest.fail(f"give the mark names: {_MARK}", pytrace=False)
        options = {**mark.kwargs, **options}
    try:
        with live_gateway(**options) as gateway:
            yield gateway
    except (SettingsError, DeclarationError) as wrong:
        pytest.fail(f"the gateway cannot start: {wrong}", pytrace=False)
