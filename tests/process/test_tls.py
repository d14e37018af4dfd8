"""TLS: the WebSocket and the pages on one port, and nothing in the clear."""

import asyncio
import http.client
import os
import signal
import ssl
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage

from tests.effort import cases
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


class Files:
    """The files of a certificate that a gateway serves, each time from an authority of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.options, self.trusting = issued(folder, "127.0.0.1")
        self.chain, self.key = folder / "chain.pem", folder / "key.pem"

    def renew(self) -> None:
        _, self.trusting = issued(self.folder, "127.0.0.1")


RELOADED = "new connections get the reloaded certificate"
OLD_STAYS = "the certificate is not reloaded: the old one stays"
NOTHING = "there is nothing to reload"


async def reload(served: Served, until: str, times: int = 1) -> None:
    """Send SIGHUP, and wait until the log has this event so often."""
    served.process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(PATIENCE), served.connected(ssl=secure(served)) as client:
        while served.stderr.count(until) < times:
            assert (await client.ask({"ping": 1}))["ping"] == "pong"


def secure(served: Served) -> ssl.SSLContext | None:
    return unverified() if served.url.startswith("wss:") else None


async def all_new_connections_get(served: Served, trusting: ssl.SSLContext) -> None:
    """Connect often enough to reach each of two workers."""
    for _ in range(24):
        async with served.connected(ssl=trusting) as client:
            assert (await client.ask({"ping": 1}))["ping"] == "pong"


SEVERAL = pytest.param(
    2, marks=pytest.mark.skipif(sys.platform != "linux", reason="worker processes need Linux")
)


@pytest.mark.sqlite
@pytest.mark.parametrize("workers", cases([1, SEVERAL], [SEVERAL]))
async def test_a_renewed_certificate_is_used_after_sighup(tmp_path: Path, workers: int) -> None:
    files = Files(tmp_path)
    options = (*files.options, "--workers", str(workers), "--seed", "tests")
    with Served(tmp_path, *options) as served:
        async with AsyncExitStack() as stack:
            old = files.trusting
            opened = [await stack.enter_async_context(served.connected(ssl=old)) for _ in range(8)]
            files.renew()
            await all_new_connections_get(served, old)  # until it is told
            await reload(served, RELOADED, times=workers)
            await all_new_connections_get(served, files.trusting)
            with pytest.raises(ssl.SSLCertVerificationError):
                await all_new_connections_get(served, old)
            for client in opened:
                assert (await client.ask({"ping": 1}))["ping"] == "pong"
        assert served.stop() == 0
    assert len(served.stderr.splitlines()) == workers


def key_of_another(files: Files) -> str:
    files.key.write_bytes(trustme.CA().issue_cert("127.0.0.1").private_key_pem.bytes())
    return "the key is not the one of the certificate"


def half_a_chain(files: Files) -> str:
    files.chain.write_bytes(files.chain.read_bytes()[:200])
    return "one of them is not a whole PEM file of its kind"


def no_key(files: Files) -> str:
    files.key.unlink()
    return "No such file or directory: 'key.pem'"


def encrypt(file: Path) -> None:
    """Store a key with a password."""
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    file.write_bytes(encrypted)


def encrypted_key(files: Files) -> str:
    encrypt(files.key)
    return "tls_key: key.pem is encrypted: store the key without a password"


BREAKS = [key_of_another, half_a_chain, no_key, encrypted_key]


@pytest.mark.lengthy
@pytest.mark.sqlite
@pytest.mark.parametrize("workers", cases([1, SEVERAL], [SEVERAL]))
async def test_a_broken_certificate_is_logged_and_the_old_one_stays(
    tmp_path: Path, workers: int
) -> None:
    files = Files(tmp_path)
    options = (*files.options, "--workers", str(workers), "--seed", "tests")
    with Served(tmp_path, *options) as served:
        for number, broken in enumerate(BREAKS, 1):
            old = files.trusting
            files.renew()
            why = broken(files)
            await reload(served, OLD_STAYS, times=number)
            await all_new_connections_get(served, old)
            lines = served.stderr.splitlines()
            assert len(lines) == number  # of all processes together
            assert why in lines[-1]
            files.trusting = old
        files.renew()
        await reload(served, RELOADED, times=workers)
        await all_new_connections_get(served, files.trusting)
        assert served.stop() == 0


@pytest.mark.parametrize("broken", BREAKS)
def test_a_start_with_a_broken_certificate_says_why(
    tmp_path: Path, broken: Callable[[Files], str]
) -> None:
    files = Files(tmp_path)
    why = broken(files)
    refused = scopegate("serve", "--port", "0", *files.options, folder=tmp_path)
    assert refused.returncode == 1
    assert why in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.lengthy
@pytest.mark.sqlite
@pytest.mark.skipif(sys.platform != "linux", reason="worker processes need Linux")
async def test_the_replacement_of_a_worker_has_the_certificate_of_the_others(
    tmp_path: Path,
) -> None:
    """Also if the files are broken by then."""
    files = Files(tmp_path)
    with Served(tmp_path, *files.options, "--workers", "2", "--seed", "tests") as served:
        files.renew()
        await reload(served, RELOADED, times=2)
        no_key(files)
        await reload(served, OLD_STAYS)
        before = served.workers()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while len(set(served.workers()) - set(before)) < 2:
                await asyncio.to_thread(os.sched_yield)
        await all_new_connections_get(served, files.trusting)
        assert served.stop() == 0


@pytest.mark.sqlite
@pytest.mark.parametrize("options", [(), ("--tls-self-signed",), ("--workers", "2")])
async def test_sighup_ends_no_gateway_that_has_no_certificate_files(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    with Served(tmp_path, "--seed", "tests", *options) as served:
        await reload(served, NOTHING)
        await reload(served, NOTHING, times=2)
        assert served.stop() == 0
    assert len(served.stderr.splitlines()) == 2
