"""E-mails (`Letter`), and how they are sent.

Rules:
- Sending never waits and never fails for the caller: an e-mail that cannot be sent is logged with
  its recipient and its subject, without its text, which may hold a code.
- Without a mail server, e-mails are written to the log with their text: for development, where the
  reader of the log may read every e-mail. A code is written out nowhere else.
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
"""E-mails that may wait for the mail server; a further one is dropped, which is logged."""
PATIENCE = 10.0
"""Timeout of each step of the mail server in accepting an e-mail, in seconds."""

log = structlog.get_logger("scopegate.mail")

Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class Letter:
    """One e-mail to one recipient."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """Sends e-mails."""

    def send(self, letter: Letter) -> None:
        """Send the e-mail, now or later. It may be lost without an error."""


class LogMailer:
    """A mailbox for development: writes e-mails to the log."""

    def send(self, letter: Letter) -> None:
        """Write the e-mail to the log."""
        log.warning("mail", to=letter.to, subject=letter.subject, text=letter.text)


@dataclass(frozen=True, slots=True)
class MailServer:
    """The mail server that sends e-mails, and their sender."""

    host: str
    port: int
    security: Security
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)


class SmtpMailer:
    """Sends e-mails through a mail server (RFC 5321), one at a time, in a separate thread."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mail")
        self._waiting = 0

    def send(self, letter: Letter) -> None:
        """Queue the e-mail for the mail server."""
        if self._waiting >= MAX_WAITING:
            _lost(letter, f"{MAX_WAITING} e-mails are already waiting")
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
            # The server's text is left out: some servers repeat what they were sent.
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
            # Named explicitly: the header may change an unusual address.
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
        """Finish the e-mail that is being sent; those that still wait are lost."""
        if self._waiting > 1:
            log.warning("letters were not sent before the stop", count=self._waiting - 1)
        self._thread.shutdown(wait=False, cancel_futures=True)  # now, or it would send the next
        await asyncio.to_thread(self._thread.shutdown, wait=True)


def _lost(letter: Letter, why: str) -> None:
    log.error("a letter was not sent", to=letter.to, subject=letter.subject, why=why)


@asynccontextmanager
async def mailer(server: MailServer | None) -> AsyncIterator[Mailer]:
    """A mailer until the block ends: through the mail server, or to the log if there is none."""
    if server is None:
        yield LogMailer()
        return
    carrying = SmtpMailer(server)
    try:
        yield carrying
    finally:
        await carrying.close()
