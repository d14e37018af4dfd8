"""The published Python client: an environment of its own, and a gateway for it to meet."""

import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.browser.tools import missing
from tests.served import Served, printed, serving

HERE = Path(__file__).parent
HOME = HERE.parents[1] / ".venv-deriv-client"
PYTHON = HOME / "bin" / "python"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    if not (HOME / "made").exists():
        missing(".venv-deriv-client is missing: make test makes it")
    with serving(tmp_path_factory.mktemp("client"), "--speed", "20") as served:
        yield served


Run = Callable[[str, Mapping[str, str]], Any]


@pytest.fixture(scope="module")
def run_client(gateway: Served) -> Run:
    """Runs a program of this folder with the published client; the JSON that it has printed."""

    def run(program: str, variables: Mapping[str, str]) -> Any:
        command = [PYTHON, HERE / program, gateway.url.removesuffix("/websockets/v3")]
        # In that folder nothing of ours can be imported.
        told = printed(command, gateway.folder, variables)
        # Decimals: what a client read as money must add up to the cent.
        return json.loads(told, parse_float=Decimal)

    return run
