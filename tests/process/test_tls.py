"""TLS: the WebSocket and the pages on one port, and nothing in the clear."""

import asyncio
import http.client
import ssl
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from cryptography import x509
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage

from tests.served import PATIENCE, Served, fetch, scopegate, serving, unverified


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("tls"), "--tls-self-signed") as served:
        yield served


async def test_a_certificate_of_its_own_serves_both_on_one_port(self_signed: Served) -> None:
    socket, page = urlsplit(self_signed.url), urlsplit(self_signed.page)
    assert (socket.scheme, page.scheme) == ("wss", "https")
    assert socket.netloc == page.netloc
    status, kind, _ = await asyncio.to_thread(fetch, self_signed.page, unverified())
    assert (status, kind) == (200, "text/html")
    async with self_signed.connected(ssl=unverified()) as client:
        await client.authorize(self_signed.token)
        cashier = await client.ask({"cashier": "deposit"})
        assert cashier["cashier"] == f"{self_signed.page}account"
        # More than one TLS record holds, and many small ones.
        history = await client.ask({"ticks_history": "R_10", "end": "latest", "count": 5000})
        assert len(history["history"]["prices"]) == 5000
        pongs = await asyncio.gather(*(client.ask({"ping": 1}) for _ in range(200)))
        assert {pong["ping"] for pong in pongs} == {"pong"}


async def test_a_certificate_of_its_own_names_this_machine(self_signed: Served) -> None:
    address = urlsplit(self_signed.page)
    pem = await asyncio.to_thread(
        ssl.get_server_certificate, (str(address.hostname), address.port or 0)
    )
    names = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert "localhost" in names.value.get_values_for_type(x509.DNSName)
    addresses = {str(found) for found in names.value.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "::1"}


def test_its_authority_is_kept_beside_the_database_for_clients_to_trust(tmp_path: Path) -> None:
    authority, key = tmp_path / "scopegate.ca.pem", tmp_path / "scopegate.ca-key.pem"
    seen = []
    for _ in range(2):
        with serving(tmp_path, "--tls-self-signed") as served:
            [line] = [line for line in served.lines if line.startswith("authority")]
            assert line.split()[1] == str(authority)
            trusting = ssl.create_default_context(cafile=authority)
            trusting.verify_flags |= ssl.VERIFY_X509_STRICT
            assert fetch(served.page, trusting)[0] == 200
            with pytest.raises(ssl.SSLCertVerificationError):
                fetch(served.page, ssl.create_default_context())
            seen.append((authority.read_bytes(), key.read_bytes()))
    assert seen[0] == seen[1]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path, "--tls-self-signed"):
        key = tmp_path / "scopegate.ca-key.pem"
    for mode in (0o640, 0o604, 0o620):
        key.chmod(mode)
        refused = scopegate("serve", "--port", "0", "--tls-self-signed", folder=tmp_path)
        assert refused.returncode == 1
        assert f"chmod 600 {key.name}" in refused.stderr
        assert stat.S_IMODE(key.stat().st_mode) == mode
    key.chmod(0o600)
    with serving(tmp_path, "--tls-self-signed"):
        pass


def test_half_an_authority_is_not_made_whole(tmp_path: Path) -> None:
    (tmp_path / "scopegate.ca.pem").write_text("none")
    refused = scopegate("serve", "--port", "0", "--tls-self-signed", folder=tmp_path)
    assert refused.returncode == 1
    assert "scopegate.ca-key.pem is missing beside scopegate.ca.pem" in refused.stderr
    key = tmp_path / "scopegate.ca-key.pem"
    key.write_text("none")
    key.chmod(0o600)
    refused = scopegate("serve", "--port", "0", "--tls-self-signed", folder=tmp_path)
    assert refused.returncode == 1
    assert "tls_self_signed: cannot use scopegate.ca.pem" in refused.stderr
    assert "Traceback" not in refused.stderr


async def test_nothing_is_served_in_the_clear(self_signed: Served) -> None:
    with pytest.raises((InvalidMessage, ConnectionError)):
        async with connect(self_signed.url.replace("wss://", "ws://"), ssl=None):
            pass
    # It goes on serving those who speak TLS.
    async with self_signed.connected(ssl=unverified()) as client:
        assert (await client.ask({"ping": 1}))["ping"] == "pong"


def issued(folder: Path, *names: str) -> tuple[tuple[str, ...], ssl.SSLContext]:
    """Options with which a certificate for these names is served, and what trusts it."""
    authority = trustme.CA()
    issued = authority.issue_cert(*names)
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return ("--tls-cert", chain.name, "--tls-key", key.name), trusting


NAMES = ("--allowed-host", "trade.example.com", "--allowed-host", "gate.lan")


def keeps_to_tls(served: Served, host: str, path: str) -> str | None:
    """What a response says to a browser that came by this name of keeping to TLS."""
    page = urlsplit(served.page)
    connection = http.client.HTTPSConnection(
        "127.0.0.1", page.port, timeout=PATIENCE, context=unverified()
    )
    with closing(connection):
        connection.request("GET", path, headers={"Host": f"{host}:{page.port}"})
        response = connection.getresponse()
        response.read()
        return response.headers.get("Strict-Transport-Security")


@pytest.mark.parametrize("path", ["/", "/assets/style.css", "/nothing", "/asyncapi.json"])
def test_browsers_keep_to_tls_by_a_public_name(served_by_files: Served, path: str) -> None:
    assert keeps_to_tls(served_by_files, "trade.example.com", path) == "max-age=31536000"
    for host in ("127.0.0.1", "localhost", "gate.lan"):
        assert keeps_to_tls(served_by_files, host, path) is None


@pytest.fixture(scope="module")
def served_by_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("files")
    options, _ = issued(folder, "trade.example.com")
    with serving(folder, *options, *NAMES, "--demo") as served:
        yield served


def test_a_certificate_for_one_run_binds_no_browser(tmp_path: Path) -> None:
    with serving(tmp_path, "--tls-self-signed", *NAMES, "--demo") as served:
        assert keeps_to_tls(served, "trade.example.com", "/") is None


async def test_a_certificate_from_files_is_one_that_clients_verify(tmp_path: Path) -> None:
    options, trusting = issued(tmp_path, "127.0.0.1")
    with serving(tmp_path, *options) as served:
        async with served.connected(ssl=trusting) as client:
            assert (await client.ask({"ping": 1}))["ping"] == "pong"
        status, _, _ = await asyncio.to_thread(fetch, served.page, trusting)
        assert status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            async with served.connected(ssl=ssl.create_default_context()):
                pass
