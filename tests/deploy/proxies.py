"""The proxies of `deploy/`, each as its Debian package has it, in a folder of a test.

Only what cannot be there in a test is replaced: ports, paths of certificates, users, and the
timeouts, which would be waited for.
"""

import contextlib
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import trustme

from tests import leftovers
from tests.postgresql import free_port
from tests.product_files import ROOT
from tests.served import PATIENCE

DEPLOY = ROOT / "deploy"
NAME = "trade.example.com"
"""The name in all files: clients of a test connect to this machine instead."""
GATEWAY = "127.0.0.1:5555"
"""The address of the gateway in all files."""
TIMEOUT = 60
"""Seconds of silence after which a proxy cuts a connection, as its file says."""
SHORT_TIMEOUT = 4
"""The same in a test."""


def replaced(text: str, changes: dict[str, str]) -> str:
    """This text with some parts replaced, each of which is there."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in the file"
        text = text.replace(old, new)
    return text


class Proxy(ABC):
    """A proxy in front of a gateway, until the block ends."""

    package: ClassVar[str]
    cuts_silent_connections: ClassVar[bool] = True

    def __init__(self, folder: Path, gateway: str) -> None:
        """`gateway` is its address and port."""
        self.folder = folder
        self.gateway = gateway
        self.port = free_port()
        self.trusting = ssl.create_default_context()

    @classmethod
    def program(cls) -> str | None:
        """The program, also where only administrators have it on their path."""
        return shutil.which(cls.package) or shutil.which(cls.package, path="/usr/sbin")

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Write the configuration, and return the command line without the program."""

    def trust(self) -> None:  # noqa: B027 - one of the three does more
        """Let clients trust the certificate, once the proxy listens."""

    @property
    def url(self) -> str:
        return f"wss://{NAME}:{self.port}/websockets/v3"

    def issue(self, chain: Path, key: Path) -> None:
        """Write a certificate for the name, which clients trust."""
        authority = trustme.CA()
        issued = authority.issue_cert(NAME)
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        authority.configure_trust(self.trusting)

    @contextlib.contextmanager
    def running(self) -> Iterator["Proxy"]:
        program = self.program()
        assert program is not None
        log = self.folder / "log.txt"
        with log.open("w") as output:
            process = subprocess.Popen(
                [program, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
            )
        leftovers.supervised.add(process.pid)
        try:
            ends = time.monotonic() + PATIENCE
            while not self._listens():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < ends, log.read_text()
                time.sleep(0.05)
            yield self
        finally:
            process.terminate()
            process.wait(PATIENCE)
            leftovers.supervised.discard(process.pid)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            self.trust()
            with contextlib.closing(self.page()):
                return True
        return False

    def page(self, address: str = "127.0.0.1") -> "PageConnection":
        """A connection for pages, from this address of the machine."""
        opened = socket.create_connection(
            ("127.0.0.1", self.port), PATIENCE, source_address=(address, 0)
        )
        try:
            return PageConnection(self.trusting.wrap_socket(opened, server_hostname=NAME))
        except BaseException:
            opened.close()
            raise


class PageConnection(http.client.HTTPConnection):
    """One TLS connection, which is not replaced by another one when it is closed."""

    auto_open = 0

    def __init__(self, opened: ssl.SSLSocket) -> None:
        super().__init__(NAME)
        self.sock: socket.socket | None = opened

    def get(self, path: str, **headers: str) -> tuple[int, str, bytes]:
        """The status, the content type and the body of a page."""
        self.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        response = self.getresponse()
        return response.status, response.headers.get_content_type(), response.read()


class Nginx(Proxy):
    package = "nginx"

    def command(self) -> Sequence[str | Path]:
        chain, key = self.folder / "chain.pem", self.folder / "key.pem"
        self.issue(chain, key)
        site = replaced(
            (DEPLOY / "nginx.conf").read_text(),
            {
                GATEWAY: self.gateway,
                "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
                f"/etc/ssl/{NAME}/fullchain.pem": str(chain),
                f"/etc/ssl/{NAME}/privkey.pem": str(key),
                f"{TIMEOUT}s": f"{SHORT_TIMEOUT}s",
            },
        )
        (self.folder / "scopegate.conf").write_text(site)
        temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        lines = [
            "daemon off;",
            "user root;" if os.geteuid() == 0 else "",  # the folder is for its owner alone
            f"pid {self.folder}/nginx.pid;",
            "events { }",
            "http {",
            "access_log off;",
            *(f"{name}_temp_path {self.folder}/{name};" for name in temporary),
            "include scopegate.conf;",
            "}",
        ]
        main = self.folder / "nginx.conf"
        main.write_text("\n".join(lines) + "\n")
        return ["-p", self.folder, "-c", main, "-e", "stderr"]


class Caddy(Proxy):
    """It issues the certificate itself, by a local authority in place of a public one."""

    package = "caddy"
    cuts_silent_connections = False

    def command(self) -> Sequence[str | Path]:
        site = replaced((DEPLOY / "Caddyfile").read_text(), {GATEWAY: self.gateway})
        options = f"""{{
	admin off
	auto_https disable_redirects
	default_bind 127.0.0.1
	https_port {self.port}
	local_certs
	skip_install_trust
	storage file_system {self.folder}
}}
"""
        (self.folder / "Caddyfile").write_text(options + site)
        return ["run", "--config", "Caddyfile"]

    def trust(self) -> None:
        self.trusting.load_verify_locations(self.folder / "pki/authorities/local/root.crt")


class HAProxy(Proxy):
    package = "haproxy"

    def command(self) -> Sequence[str | Path]:
        chain, key = self.folder / "chain.pem", self.folder / "key.pem"
        self.issue(chain, key)
        both = self.folder / "both.pem"
        both.write_bytes(chain.read_bytes() + key.read_bytes())
        configuration = replaced(
            (DEPLOY / "haproxy.cfg").read_text(),
            {
                GATEWAY: self.gateway,
                "    user haproxy\n    group haproxy\n": "",
                "bind :443 ": f"bind 127.0.0.1:{self.port} ",
                f"/etc/haproxy/{NAME}.pem": str(both),
                f"{TIMEOUT}s": f"{SHORT_TIMEOUT}s",
            },
        )
        (self.folder / "haproxy.cfg").write_text(configuration)
        return ["-db", "-f", "haproxy.cfg"]


PROXIES: tuple[type[Proxy], ...] = (Nginx, Caddy, HAProxy)
