"""The example of a cluster: one command starts it, a gateway may end, and Ctrl+C ends it all."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from websockets.asyncio.client import connect

from scopegate.commands.serve import serve
from tests import leftovers
from tests.process import cluster
from tests.process.client_steps import CALL
from tests.process.cluster import HAPROXY_CONFIGURATION, haproxy, until_ready
from tests.served import PATIENCE, SocketClient, environment, fetch, our_calls

EXAMPLE = HAPROXY_CONFIGURATION.parent
CONTAINERFILE = Path(__file__).parents[2] / "deploy" / "Containerfile"
BUY = {"buy": 1, "price": 10, "parameters": {**CALL, "amount": 1, "duration": 1}}
BUY["parameters"]["duration_unit"] = "d"  # type: ignore[index]

runs_here = pytest.mark.skipif(bool(cluster.missing()), reason=cluster.missing())


class Example:
    """The example program, and what it has printed, until the block ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, EXAMPLE / "cluster.py", "--folder", self.folder, "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
            start_new_session=True,
        )
        leftovers.supervised.add(self.process.pid)
        try:
            self.read_to("token")
        except BaseException:
            self.stop()
            raise
        self.said = dict(line.split(maxsplit=1) for line in self.lines if line[:7] != "gateway")
        found = re.findall(r"(\S+)  process (\d+)", "\n".join(self.lines))
        self.gateways = [(int(process), f"http://{address}/") for address, process in found]
        assert len(self.gateways) == 3
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()

    def read_to(self, start: str) -> str:
        """The next line that begins so; those before it are kept too."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline().rstrip("\n"):
            self.lines.append(line)
            if line.startswith(start):
                return line
        raise AssertionError("the example has ended")

    def programs(self) -> list[str]:
        """The command lines of all programs that work in its folder, or were given it."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if process.joinpath("cwd").readlink().is_relative_to(self.folder) or (
                    str(self.folder) in command
                ):
                    found.append(command)
        return found

    def stop(self) -> int:
        """Press Ctrl+C, which every process of the terminal gets; its exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(PATIENCE)
        leftovers.supervised.discard(self.process.pid)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    @contextlib.asynccontextmanager
    async def signed_in(self) -> Any:
        async with connect(f"{self.said['address']}?app_id=1089", compression=None) as socket:
            client = SocketClient(our_calls(), socket)
            await client.authorize(self.said["token"])
            yield client
            await client.aclose()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the user of the database server can reach, even if that is another one."""
    made = Path(tempfile.mkdtemp(prefix="cluster-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.mark.lengthy
@runs_here
async def test_a_cluster_outlives_its_gateways_and_its_own_end(folder: Path) -> None:
    with Example(folder) as example:
        status, _, body = fetch(example.said["page"])
        assert status == 200
        assert b"Scopegate" in body
        bought = set()
        for process, page in example.gateways:
            os.kill(process, signal.SIGKILL)
            async with example.signed_in() as client:
                bought.add((await client.ask(BUY))["buy"]["contract_id"])
            assert "exited with code -9; restarted as" in example.read_to("gateway")
            await asyncio.to_thread(until_ready, page)
        assert len(example.programs()) >= 5
        assert example.stop() == 0
        assert example.programs() == []
    with Example(folder) as again:
        async with again.signed_in() as client:
            held = (await client.ask({"portfolio": 1}))["portfolio"]["contracts"]
            assert {contract["contract_id"] for contract in held} == bought
        assert again.stop() == 0
    the_password_is_in_its_file_alone(folder)


def the_password_is_in_its_file_alone(folder: Path) -> None:
    passwords = folder / "database" / "passwords"
    assert passwords.stat().st_mode & 0o777 == 0o600
    password = passwords.read_bytes().strip().rsplit(b":", 1)[1]
    assert len(password) > 20
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if password in path.read_bytes()] == [passwords]


def variables_of_configuration() -> set[str]:
    return set(re.findall(r'"\$\{(\w+)\}"', HAPROXY_CONFIGURATION.read_text()))


@pytest.mark.skipif(haproxy() is None, reason="HAProxy is not installed: apt-get install haproxy")
def test_the_configuration_of_the_balancer_is_valid() -> None:
    variables = dict.fromkeys(variables_of_configuration(), "127.0.0.1:5555") | {
        "ADDRESS": "*:5555"
    }
    program = haproxy()
    assert program is not None
    done = subprocess.run(
        [program, "-c", "-f", HAPROXY_CONFIGURATION],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | variables,
    )
    assert done.returncode == 0, done.stderr


def test_the_compose_file_starts_what_is_there() -> None:
    """It is only read: no containers run here."""
    compose = yaml.safe_load((EXAMPLE / "compose.yaml").read_text())
    services = compose["services"]
    gateways = [name for name in services if name.startswith("gateway")]
    assert len(gateways) == 3
    given = services["balancer"]["environment"]
    assert set(given) == variables_of_configuration()
    addresses = {
        f"{services[name]['networks']['default']['ipv4_address']}:5555" for name in gateways
    }
    assert {given[f"GATEWAY_{number}"] for number in (1, 2, 3)} == addresses
    [network] = compose["networks"]["default"]["ipam"]["config"]
    balancer = services["balancer"]["networks"]["default"]["ipv4_address"]
    for name in gateways:
        program, *options = services[name]["command"]
        assert program == serve.name
        settings = serve.make_context(program, options).params
        assert settings["store"] == "postgresql://scopegate@database/scopegate"
        assert set(settings["trusted_proxy"]) == {f"{balancer}/32"}
        assert "localhost" in settings["allowed_host"]  # whom the balancer's checks ask for
        assert ip_address(balancer) in ip_network(network["subnet"])
        build = services[name]["build"]
        root = EXAMPLE / build["context"]
        assert (root / build["dockerfile"]).resolve() == CONTAINERFILE
        assert build["args"] == {"REQUIREMENTS": "postgresql"}
    [mounted] = services["balancer"]["volumes"]
    assert (EXAMPLE / mounted.split(":")[0]).resolve() == HAPROXY_CONFIGURATION
