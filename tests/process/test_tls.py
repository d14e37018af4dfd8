"""TLS: the WebSocket and the pages on one port, and nothing in the clear."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from cryptography import x509
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage

from tests.served import Served, fetch, serving, unverified


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


async def test_nothing_is_served_in_the_clear(self_signed: Served) -> None:
    with pytest.raises((InvalidMessage, ConnectionError)):
        async with connect(self_signed.url.replace("wss://", "ws://"), ssl=None):
            pass
    # It goes on serving those who speak TLS.
    async with self_signed.connected(ssl=unverified()) as client:
        assert (await client.ask({"ping": 1}))["ping"] == "pong"


async def test_a_certificate_from_files_is_one_that_clients_verify(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    with serving(tmp_path, "--tls-cert", chain.name, "--tls-key", key.name) as served:
        async with served.connected(ssl=trusting) as client:
            assert (await client.ask({"ping": 1}))["ping"] == "pong"
        status, _, _ = await asyncio.to_thread(fetch, served.page, trusting)
        assert status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            async with served.connected(ssl=ssl.create_default_context()):
                pass
