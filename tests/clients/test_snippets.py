"""The programs of docs/clients.md run as they stand there, against a gateway of their own.

A program is a block whose first line is a comment with its file's name. All that is changed of it
is where the gateway is.
"""

import asyncio
import os
import re
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import trustme
from websockets.asyncio.client import connect

from tests.browser.tools import NODE_MODULES, missing, node_module
from tests.clients.conftest import HOME, PYTHON
from tests.served import Served, environment, fetch, printed, serving

PAGE = (Path(__file__).parents[2] / "docs" / "clients.md").read_text()
PROGRAMS = {
    name: block
    for block, name in re.findall(r"^```\w+\n((?:#|//) (\w+\.\w+)\n.*?)^```$", PAGE, re.M | re.S)
}
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("snippets")) as served:
        yield served


@pytest.fixture(scope="module")
def over_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("snippets-tls"), "--tls-self-signed") as served:
        yield served


def node(name: str) -> list[str]:
    """The command that runs this program with what npm installed."""
    node_module("ws")
    return ["node", name]


def written(name: str, folder: Path, gateway: Served | None = None) -> None:
    """Write a program of the page into this folder."""
    program = PROGRAMS[name]
    if gateway is not None:
        program = program.replace("127.0.0.1:5555", urlsplit(gateway.url).netloc)
    (folder / name).write_text(program)
    if name.endswith(".mjs"):
        (folder / "node_modules").symlink_to(NODE_MODULES)


def run(command: Sequence[str | Path], folder: Path, variables: Mapping[str, str]) -> list[str]:
    """The lines that a program prints."""
    return printed(command, folder, variables).splitlines()


def test_every_program_of_the_page_is_run_here() -> None:
    blocks = re.findall(r"^```(?:python|js|sh)$", PAGE, re.M)
    assert len(blocks) == len(PROGRAMS)
    tests = Path(__file__).read_text()
    assert [name for name in PROGRAMS if f'"{name}"' not in tests] == []


@pytest.mark.parametrize("name", ["ticks.py", "ticks.mjs"])
def test_a_plain_socket(world: Served, tmp_path: Path, name: str) -> None:
    command = [sys.executable, name] if name.endswith(".py") else node(name)
    written(name, tmp_path, world)
    lines = run(command, tmp_path, {"TOKEN": world.token})
    assert [line.split()[0] for line in lines if line[0].isalpha()] == [
        "authorize",
        "balance",
        "tick",
    ]
    assert "error" not in " ".join(lines)
    assert world.loginids[0] in " ".join(lines)


@pytest.mark.parametrize(("name", "account"), [("first_bot.py", 1), ("first_bot.mjs", 2)])
def test_the_client(world: Served, tmp_path: Path, name: str, account: int) -> None:
    command = [sys.executable, name] if name.endswith(".py") else node(name)
    written(name, tmp_path, world)
    if name.endswith(".mjs"):
        _, _, client = fetch(f"{world.page}scopegate-client.js")
        (tmp_path / "scopegate-client.js").write_bytes(client)
    token = world.command(
        *("token", "create", "--loginid", world.loginids[account]),
        *("--scopes", "read,trade", "--name", "Bot"),
    )
    longcode, *entries, balance = run(command, tmp_path, {"TOKEN": token})
    assert "if Volatility 100 (1s) Index is strictly higher than the entry spot" in longcode
    (bought, spent), (sold, paid) = (entry.split() for entry in entries)
    assert (bought, float(spent), sold) == ("buy", -10, "sell")
    assert float(balance) == pytest.approx(10_000 - 10 + float(paid))


def test_the_published_python_client(world: Served, tmp_path: Path) -> None:
    if not (HOME / "made").exists():
        missing(".venv-deriv-client is missing: make test makes it")
    written("deriv_client.py", tmp_path, world)
    [line] = run([PYTHON, "deriv_client.py"], tmp_path, {"TOKEN": world.token})
    assert line == f"{{'balance': 10000.0, 'currency': 'USD', 'loginid': '{world.loginids[0]}'}}"


def test_the_published_javascript_client(world: Served, tmp_path: Path) -> None:
    command = node("deriv_api.mjs")
    written("deriv_api.mjs", tmp_path, world)
    balance, price = run(command, tmp_path, {"TOKEN": world.token})
    assert balance == f"{world.loginids[0]} 10,000.00 USD"
    assert re.fullmatch(r"\d+\.\d\d", price)


def test_the_published_javascript_client_on_a_socket_of_ours(world: Served, tmp_path: Path) -> None:
    command = node("deriv_api_connection.mjs")
    written("deriv_api_connection.mjs", tmp_path, world)
    assert run(command, tmp_path, {}) == ["pong"]


@pytest.mark.parametrize("name", ["over_tls.py", "over_tls.mjs"])
def test_tls(over_tls: Served, tmp_path: Path, name: str) -> None:
    command = [sys.executable, name] if name.endswith(".py") else node(name)
    written(name, tmp_path, over_tls)
    authority = over_tls.folder / "scopegate.ca.pem"
    (tmp_path / authority.name).write_bytes(authority.read_bytes())
    [line] = run(command, tmp_path, {})
    assert '"ping":"pong"' in line


@pytest.mark.parametrize(
    ("name", "variable"), [("ticks.py", "SSL_CERT_FILE"), ("ticks.mjs", "NODE_EXTRA_CA_CERTS")]
)
def test_a_program_trusts_the_authority_of_its_environment(
    over_tls: Served, tmp_path: Path, name: str, variable: str
) -> None:
    command = [sys.executable, name] if name.endswith(".py") else node(name)
    written(name, tmp_path, over_tls)
    program = tmp_path / name
    program.write_text(program.read_text().replace("ws://", "wss://"))
    authority = str(over_tls.folder / "scopegate.ca.pem")
    lines = run(command, tmp_path, {"TOKEN": over_tls.token, variable: authority})
    assert "tick" in {line.split()[0] for line in lines}


async def test_a_name_that_an_app_has_in_its_code(tmp_path: Path) -> None:
    """Socket and consent page at one name, which the hosts file leads here."""
    authority = trustme.CA()
    issued = authority.issue_cert("api.example.com")
    (tmp_path / "chain.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    (tmp_path / "key.pem").write_bytes(issued.private_key_pem.bytes())
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    files = ("--tls-cert", "chain.pem", "--tls-key", "key.pem")
    with serving(tmp_path, *files, "--allowed-host", "api.example.com", "--demo") as served:
        port = urlsplit(served.url).port
        name = f"api.example.com:{port}"
        async with connect(
            f"wss://{name}/websockets/v3?app_id=1089", ssl=trusting, host="127.0.0.1", port=port
        ) as socket:
            await socket.send('{"ping": 1}')
            assert '"ping":"pong"' in str(await socket.recv())
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trusting, server_hostname="api.example.com"
        )
        head = f"GET /oauth2/authorize HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        answer = (await reader.read()).decode()
        assert "<title>Allow an app" in answer
        writer.close()
        await writer.wait_closed()


@pytest.mark.lengthy
def test_a_gateway_in_ci(tmp_path: Path) -> None:
    for name in ("ci.sh", "ticks.py"):
        written(name, tmp_path)
    path = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    lines = run(["sh", "ci.sh"], tmp_path, path)
    assert [line.split()[0] for line in lines] == ["authorize", "balance", "tick"]


async def test_the_code_flow(world: Served, tmp_path: Path, unused_tcp_port: int) -> None:
    back = f"http://127.0.0.1:{unused_tcp_port}/back"
    written("code_flow.py", tmp_path, world)
    program = tmp_path / "code_flow.py"
    program.write_text(program.read_text().replace("http://127.0.0.1:8400/back", back))
    page = world.page.rstrip("/")
    async with world.connected(origin=page) as owner:
        signed_in = (await owner.ask({"sign_in_demo": 1}))["sign_in_demo"]
        tokens = [account["token"] for account in signed_in["accounts"]]
        await owner.ask({"authorize": "MULTI", "tokens": tokens})
        described = {"name": "My app", "scopes": ["read", "trade"], "redirect_uri": back}
        made = (await owner.ask({"app_register": 1, **described}))["app_register"]
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, program),
            cwd=tmp_path,
            env=environment({"APP_ID": str(made["app_id"])}),
            stdout=asyncio.subprocess.PIPE,
        )
        assert running.stdout is not None
        link = (await running.stdout.readline()).decode().removeprefix("Open ").strip()
        assert link.startswith(f"{page}/oauth2/authorize?")
        with await asyncio.to_thread(urlopen, link) as asked:
            assert asked.status == 200
        consent = {
            "consent": 1,
            "query": urlsplit(link).query,
            "returns_to": back.removesuffix("/back"),
            "loginids": world.loginids[:2],
            "scopes": ["read"],
        }
        sent = (await owner.ask(consent))["consent"]["redirect_to"]
        with await asyncio.to_thread(urlopen, sent) as shown:
            assert shown.read() == b"You can close this page."
        rest = (await running.stdout.read()).decode()
        assert await running.wait() == 0
        assert rest == f"read ['{world.loginids[1]}', '{world.loginids[0]}']\n"
