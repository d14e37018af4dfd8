"""A stub of the HTTP service on loopback."""

from collections.abc import Iterator

import pytest
from weather.stub import Stub, serving


@pytest.fixture
def upstream() -> Iterator[Stub]:
    with serving(Stub()) as stub:
        yield stub
