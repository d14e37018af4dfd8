"""The TLS of a gateway: the certificate of the settings, and a new one while it serves."""

import ssl
from pathlib import Path

import structlog

from scopegate import local_ca
from scopegate.settings import Settings, SettingsError

log = structlog.get_logger("scopegate.tls")


class Tls:
    """The TLS context of new connections, and the certificate files that it is made from."""

    def __init__(self, context: ssl.SSLContext, files: tuple[Path, Path] | None = None) -> None:
        """`files` are the certificate chain and the key, where these can be loaded again."""
        self._context = context
        self._files = files

    def context(self) -> ssl.SSLContext:
        """Return the context for a connection that begins now."""
        return self._context

    def reload(self) -> bool:
        """Load the certificate files again, for new connections; return whether that was done.

        If there are no files, or they cannot be used, a line in the log says so, and nothing
        changes.
        """
        if self._files is None:
            log_nothing_to_reload()
            return False
        try:
            # A new context: in the old one, a key that does not fit would replace half of a pair.
            self._context = context_from(*self._files)
        except SettingsError as problem:
            log.error("the certificate is not reloaded: the old one stays", why=str(problem))
            return False
        return True


def log_nothing_to_reload() -> None:
    """Log that a signal to reload has found no certificate files."""
    log.warning("there is nothing to reload", why="tls_cert and tls_key are not set")


def tls_of(settings: Settings) -> Tls | None:
    """Return the TLS of a gateway, or `None` for plain connections. Raises `SettingsError`."""
    if settings.tls_self_signed:
        names = (settings.host, *settings.allowed_host, "localhost", "127.0.0.1", "::1")
        return Tls(local_ca.context(settings.db, dict.fromkeys(names)))
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    files = (settings.tls_cert, settings.tls_key)
    return Tls(context_from(*files), files)


def context_from(chain: Path, key: Path) -> ssl.SSLContext:
    """Return a TLS context with the certificate chain and the key of two PEM files.

    Raises `SettingsError` if they cannot be used.
    """

    def password() -> str:  # otherwise OpenSSL would wait for one at the terminal
        raise SettingsError(f"tls_key: {key} is encrypted: store the key without a password")

    context = local_ca.server_context()
    try:
        for file in (chain, key):
            file.open().close()  # unlike OpenSSL's, this error names the file
        context.load_cert_chain(chain, key, password)
    except ssl.SSLError as problem:
        why = "one of them is not a whole PEM file of its kind"
        if problem.reason == "KEY_VALUES_MISMATCH":
            why = "the key is not the one of the certificate"
        raise SettingsError(f"tls_cert, tls_key: cannot use {chain} with {key}: {why}") from problem
    except OSError as problem:
        raise SettingsError(f"tls_cert, tls_key: {problem}") from problem
    return context
