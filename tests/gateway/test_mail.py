"""Letters through a mail server: a small one on loopback, which says what it was handed."""

import asyncio
import base64
import email
import email.policy
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme

from scopegate import testing
from scopegate.gateway.access.mail import MAX_WAITING, Letter, MailServer, SmtpMailer, mailer
from scopegate.settings import SettingsError, load
from scopegate.testing import PATIENCE

LETTER = Letter("ada@example.com", "Your code", "Here it is:\n\n    s3cretc0de\n")
PASSWORD = "pass phrase"


class Server:
    """A mail server for one test: greets, takes STARTTLS, a login and letters."""

    def __init__(self, tls: ssl.SSLContext | None, *, refuses: bool = False) -> None:
        self._tls = tls
        self._refuses = refuses
        self.port = 0
        self.letters: asyncio.Queue[tuple[EmailMessage, dict[str, Any]]] = asyncio.Queue()
        self.asked = asyncio.Event()
        """Set once a letter's text has come."""
        self.waits = asyncio.Event()
        """Not set: a letter's text is not answered."""
        self.waits.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        about: dict[str, Any] = {"encrypted": False, "login": None}
        try:
            await self._talk(reader, writer, about)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, about: dict[str, Any]
    ) -> None:
        def say(*lines: str) -> None:
            writer.write("".join(f"{line}\r\n" for line in lines).encode())

        say("220 here")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            word, _, rest = line.partition(" ")
            match word.upper():
                case "EHLO":
                    offers = ["AUTH PLAIN"] if about["encrypted"] or self._tls is None else []
                    offers += ["STARTTLS"] if self._tls and not about["encrypted"] else []
                    lines = ["here", *offers]
                    say(*[f"250-{text}" for text in lines[:-1]], f"250 {lines[-1]}")
                case "STARTTLS":
                    say("220 go on")
                    assert self._tls is not None
                    await writer.start_tls(self._tls)
                    about["encrypted"] = True
                case "AUTH":
                    _, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
                    about["login"] = (user, password)
                    say("235 welcome" if password == PASSWORD else f"535 no {password}")
                case "DATA":
                    say("354 end with a dot")
                    text = (await reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n")
                    self.asked.set()
                    await self.waits.wait()
                    if self._refuses:
                        say("554 not this: " + text.decode().replace("\r\n", " "))
                    else:
                        message = email.message_from_bytes(text, policy=email.policy.default)
                        self.letters.put_nowait((message, about))
                        say("250 taken")
                case "QUIT":
                    say("221 bye")
                    return
                case _:
                    say("250 ok")


@asynccontextmanager
async def mail_server(
    tls: ssl.SSLContext | None = None, *, refuses: bool = False
) -> AsyncIterator[Server]:
    made = Server(tls, refuses=refuses)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield made


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """TLS of a server whose authority this process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def received(server: Server) -> tuple[EmailMessage, dict[str, Any]]:
    async with asyncio.timeout(PATIENCE):
        return await server.letters.get()


async def test_the_code_of_verify_email_arrives(tls: ssl.SSLContext) -> None:
    async with (
        mail_server(tls) as server,
        testing.world(
            smtp_host="127.0.0.1",
            smtp_port=server.port,
            smtp_from="gateway@example.com",
            smtp_user="gateway",
            smtp_password=PASSWORD,
        ) as world,
    ):
        client = world.connect()
        asked = {"verify_email": "ada@example.com", "type": "account_opening"}
        assert (await client.ask(asked))["verify_email"] == 1
        letter, about = await received(server)
        assert about == {"encrypted": True, "login": ("gateway", PASSWORD)}
        assert letter["To"] == "ada@example.com"
        assert letter["From"] == "gateway@example.com"
        assert "code" in letter["Subject"]
        assert letter["Date"]
        assert letter["Message-ID"].endswith("@example.com>")
        assert "to open an account" in letter.get_content()
        assert world.mail.letters == []


def a_mailer(server: Server, **changes: Any) -> SmtpMailer:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "sender": "gateway@example.com",
    }
    return SmtpMailer(MailServer(**(values | changes)))


Wrong = Callable[[Server], dict[str, Any]]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda server: {"port": 1}, "ConnectionRefusedError"),
        (lambda server: {"user": "gateway", "password": "wr0ng"}, "answered 535"),
        (lambda server: {"security": "starttls"}, "SMTPNotSupportedError"),
        (lambda server: {}, "answered 554"),
    ],
)
async def test_a_letter_that_is_lost_is_logged_without_its_text(
    capsys: pytest.CaptureFixture[str], wrong: Wrong, why: str
) -> None:
    async with mail_server(refuses=True) as server:
        mail = a_mailer(server, **wrong(server))
        mail.send(LETTER)
        await mail.close()
    logged = capsys.readouterr().out
    assert "a letter was not sent" in logged
    assert why in logged
    assert "ada@example.com" in logged
    assert "s3cretc0de" not in logged
    assert "wr0ng" not in logged


async def test_a_certificate_that_nobody_vouches_for_gets_no_letter(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with mail_server(tls) as server:
        mail = a_mailer(server, security="starttls")
        mail.send(LETTER)
        await mail.close()
        assert server.letters.empty()
    assert "SSLCertVerificationError" in capsys.readouterr().out


async def test_what_waits_is_bounded_and_a_stop_waits_for_one_letter_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with mail_server() as server:
        server.waits.clear()
        mail = a_mailer(server)
        for _ in range(MAX_WAITING + 1):
            mail.send(LETTER)
        assert f"{MAX_WAITING} e-mails are already waiting" in capsys.readouterr().out
        async with asyncio.timeout(PATIENCE):
            await server.asked.wait()
        closing = asyncio.create_task(mail.close())
        server.waits.set()
        await closing
        assert server.letters.qsize() == 1
    assert "letters were not sent before the stop" in capsys.readouterr().out


async def test_without_a_server_the_log_carries_letters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with mailer(None) as mail:
        mail.send(LETTER)
    assert "s3cretc0de" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"smtp_host": "mail.example.com"}, "set both smtp_host and smtp_from"),
        ({"smtp_user": "a"}, "set both smtp_user and smtp_password"),
        ({"smtp_user": "a", "smtp_password": "b"}, "smtp_user needs smtp_host"),
        (
            {
                "smtp_host": "mail.example.com",
                "smtp_from": "a@b",
                "smtp_user": "a",
                "smtp_password": "b",
                "smtp_security": "none",
            },
            "never sent unencrypted",
        ),
        ({"smtp_host": "h", "smtp_from": "a@b\nBcc: c@d"}, "smtp_from"),
    ],
)
def test_settings_that_cannot_work_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(**options)


def test_the_password_is_never_shown() -> None:
    settings = load(smtp_host="h", smtp_from="a@b", smtp_user="gateway", smtp_password="pa55phrase")
    assert "pa55phrase" not in f"{settings!r} {settings} {settings.mail_server()!r}"
