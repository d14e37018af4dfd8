"""A PostgreSQL server for tests: its own files, its own port, ended with the tests.

`python -m tests.postgresql` says whether tests can run on one here, also by its exit code.
"""

import atexit
import contextlib
import functools
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scopegate.store.location import Server
from tests import leftovers
from tests.memory_folder import memory

PATIENCE = 60.0
"""Real seconds that the server may take to start or stop."""


@functools.cache
def programs() -> Path | None:
    """The folder of `initdb` and `postgres`, of the newest version that is installed."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    found.sort(key=lambda folder: int(folder.parent.name))
    if found:
        return found[-1]
    on_path = shutil.which("postgres")
    return Path(on_path).parent if on_path else None


@functools.cache
def missing() -> str:
    """Why no test can run on PostgreSQL here; empty if all can."""
    try:
        import psycopg.pq  # noqa: F401
    except ImportError:
        return "the PostgreSQL driver is not installed: pip install 'scopegate[postgresql]'"
    if programs() is None:
        return "PostgreSQL is not installed: apt-get install postgresql"
    return ""


class PostgresqlServer:
    """A server that listens on loopback and on a socket file, as an unprivileged user."""

    def __init__(self, **parameters: str) -> None:
        """`parameters` are settings of the server, such as `fsync="off"`."""
        folder = programs()
        assert folder is not None
        self._programs = folder
        # In memory, where a new database takes a sixth of the time: it has 600 files.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir=memory()))
        self.folder.chmod(0o755)  # tests connect as several users
        self._user = {} if os.geteuid() else _unprivileged()
        if self._user:
            os.chown(self.folder, int(self._user["user"]), int(self._user["group"]))
        self._run("initdb", "-D", "data", "-U", "scopegate", "-A", "trust", "-E", "UTF8", "-N")
        self.port = free_port()
        self.parameters = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            **parameters,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            timeout=PATIENCE,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            **self._user,  # type: ignore[call-overload]
        )

    def start(self) -> None:
        """Start the server, and return once it answers."""
        options = [f"--{name}={value}" for name, value in self.parameters.items()]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._programs / "postgres", "-D", "data", *options],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
                **self._user,
            )
        leftovers.supervised.add(self.process.pid)
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            ready = subprocess.run(
                [self._programs / "pg_isready", "-q", "-h", self.folder, "-p", str(self.port)],
                check=False,
                env={"PATH": os.environ["PATH"]},
            )
            if ready.returncode == 0:
                return
            assert self.process.poll() is None, (self.folder / "log").read_text()
        raise AssertionError("the server did not start")

    def own(self, *paths: Path) -> None:
        """Give files to the user as whom the server runs, who alone can read them."""
        for path in paths:
            path.chmod(0o600)
            if self._user:
                os.chown(path, int(self._user["user"]), int(self._user["group"]))

    def stop(self, number: int = signal.SIGINT) -> None:
        """End the server: SIGINT ends every session at once, SIGQUIT even without a checkpoint."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        self.process.wait(PATIENCE)
        leftovers.supervised.discard(self.process.pid)
        self.process = None

    def remove(self) -> None:
        """End the server, and remove its files."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def server(self, database: str, *, allow_unsafe: bool = True) -> Server:
        """The location of a database, over the socket file."""
        return Server(
            f"postgresql://scopegate@/{database}?host={self.folder}&port={self.port}", allow_unsafe
        )

    def over_tcp(self, database: str, port: int | None = None) -> Server:
        """The same over TCP, perhaps through something that listens on another port."""
        return Server(f"postgresql://scopegate@127.0.0.1:{port or self.port}/{database}", True)

    def run(self, *commands: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run each as an administrator in a transaction of its own; the rows of the last one."""
        import psycopg

        rows: list[tuple[Any, ...]] = []
        with psycopg.connect(self.server(database).url, autocommit=True) as connection:
            for command in commands:
                cursor = connection.execute(command.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def create(self, database: str, template: str = "template0") -> Server:
        """Create a database; its location."""
        # Copying files takes half the time of copying through the log, which is the default.
        self.run(f'CREATE DATABASE "{database}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.server(database)


def _unprivileged() -> dict[str, int | list[int]]:
    """How to run a program as another user than root, as whom the server refuses to run."""
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise AssertionError("there is no user as whom the server could run")


def free_port() -> int:
    """A port of loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@functools.cache
def shared() -> PostgresqlServer:
    """The server of all tests of this process. Commits do not reach the disk, which saves time."""
    made = PostgresqlServer(
        fsync="off",
        full_page_writes="off",
        max_connections="200",
        max_wal_size="128MB",
        autovacuum="off",  # nothing lives long enough
    )
    made.start()
    atexit.register(made.remove)
    return made


def drop_unused() -> None:
    """Drop the databases that tests have made, but for those that somebody is connected to.

    Kept to the end, they would be thousands, of ten megabytes each.
    """
    if not _made:
        return
    used = {name for [name] in shared().run("SELECT datname FROM pg_stat_activity")}
    unused = _made - used
    shared().run(*(f'DROP DATABASE "{database}"' for database in unused))
    _made.difference_update(unused)


_numbers = itertools.count(1)
_made: set[str] = set()
"""The databases of tests."""


def _create(template: str) -> Server:
    database = f"test{next(_numbers)}"
    _made.add(database)
    return shared().create(database, template)


def empty_database() -> Server:
    """A database without tables."""
    return _create("template0")


def new_database() -> Server:
    """A database with the tables of the gateway, without rows."""
    return _create(_template())


@functools.cache  # the migrations take half a second
def _template() -> str:
    from scopegate.store import postgresql

    postgresql.run_once(shared().create("migrated"), lambda transaction: None)
    return "migrated"


@functools.cache
def pooler() -> str | None:
    """The program of the pooler PgBouncer, if it is installed."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@contextlib.contextmanager
def pooled(server: Server, mode: str) -> Iterator[Server]:
    """The location of a database through a pooler in this mode."""
    program = pooler()
    assert program is not None
    name = server.url.split("@/")[1].split("?")[0]
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="pool-") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "users").write_text('"scopegate" ""\n')
        (Path(folder) / "pool.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={shared().port} user=scopegate\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n"
            f"unix_socket_dir =\nauth_file = {folder}/users\npool_mode = {mode}\n"
            "ignore_startup_parameters = extra_float_digits\n"
        )
        process = subprocess.Popen(
            [program, f"{folder}/pool.ini"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **({} if os.geteuid() else _unprivileged()),
        )
        leftovers.supervised.add(process.pid)
        try:
            ends = time.monotonic() + PATIENCE
            while time.monotonic() < ends:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
            else:
                raise AssertionError("PgBouncer did not start")
            yield Server(f"postgresql://scopegate@127.0.0.1:{port}/{name}", True)
        finally:
            process.terminate()
            process.wait(PATIENCE)
            leftovers.supervised.discard(process.pid)


def dump(server: Server) -> str:
    """Everything that a database has, as SQL."""
    folder = programs()
    assert folder is not None
    done = subprocess.run(
        [folder / "pg_dump", "--inserts", "--no-owner", "-d", server.url],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
        timeout=PATIENCE,
    )
    return done.stdout


@contextlib.contextmanager
def server_of_its_own(**parameters: str) -> Iterator[PostgresqlServer]:
    """A server of its own, for tests that stop it."""
    made = PostgresqlServer(**parameters)
    try:
        made.start()
        yield made
    finally:
        made.remove()


if __name__ == "__main__":
    print(missing() or f"PostgreSQL: {programs()}")  # noqa: T201 - what this is for
    sys.exit(bool(missing()))
