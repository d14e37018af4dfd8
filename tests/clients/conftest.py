"""The published Python client: an environment of its own, and a gateway for it to meet."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.served import PATIENCE, Served, environment

HERE = Path(__file__).parent
HOME = HERE.parents[1] / ".venv-deriv-client"
PYTHON = HOME / "bin" / "python"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    if not (HOME / "made").exists():
        missing = ".venv-deriv-client is missing: make test makes it"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    served = Served(tmp_path_factory.mktemp("client"), "--seed", "tests", "--speed", "20")
    yield served
    assert served.stop() == 0
    assert served.stderr == ""


Run = Callable[[str, Mapping[str, str]], Any]


@pytest.fixture(scope="module")
def run_client(gateway: Served) -> Run:
    """Runs a program of this folder with the published client; the JSON that it has printed."""

    def run(program: str, variables: Mapping[str, str]) -> Any:
        done = subprocess.run(
            [PYTHON, HERE / program, gateway.url.removesuffix("/websockets/v3")],
            check=False,
            capture_output=True,
            text=True,
            cwd=gateway.folder,  # so that nothing of ours can be imported
            env=environment(variables),
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        # Decimals: what a client read as money must add up to the cent.
        return json.loads(done.stdout, parse_float=Decimal)

    return run
