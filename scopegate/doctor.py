"""What is unsafe about the settings of a gateway on its machine.

Rules:
- `findings` is a pure function of the settings and of `Facts`, which `scopegate.machine` observes.
- A danger lets somebody read, forge or lose what they should not. A hint is a limit or a nuisance.
- A fact that could not be observed is `None`, and nothing is concluded from it.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from scopegate.gateway.calls.hosts import is_loopback
from scopegate.settings import Settings
from scopegate.store.location import Server

MIN_FREE_BYTES = 1 << 30
MIN_OPEN_FILES = 4096
MIN_CERTIFICATE_DAYS = 30
MIN_PROXY_PREFIX = {4: 8, 6: 7}
"""The shortest prefix of a proxy's network, by IP version: 10.0.0.0/8 and fc00::/7 are private."""

VOLATILE = frozenset({"tmpfs", "ramfs"})
"""File systems in memory."""
REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "afs", "fuse.sshfs"})
"""File systems of another machine, whose locks and shared memory SQLite cannot rely on."""
OF_CONTAINER = frozenset({"overlay", "aufs"})

OTHERS = 0o007
GROUP_OR_OTHERS = 0o077
_WRITE = 0o022
_OTHERS_WRITE = 0o002
_STICKY = 0o1000


class Finding(NamedTuple):
    """What is unsafe, why, and what to do about it."""

    level: Literal["danger", "hint"]
    about: str
    """The setting, or a part of the machine."""
    what: str
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Who may use a file or folder."""

    path: str
    mode: int
    is_own: bool
    """Whether its owner is the user who runs this."""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """The TLS certificate of the settings."""

    days_left: float
    """Until it expires; negative afterwards."""
    names: Sequence[str]
    """The host names and addresses that it is for, such as `*.example.com`."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The connection to a PostgreSQL server."""

    host: str
    """Its name or address, or the folder of its socket."""
    is_encrypted: bool
    unsafe_parameters: Sequence[str] = ()
    """Those of `fsync` and `full_page_writes` that are off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was observed of the machine."""

    folder: FileFacts | None = None
    """The folder of an SQLite file."""
    files: Sequence[FileFacts] = ()
    """The files of the database that exist."""
    keys: Sequence[FileFacts] = ()
    """The files with the keys of certificates."""
    file_system: str | None = None
    """The type of the folder's file system."""
    has_attributes: bool | None = None
    """Whether that has extended attributes."""
    free_bytes: int | None = None
    certificate: CertificateFacts | None = None
    unusable: Sequence[tuple[str, str]] = ()
    """Settings with which the gateway does not start, each with the reason."""
    server: ServerFacts | None = None
    open_files: int | None = None
    """How many files the process may open."""
    processors: int | None = None
    clock_is_synchronised: bool | None = None
    outdated: Sequence[str] = ()
    """Installed packages that are older than this release needs."""
    missing: Sequence[str] = ()
    """Optional parts of packages that make the gateway faster and cannot be imported."""


def findings(settings: Settings, facts: Facts) -> list[Finding]:
    """Return everything that is unsafe, dangers first."""
    found = [
        *_network(settings),
        *_certificate(settings, facts),
        *_access(settings),
        *_mail(settings),
        *_files(facts),
        *_server(settings, facts),
        *_machine(settings, facts),
    ]
    return sorted(found, key=lambda finding: finding.level != "danger")


def _is_exposed(settings: Settings) -> bool:
    """Whether others can connect, directly or through a proxy."""
    return not settings.on_loopback or bool(settings.trusted_proxy or settings.allowed_host)


def _has_tls(settings: Settings) -> bool:
    return settings.tls_cert is not None or settings.tls_self_signed


def _network(settings: Settings) -> Iterator[Finding]:
    proxied = bool(settings.trusted_proxy)
    if not settings.on_loopback and not _has_tls(settings):
        if proxied:
            yield Finding(
                "hint",
                "host",
                f"{settings.host} accepts connections that are not encrypted",
                "clients that reach the port without the proxy send tokens in clear text",
                "allow only the proxy to reach the port (a firewall), or listen on 127.0.0.1",
            )
        else:
            yield Finding(
                "danger",
                "host",
                f"{settings.host} accepts connections that are not encrypted",
                "anyone on the way can read passwords and tokens, and use them",
                "set tls_cert and tls_key; or listen on 127.0.0.1 behind a proxy with TLS, and set"
                " trusted_proxy",
            )
    if settings.tls_self_signed and _is_exposed(settings):
        yield Finding(
            "hint",
            "tls_self_signed",
            "the certificate is from an authority that only this gateway has",
            "browsers warn of it, and users get used to ignoring such warnings",
            "set tls_cert and tls_key to a certificate of a public authority",
        )
    if settings.on_loopback and settings.allowed_host and not proxied:
        yield Finding(
            "hint",
            "trusted_proxy",
            "there are allowed hosts on loopback, but no trusted proxy",
            "all clients of a proxy count as one address, and share one rate limit",
            "set trusted_proxy to the network of the proxy",
        )
    if (not settings.on_loopback or proxied) and not settings.allowed_host:
        yield Finding(
            "hint",
            "allowed_host",
            "no host name is allowed",
            "clients that use a name for this gateway are refused (421)",
            "set allowed_host to the name that clients use",
        )
    for text in settings.trusted_proxy:
        network = ipaddress.ip_network(text)
        if network.prefixlen < MIN_PROXY_PREFIX[network.version]:
            yield Finding(
                "danger",
                "trusted_proxy",
                f"{text} is far larger than the network of a proxy",
                "any client in it can claim any address in X-Forwarded-For, and so escapes the"
                " limits of addresses and tokens that are valid for one address",
                "set trusted_proxy to the addresses of the proxy alone",
            )


def _certificate(settings: Settings, facts: Facts) -> Iterator[Finding]:
    for key in facts.keys:
        if key.mode & GROUP_OR_OTHERS:
            yield Finding(
                "danger" if key.mode & OTHERS else "hint",
                "tls_key" if settings.tls_key is not None else "tls_self_signed",
                f"other users of the machine can use the key {key.path}",
                "with the key they can pose as this gateway",
                f"chmod 600 {key.path}",
            )
    if facts.certificate is None:
        return
    days = facts.certificate.days_left
    if days < MIN_CERTIFICATE_DAYS:
        yield Finding(
            "danger" if days < 0 else "hint",
            "tls_cert",
            "the certificate has expired"
            if days < 0
            else f"the certificate expires in {days:.0f} days",
            "clients refuse to connect once it has expired",
            "renew the certificate, and send the gateway SIGHUP (`systemctl reload scopegate`)",
        )
    for host in settings.allowed_host:
        if not any(_covers(name.lower(), host) for name in facts.certificate.names):
            yield Finding(
                "danger",
                "tls_cert",
                f"the certificate is not for {host}, which is an allowed host",
                "clients that use this name refuse to connect, or stop checking certificates",
                f"get a certificate for {host}",
            )


def _covers(name: str, host: str) -> bool:
    """Whether a certificate for `name`, perhaps with a wildcard, is one for this host."""
    return name == host or (name.startswith("*.") and name[2:] == host.partition(".")[2])


def _access(settings: Settings) -> Iterator[Finding]:
    if not _is_exposed(settings):
        return
    if settings.limits_in_force == "open":
        yield Finding(
            "danger",
            "limits",
            "the limits are open (a million calls a minute), and others can connect",
            "one client can keep the gateway from serving the others",
            "set limits to deriv",
        )
    if settings.demo:
        yield Finding(
            "danger",
            "demo",
            "there is a demo user, and others can connect",
            "anyone who opens a page is the demo user, without a password"
            if settings.demo_at_pages
            else "each start prints a token with all of its scopes, for all who see the output",
            "leave demo out, and create users with `scopegate user create`",
        )
    if settings.any_app_id:
        yield Finding(
            "hint",
            "any_app_id",
            "every app_id is accepted, and others can connect",
            "apps that were never registered, or were deleted, connect as the test app 1089",
            "leave any_app_id out, and register apps with `scopegate app create`",
        )
    if settings.metrics_token is None:
        yield Finding(
            "hint",
            "metrics_token",
            "there is no token for the metrics, and others can connect",
            "nobody can read /metrics (403), so no monitor can raise an alarm",
            "set metrics_token to the output of `openssl rand -hex 24`, and give it to the monitor",
        )
    if settings.seed is not None:
        yield Finding(
            "hint",
            "seed",
            "the seed of the market is in the settings",
            "anyone who knows the seed can compute all future prices",
            "leave seed out when you start with a new database: it is then random",
        )


def _mail(settings: Settings) -> Iterator[Finding]:
    server = settings.mail_server()
    if server is None:
        if not _is_exposed(settings):
            return
        if settings.log_letters:
            yield Finding(
                "danger",
                "log_letters",
                "e-mails are written to the log, and others can connect",
                "anyone who reads the log can use the codes, for example to set a password",
                "leave log_letters out, and set smtp_host and smtp_from",
            )
        else:
            yield Finding(
                "hint",
                "smtp_host",
                "there is no mail server",
                "calls that send a code by e-mail do not work: users can neither sign up nor set a"
                " forgotten password",
                "set smtp_host and smtp_from",
            )
    elif server.security == "none" and not is_loopback(server.host):
        yield Finding(
            "danger",
            "smtp_security",
            f"e-mails go to {server.host} without encryption",
            "anyone on the way can read and use the codes in them",
            "set smtp_security to starttls or tls",
        )


def _files(facts: Facts) -> Iterator[Finding]:
    for file in facts.files:
        if file.mode & GROUP_OR_OTHERS:
            yield Finding(
                "danger" if file.mode & OTHERS else "hint",
                "db",
                f"other users of the machine can read or change {file.path}",
                "it has e-mail addresses and hashes of passwords and tokens",
                f"chmod 600 {file.path}",
            )
        if not file.is_own:
            yield Finding(
                "hint",
                "db",
                f"{file.path} belongs to another user than the one who runs this",
                "the gateway may not be able to use it, or files that this user creates",
                "run the gateway and its commands as the owner of the files",
            )
    folder = facts.folder
    if folder is not None and folder.mode & _WRITE:
        by_all = folder.mode & _OTHERS_WRITE and not folder.mode & _STICKY
        yield Finding(
            "danger" if by_all else "hint",
            "db",
            f"other users of the machine can create files in {folder.path}",
            "they can put files in the place of the database or its log",
            f"move the database to a folder of its own, or chmod 700 {folder.path}",
        )
    if facts.file_system in VOLATILE:
        yield Finding(
            "danger",
            "db",
            f"the database is on a file system in memory ({facts.file_system})",
            "everything is lost when the machine restarts",
            "move the database to a disk",
        )
    elif facts.file_system in REMOTE:
        yield Finding(
            "danger",
            "db",
            f"the database is on a network file system ({facts.file_system})",
            "SQLite's locks do not work reliably there, and the database may be damaged",
            "move the database to a disk of this machine, or use PostgreSQL",
        )
    elif facts.file_system in OF_CONTAINER:
        yield Finding(
            "hint",
            "db",
            f"the database is on the file system of a container ({facts.file_system})",
            "it is deleted with the container",
            "mount a volume, and put the database there",
        )
    if facts.has_attributes is False:
        yield Finding(
            "hint",
            "db",
            "the file system has no extended attributes",
            "a missing log of the database is not noticed, and the latest changes are then lost",
            "move the database to another file system, such as ext4 or XFS",
        )
    if facts.free_bytes is not None and facts.free_bytes < MIN_FREE_BYTES:
        yield Finding(
            "hint",
            "db",
            f"only {facts.free_bytes >> 20} MiB are free where the database is",
            "calls that store something are refused when the disk is full",
            "free some space, or move the database",
        )


def _server(settings: Settings, facts: Facts) -> Iterator[Finding]:
    is_server = isinstance(settings.location, Server)
    for parameter in facts.server.unsafe_parameters if facts.server is not None else ():
        yield Finding(
            "danger",
            "store",
            f"the database server runs with {parameter} = off",
            "acknowledged trades may be lost when its machine fails",
            f"set {parameter} to on in the server's configuration",
        )
    if settings.store_unsafe and is_server:
        yield Finding(
            "danger",
            "store_unsafe",
            "a database server is accepted that may lose acknowledged trades",
            "nobody notices if fsync or full_page_writes is turned off",
            "leave store_unsafe out",
        )
    server = facts.server
    if server is not None and not server.is_encrypted and not _is_local(server.host):
        yield Finding(
            "danger",
            "store",
            f"the connection to the database server {server.host} is not encrypted",
            "anyone on the way can read and change what the gateway stores",
            "add ?sslmode=verify-full to the address, and turn on ssl in the server",
        )


def _is_local(host: str) -> bool:
    return host.startswith(("/", "@")) or is_loopback(host)


def _machine(settings: Settings, facts: Facts) -> Iterator[Finding]:
    for setting, reason in facts.unusable:
        yield Finding(
            "danger",
            setting,
            reason,
            "the gateway does not start with it",
            "correct it, and run this again",
        )
    if facts.open_files is not None and facts.open_files < MIN_OPEN_FILES:
        yield Finding(
            "hint",
            "open files",
            f"the gateway may open {facts.open_files} files",
            "each client is one, and further clients are refused",
            f"raise the limit to {MIN_OPEN_FILES} or more (ulimit -Hn, LimitNOFILE of systemd)",
        )
    if facts.processors is not None and settings.workers > max(1, facts.processors):
        yield Finding(
            "hint",
            "workers",
            f"there are {settings.workers} workers for {facts.processors} processors",
            "they take memory, and make nothing faster",
            f"set workers to {facts.processors} or fewer",
        )
    if facts.clock_is_synchronised is False:
        yield Finding(
            "hint",
            "clock",
            "the clock of this machine is not synchronised",
            "the market runs by it, and codes and tokens expire by it",
            "turn on NTP, for example with `timedatectl set-ntp true`",
        )
    for package in facts.outdated:
        yield Finding(
            "hint",
            "packages",
            f"{package} is installed",
            "this release is not tested with it",
            "install scopegate again with pip",
        )
    for part in facts.missing:
        yield Finding(
            "hint",
            "packages",
            f"{part} cannot be imported",
            "the gateway works without it, but slower",
            "install scopegate again with pip, on a platform for which there is a wheel",
        )
