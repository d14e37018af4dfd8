"""The certificate authority of `--tls-self-signed`, stored next to the database.

Rules:
- It is created once. Clients that trust its certificate trust every later start of the gateway.
- Only the owner of the key file can read it, or the start stops: with the key, anyone can pose as
  any server to those clients.
- Each start issues a new server certificate, valid for a year; its key is not stored.
"""

import os
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from scopegate.settings import SettingsError

if TYPE_CHECKING:
    from trustme import CA

VALID_FOR = timedelta(days=365)


def certificate_file(db: Path) -> Path:
    """Return the file of the authority's certificate, for clients to trust."""
    return db.with_suffix(".ca.pem")


def key_file(db: Path) -> Path:
    """Return the file of the authority's key."""
    return db.with_suffix(".ca-key.pem")


def server_context() -> ssl.SSLContext:
    """Return a TLS context of a server without a certificate, for TLS 1.2 and newer."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2  # Debian's Python leaves it to the system
    return made


def context(db: Path, names: Iterable[str]) -> ssl.SSLContext:
    """Return a TLS context with a certificate for these names. Raises `SettingsError`.

    `names` are host names and IP addresses.
    """
    authority = _authority(certificate_file(db), key_file(db))
    now = datetime.now(UTC)
    issued = authority.issue_cert(
        *names, not_before=now - timedelta(days=1), not_after=now + VALID_FOR
    )
    made = server_context()
    issued.configure_cert(made)
    return made


def _authority(certificate: Path, key: Path) -> "CA":
    import trustme  # takes 70 ms and 8 MB, and nothing else needs it

    try:
        if certificate.exists() != key.exists():
            missing, other = (key, certificate) if certificate.exists() else (certificate, key)
            raise SettingsError(
                f"tls_self_signed: {missing} is missing beside {other}. Put it back, or delete"
                " the other as well: a new authority is then created, which clients must trust."
            )
        if certificate.exists():
            if os.name == "posix" and key.stat().st_mode & 0o077:  # a copy, say
                raise SettingsError(
                    f"tls_self_signed: other users of this machine can read or write {key}. Run:"
                    f" chmod 600 {key}"
                )
            return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
        made = trustme.CA(
            path_length=0,
            organization_name="Scopegate",
            organization_unit_name=f"Local authority of {certificate.resolve().parent.name}",
        )
        _write(key, made.private_key_pem.bytes(), 0o600)
        _write(certificate, made.cert_pem.bytes(), 0o644)
    except (OSError, ValueError) as problem:
        raise SettingsError(
            f"tls_self_signed: cannot use {certificate} and {key}: {problem}"
        ) from problem
    return made


def _write(file: Path, content: bytes, mode: int) -> None:
    """Write a new file; the mode is set first, so that other users can never read a key."""
    number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(number, "wb") as opened:
        opened.write(content)
