"""A cluster on this machine: PostgreSQL, three gateways, and HAProxy in front of them.

    python examples/cluster/cluster.py
    python examples/cluster/cluster.py --port 5556 -- --seed demo --speed 20

It needs Debian's packages postgresql and haproxy, and prints the one address that clients connect
to. What follows `--` are options of each gateway. Kill a gateway by its process id: its clients
connect to another one, and it is started again. Ctrl+C stops everything. The database stays in the
folder, so the next start continues with it.
"""

import argparse
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

GATEWAYS = 3
HERE = Path(__file__).parent
TIMEOUT_SECONDS = 60.0
"""Seconds that a program may take to start or to stop."""
CHECK_SECONDS = 0.5
"""How often it looks for programs that have ended."""
STOPPED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Process = subprocess.Popen[str]


def main() -> None:
    """Start the cluster, and keep its gateways running until this is interrupted."""
    parser = argparse.ArgumentParser(
        description="Start PostgreSQL, three gateways and HAProxy.", allow_abbrev=False
    )
    parser.add_argument("--folder", type=Path, default=Path("cluster"), help="for all files")
    parser.add_argument("--port", type=int, default=5555, help="for clients; 0 for a free one")
    parser.add_argument("gateway_options", nargs="*", help="options of each gateway, after --")
    options = parser.parse_args()
    for number in STOPPED_BY:  # also SIGINT: a shell in the background lets it be ignored
        signal.signal(number, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        cluster = Cluster(stack, options.folder.resolve(), options.gateway_options)
        stack.callback(ignore_further_signals)
        cluster.start(options.port)
        cluster.watch()


class Cluster:
    """The programs, each of which needs those that were started before it."""

    def __init__(
        self, stack: contextlib.ExitStack, folder: Path, gateway_options: list[str]
    ) -> None:
        self.stack = stack
        self.folder = folder
        self.gateway_options = gateway_options
        # Settings for other servers and gateways would apply to these too.
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PG", "SCOPEGATE_"))
        }
        self.gateways: list[Process] = []
        self.ports = [0] * GATEWAYS
        """Of the gateways: each chooses its own when it is started first."""

    def start(self, port: int) -> None:
        """Start each program once the one that it needs is there."""
        haproxy = find_program("haproxy", "haproxy", Path("/usr/sbin"))
        with socket.socket() as probe:
            if port and probe.connect_ex(("127.0.0.1", port)) == 0:
                sys.exit(f"port {port} is in use: choose another with --port")
        make_folder(self.folder)
        self.server, self.store = self.stack.enter_context(run_postgresql(self))
        self.stack.callback(lambda: stop(*self.gateways))
        for number in range(GATEWAYS):
            self.gateways.append(self.start_gateway(number))
        tokens = [self.read_token(number) for number in range(GATEWAYS)]
        addresses = {
            f"GATEWAY_{number}": f"127.0.0.1:{own}" for number, own in enumerate(self.ports, 1)
        }
        port = port or free_port()
        address = f"127.0.0.1:{port}"
        self.balancer = start_program(
            [haproxy, "-db", "-f", HERE / "haproxy.cfg"],
            self.folder / "haproxy.log",
            self.environment | addresses | {"ADDRESS": address},
        )
        self.stack.callback(stop, self.balancer)
        wait_for_port(port, self.balancer, self.folder / "haproxy.log")
        print(f"address    ws://{address}/websockets/v3")
        print(f"page       http://{address}/")
        print(f"database   {self.store}  (password in {self.environment['PGPASSFILE']})")
        for number, gateway in enumerate(self.gateways):
            print(f"gateway {number + 1}  127.0.0.1:{self.ports[number]}  process {gateway.pid}")
        print(f"token      {tokens[0]}", flush=True)

    def start_gateway(self, number: int) -> Process:
        """Start a gateway, at the same port as before."""
        home = self.folder / f"gateway{number + 1}"
        home.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "scopegate", "serve", "--store", self.store]
        # The demo user, for a first try: otherwise there is none behind a proxy.
        proxy = ["--port", str(self.ports[number]), "--trusted-proxy", "127.0.0.1/32", "--demo"]
        return start_program(
            [*command, *proxy, *self.gateway_options],
            home / "log",
            self.environment,
            cwd=home,
            stdout=subprocess.PIPE,
        )

    def read_token(self, number: int) -> str:
        """Wait until a gateway serves, and note its port; the token that it prints then."""
        gateway, log = self.gateways[number], self.folder / f"gateway{number + 1}" / "log"
        assert gateway.stdout is not None
        patience = threading.Timer(TIMEOUT_SECONDS, gateway.kill)
        patience.start()
        try:
            for line in gateway.stdout:
                if line.startswith("listening on "):
                    self.ports[number] = urlsplit(line.split()[-1]).port or 0
                if line.startswith("token"):
                    return line.split()[1]
        finally:
            patience.cancel()
        said = log.read_text().splitlines()[-1:]
        sys.exit(f"gateway {number + 1} did not start, or has no demo user: {said}, see {log}")

    def watch(self) -> None:
        """Start gateways again that have ended, until something else ends."""
        while self.balancer.poll() is None and self.server.poll() is None:
            time.sleep(CHECK_SECONDS)
            for number, gateway in enumerate(self.gateways):
                if gateway.poll() is None:
                    continue
                self.gateways[number] = self.start_gateway(number)
                print(
                    f"gateway {number + 1}  exited with code {gateway.returncode}; restarted as"
                    f" process {self.gateways[number].pid}",
                    flush=True,
                )
                print(f"token      {self.read_token(number)}", flush=True)
        name, log = ("HAProxy", "haproxy.log") if self.server.poll() is None else ("PostgreSQL", "")
        sys.exit(f"{name} has ended: see {self.folder / (log or 'database/log')}")


@contextlib.contextmanager
def run_postgresql(cluster: Cluster) -> Iterator[tuple[Process, str]]:
    """Run PostgreSQL until the block ends; yields its process and the address of a database."""
    folder = cluster.folder / "database"
    data, passfile = folder / "data", folder / "passwords"
    programs = find_postgresql(data)
    make_folder(folder)
    user: dict[str, int | list[int]] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = other_user("postgres")
        os.chown(folder, user["user"], user["group"])  # type: ignore[arg-type]
    if data.exists() and data.stat().st_uid != user.get("user", os.geteuid()):
        sys.exit(f"{data} belongs to another user: run this as that one, or choose a --folder")
    if not data.exists():
        create_database(folder, programs, passfile, user)
    cluster.environment["PGPASSFILE"] = str(passfile)
    port = free_port()
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": ""}
    server = start_program(
        [programs / "postgres", "-D", data, *(f"--{name}={settings[name]}" for name in settings)],
        folder / "log",
        {"PATH": os.environ["PATH"]},
        cwd=folder,
        **user,
    )
    try:
        ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        ends = time.monotonic() + TIMEOUT_SECONDS
        while subprocess.run(ready, check=False).returncode:
            if server.poll() is not None or time.monotonic() > ends:
                sys.exit(
                    f"PostgreSQL did not start: see {folder / 'log'}; perhaps one still runs from"
                    f" last time, whose process id is in {data / 'postmaster.pid'}"
                )
            time.sleep(0.05)
        yield server, f"postgresql://scopegate@127.0.0.1:{port}/postgres"
    finally:
        stop(server, by=signal.SIGINT)


def create_database(
    folder: Path, programs: Path, passfile: Path, user: dict[str, int | list[int]]
) -> None:
    """Create the files of a server, with a password that is in `passfile` alone."""
    new, for_initdb = folder / "data.new", folder / "password"
    shutil.rmtree(new, ignore_errors=True)  # of a start that was interrupted
    password = secrets.token_urlsafe(24)
    write_secret(for_initdb, password)
    if user:
        os.chown(for_initdb, user["user"], user["group"])  # type: ignore[arg-type]
    command = [programs / "initdb", "-D", new, "-U", "scopegate", "--pwfile", for_initdb]
    try:
        subprocess.run(
            [*command, "-A", "scram-sha-256", "-E", "UTF8", "--no-locale"],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            **user,  # type: ignore[call-overload]
        )
    except (OSError, subprocess.CalledProcessError) as problem:
        sys.exit(f"no database could be created, perhaps for want of access: {problem}")
    finally:
        for_initdb.unlink()
    write_secret(passfile, f"*:*:*:scopegate:{password}\n")
    new.rename(folder / "data")


def find_postgresql(data: Path) -> Path:
    """The folder of PostgreSQL programs: of the version that made the files, or the newest."""
    found = {
        path.parts[-3]: path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")
    }
    with contextlib.suppress(FileNotFoundError):
        made_by = (data / "PG_VERSION").read_text().strip()
        return found.get(made_by) or sys.exit(f"apt-get install postgresql-{made_by}")
    if found:
        return found[max(found, key=lambda version: [int(part) for part in version.split(".")])]
    return Path(find_program("postgresql", "postgres")).parent


def find_program(package: str, name: str, *folders: Path) -> str:
    """The path of a program, also where only administrators have it on their path."""
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")])
    return shutil.which(name, path=path) or sys.exit(
        f"{name} is not installed: apt-get install {package}"
    )


def other_user(name: str) -> dict[str, int | list[int]]:
    """How to run a program as this user."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        sys.exit(f"there is no user {name}: run this as a user other than root")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def make_folder(folder: Path) -> None:
    """Make a folder through which other users can reach what is theirs in it."""
    if (folder / Path(__file__).name).exists():
        sys.exit(f"{folder} has the sources of this program: choose another --folder")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def start_program(
    command: list[str | Path], log: Path, environment: dict[str, str], **options: object
) -> Process:
    """Start a program that gets no Ctrl+C from the terminal: it is stopped in its turn."""
    with log.open("a") as errors:
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=errors,
            text=True,
            start_new_session=True,
            **({"stdout": errors} | options),
        )


def wait_for_port(port: int, process: Process, log: Path) -> None:
    """Return once something listens on this port."""
    ends = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    sys.exit(f"a program did not start: see {log}")


def stop(*processes: Process, by: int = signal.SIGTERM) -> None:
    """Ask processes to stop, and return once they have."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(by)
    for process in processes:
        try:
            process.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ignore_further_signals() -> None:
    """Stop in peace: a second Ctrl+C would leave programs running."""
    for number in STOPPED_BY:
        signal.signal(number, signal.SIG_IGN)


def free_port() -> int:
    """A port of loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    main()
