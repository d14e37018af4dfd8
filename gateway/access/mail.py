"""Letters by e-mail, and who carries them.

Rules:
- Sending never waits and never fails for who asked: a letter that cannot be sent is logged by its
  reader and its subject, without its text, which may hold a code.
- Without a mail server the log is the mailbox, letters and all: for developing, where whoever reads
  the log is the reader of every letter. It is the one place where a code is ever written out.
"""

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Literal, Protocol

import structlog

MAX_WAITING = 1_000
"""Letters that wait for the mail server; a further one is dropped, and that is logged."""
PATIENCE = 10.0
"""Seconds that the mail server has for each step of taking a letter."""

log = structlog.get_logger("scopegate.mail")

Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class Letter:
    """What is told to one reader."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """Carries letters."""

    def send(self, letter: Letter) -> None:
        """Hand the letter over. It may be lost, which the sender is not told."""


class LogMailer:
    """The development mailbox: letters stand in the log."""

    def send(self, letter: Letter) -> None:
        """Write the letter into the log."""
        log.info("mail", to=letter.to, subject=letter.subject, text=letter.text)


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where letters are handed in, and as whose."""

    host: str
    port: int
    security: Security
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)


class SmtpMailer:
    """Hands letters to a mail server (RFC 5321), one after the other, in a thread of its own."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mail")
        self._waiting = 0

    def send(self, letter: Letter) -> None:
        """Queue the letter for the mail server."""
        if self._waiting >= MAX_WAITING:
            _lost(letter, f"{MAX_WAITING} letters are waiting already")
            return
        self._waiting += 1
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._carry, letter)
        done.add_done_callback(self._settled)

    def _settled(self, _: asyncio.Future[None]) -> None:
        self._waiting -= 1

    def _carry(self, letter: Letter) -> None:
        try:
            self._hand_in(letter)
        except smtplib.SMTPResponseException as refusal:
            # The server's own words are left out: some repeat what they were sent.
            _lost(letter, f"the mail server answered {refusal.smtp_code}")
        except Exception as problem:  # noqa: BLE001 - no caller gets the exceptions of this thread
            _lost(letter, type(problem).__name__)

    def _hand_in(self, letter: Letter) -> None:
        server = self._server
        message = EmailMessage()
        message["From"], message["To"] = server.sender, letter.to
        message["Subject"], message["Date"] = letter.subject, formatdate()
        message["Message-ID"] = make_msgid(domain=server.sender.rpartition("@")[2])
        message.set_content(letter.text)
        with self._connected() as connection:
            if server.user:
                connection.login(server.user, server.password)
            # The header is for reading: what it makes of an odd address is not who is written to.
            connection.send_message(message, to_addrs=[letter.to])

    def _connected(self) -> smtplib.SMTP:
        host, port = self._server.host, self._server.port
        if self._server.security == "tls":
            return smtplib.SMTP_SSL(
                host, port, timeout=PATIENCE, context=ssl.create_default_context()
            )
        connection = smtplib.SMTP(host, port, timeout=PATIENCE)
        if self._server.security == "starttls":
            try:
                connection.starttls(context=ssl.create_default_context())
            except BaseException:
                connection.close()
                raise
        return connection

    async def close(self) -> None:
        """Finish the letter that is being handed in; those that still wait are lost."""
        if self._waiting > 1:
            log.warning("letters were not sent before the stop", count=self._waiting - 1)
        self._thread.shutdown(wait=False, cancel_futures=True)  # now, or more would be begun
        await asyncio.to_thread(self._thread.shutdown, wait=True)


def _lost(letter: Letter, why: str) -> None:
    log.error("a letter was not sent", to=letter.to, subject=letter.subject, why=why)


@asynccontextmanager
async def mailer(server: MailServer | None) -> AsyncIterator[Mailer]:
    """Who carries letters until the block ends: the mail server, or the log without one."""
    if server is None:
        yield LogMailer()
        return
    carrying = SmtpMailer(server)
    try:
        yield carrying
    finally:
        await carrying.close()
