"""Observes a machine for `scopegate.doctor`. Nothing is changed; no file is created."""

import contextlib
import ctypes
import errno
import importlib.metadata
import importlib.util
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from scopegate import local_ca
from scopegate.doctor import CertificateFacts, Facts, FileFacts, ServerFacts
from scopegate.settings import Settings, SettingsError
from scopegate.store.errors import DatabaseError, StoreError
from scopegate.store.location import Server
from scopegate.store.opening import require_driver
from scopegate.tls import context_from

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?>=([0-9.]+)\s*(;.*)?")
_NOT_SYNCHRONISED = 5
"""What `adjtimex` returns then (TIME_ERROR)."""
_TIMEX_BYTES = 512
"""More than `struct timex` takes anywhere; all zeros mean that nothing is to be changed."""


def observed(settings: Settings) -> Facts:
    """Return the facts about the machine, as far as these settings need them."""
    location = settings.location
    unusable: list[tuple[str, str]] = []
    server, certificate = None, None
    if isinstance(location, Server):
        try:
            server = _server(location)
        except (StoreError, DatabaseError, OSError) as problem:
            unusable.append(("store", str(problem)))
    if settings.tls_cert is not None and settings.tls_key is not None:
        try:
            context_from(settings.tls_cert, settings.tls_key)
            certificate = _certificate(settings.tls_cert)
        except SettingsError as problem:
            setting, _, reason = str(problem).partition(": ")
            unusable.append((setting, reason))
        except (OSError, ValueError) as problem:
            unusable.append(("tls_cert", str(problem)))
    folder = None if isinstance(location, Server) else location.resolve().parent
    if folder is not None and not os.path.isdir(folder):  # unlike `is_dir`, never raises
        unusable.append(("db", f"the folder {folder} does not exist, or cannot be reached"))
        folder = None
    elif folder is not None and not os.access(folder, os.W_OK | os.X_OK):
        unusable.append(("db", f"this user cannot create files in {folder}"))
    key = local_ca.key_file(settings.db) if settings.tls_self_signed else settings.tls_key
    return Facts(
        folder=None if folder is None else _file(folder),
        files=[] if isinstance(location, Server) else list(_files(location)),
        keys=[found for found in [key and _file(key)] if found],
        file_system=None if folder is None else _file_system(folder),
        has_attributes=None if folder is None else _has_attributes(folder),
        free_bytes=None if folder is None else shutil.disk_usage(folder).free,
        certificate=certificate,
        unusable=unusable,
        server=server,
        open_files=_open_files(),
        processors=len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        clock_is_synchronised=_clock_is_synchronised(),
        outdated=list(_outdated()),
        missing=list(_missing()),
    )


def _file(path: Path) -> FileFacts | None:
    """Return who may use a file; `None` if there is none, or where modes mean nothing."""
    if os.name != "posix":
        return None
    with contextlib.suppress(OSError):
        found = path.stat()
        return FileFacts(str(path), found.st_mode & 0o7777, found.st_uid == os.geteuid())
    return None


def _files(db: Path) -> Iterator[FileFacts]:
    for suffix in ("", "-wal", "-shm"):
        found = _file(Path(f"{db.resolve()}{suffix}"))
        if found is not None:
            yield found


def _file_system(folder: Path) -> str | None:
    """Return the type of a folder's file system, on Linux."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found, longest = None, -1
    for line in lines.splitlines():
        fields, _, rest = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), fields.split()[4])
        # A later mount hides an earlier one at the same point.
        if folder.is_relative_to(point) and len(point) >= longest:
            found, longest = rest.split()[0], len(point)
    return found


def _has_attributes(folder: Path) -> bool | None:
    try:
        os.getxattr(folder, "user.scopegate.commits")
    except OSError as problem:
        return problem.errno not in (errno.ENOTSUP, errno.EOPNOTSUPP)
    except AttributeError:  # not on this system
        return None
    return True


def _certificate(path: Path) -> CertificateFacts:
    """Return the facts of the first certificate of a file. Raises `OSError` or `ValueError`."""
    from cryptography import x509

    found = x509.load_pem_x509_certificate(path.read_bytes())
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    return CertificateFacts(
        days_left=(found.not_valid_after_utc.timestamp() - time.time()) / 86_400,
        names=[
            *names.get_values_for_type(x509.DNSName),
            *map(str, names.get_values_for_type(x509.IPAddress)),
        ],
    )


def _server(location: Server) -> ServerFacts:
    """Connect to a database server. Raises `StoreError`, `DatabaseError` or `OSError`."""
    require_driver()
    from scopegate.store.postgresql_connection import PostgresqlConnection

    with contextlib.closing(PostgresqlConnection(location.url, allow_unsafe=True)) as connection:
        return ServerFacts(connection.host, connection.is_encrypted, connection.unsafe_parameters)


def _open_files() -> int | None:
    """Return the limit that `serve` gives itself: the hard one."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if hard == resource.RLIM_INFINITY else hard


def _clock_is_synchronised() -> bool | None:
    """Ask the Linux kernel."""
    if sys.platform != "linux":
        return None
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _NOT_SYNCHRONISED


def _outdated() -> Iterator[str]:
    """Return the installed packages below the minimum that this release declares."""
    try:
        requirements = importlib.metadata.requires("scopegate") or []
    except importlib.metadata.PackageNotFoundError:  # it runs from a folder
        return
    for requirement in requirements:
        found = _REQUIREMENT.fullmatch(requirement)
        if found is None:
            continue
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # an optional one
            installed = importlib.metadata.version(found[1])
            if _numbers(installed) < _numbers(found[2]):
                yield f"{found[1]} {installed} instead of {found[2]} or newer"


def _numbers(version: str) -> list[int]:
    """Return the numbers with which a version begins, without zeros at the end."""
    numbers = [int(number) for number in re.split(r"[^0-9.]", version)[0].split(".") if number]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def _missing() -> Iterator[str]:
    """Return the parts that make the gateway faster and are not there."""
    names = ["websockets.speedups"]
    if sys.platform != "win32" and sys.implementation.name == "cpython":
        names.append("uvloop")
    for name in names:
        if importlib.util.find_spec(name) is None:
            yield name
