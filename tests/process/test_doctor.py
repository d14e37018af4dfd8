"""`scopegate doctor` on a real machine: what is observed, and what the command makes of it."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from scopegate.doctor import Facts, findings
from scopegate.local_ca import key_file
from scopegate.machine import observed
from scopegate.settings import Settings, chosen
from tests import postgresql, stores
from tests.incubator import INTERPRETER
from tests.process.test_tls import encrypt
from tests.served import scopegate

pytestmark = pytest.mark.sqlite


def dangers(settings: Settings, facts: Facts) -> dict[str, str]:
    """The dangers of some settings on this machine, by what they are about."""
    found: dict[str, str] = {}
    for finding in findings(settings, facts):
        if finding.level == "danger":
            found[finding.about] = f"{found.get(finding.about, '')} {finding.what}"
    return found


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """A new database, as the gateway creates it."""
    path = tmp_path / "scopegate.db"
    stores.run_once(path, lambda transaction: None)
    return path


def certificate(folder: Path, *names: str, days: int) -> dict[str, str]:
    """The settings for a new certificate, which is valid for so many days."""
    ends = datetime.now(UTC) + timedelta(days=days, hours=1)
    issued = trustme.CA().issue_cert(*names, not_after=ends)
    chain, key = folder / "cert.pem", folder / "key.pem"
    issued.cert_chain_pems[0].write_to_path(chain)
    issued.private_key_pem.write_to_path(key)
    key.chmod(0o600)
    return {"tls_cert": str(chain), "tls_key": str(key)}


def test_a_database_as_the_gateway_creates_it_can_be_read_by_nobody_else(db: Path) -> None:
    settings = chosen(db=str(db))
    facts = observed(settings)
    assert [(file.path, file.mode, file.is_own) for file in facts.files] == [(str(db), 0o600, True)]
    db.chmod(0o644)
    assert "can read or change" in dangers(settings, observed(settings))["db"]
    db.chmod(0o600)
    db.parent.chmod(0o777)
    assert "can create files" in dangers(settings, observed(settings))["db"]


def test_the_disk_and_the_machine_are_observed_and_nothing_is_created(tmp_path: Path) -> None:
    facts = observed(chosen(db=str(tmp_path / "new.db"), tls_self_signed=True))
    assert (facts.files, facts.keys, facts.unusable, facts.outdated) == ([], [], [], [])
    assert facts.free_bytes is not None
    assert facts.free_bytes > 0
    assert facts.processors is not None
    assert facts.processors > 0
    if sys.platform == "linux":
        assert facts.file_system
        assert facts.has_attributes is not None
        shared = Path("/dev/shm")  # noqa: S108
        if shared.is_mount():
            assert observed(chosen(db=str(shared / "new.db"))).file_system == "tmpfs"
    assert list(tmp_path.iterdir()) == []
    lost = chosen(db=str(tmp_path / "nowhere" / "new.db"))
    assert "does not exist" in dangers(lost, observed(lost))["db"]


def test_the_key_of_an_authority_that_others_can_read_is_a_danger(db: Path) -> None:
    settings = chosen(db=str(db), tls_self_signed=True)
    key = key_file(db)
    key.touch(0o600)
    assert "tls_self_signed" not in dangers(settings, observed(settings))
    key.chmod(0o644)
    assert str(key) in dangers(settings, observed(settings))["tls_self_signed"]


def test_a_certificate_is_read_and_compared_with_its_key_and_the_hosts(db: Path) -> None:
    names = ("*.example.com", "203.0.113.5")
    options = certificate(db.parent, *names, days=60)
    settings = chosen(
        db=str(db), host="203.0.113.5", allowed_host="trade.example.com,203.0.113.5", **options
    )
    facts = observed(settings)
    assert facts.certificate is not None
    assert tuple(facts.certificate.names) == names
    assert 60 < facts.certificate.days_left < 60.1
    assert facts.unusable == []
    trustme.CA().issue_cert("other.org").private_key_pem.write_to_path(options["tls_key"])
    assert "tls_cert, tls_key" in dangers(settings, observed(settings))
    Path(options["tls_cert"]).unlink()
    assert "tls_cert, tls_key" in dangers(settings, observed(settings))


def test_a_key_with_a_password_is_a_danger_and_the_password_is_not_asked_for(db: Path) -> None:
    settings = chosen(db=str(db), **certificate(db.parent, "example.com", days=60))
    assert settings.tls_key is not None
    encrypt(settings.tls_key)
    assert "is encrypted: store" in dangers(settings, observed(settings))["tls_key"]


def test_a_part_that_cannot_be_imported_is_missing(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = chosen(db=str(db))
    assert "websockets.speedups" not in observed(settings).missing
    monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    assert "websockets.speedups" in observed(settings).missing


def test_a_server_that_cannot_be_reached_or_is_not_safe_is_a_danger() -> None:
    if reason := postgresql.missing():
        pytest.skip(reason)
    settings = chosen(store="postgresql://127.0.0.1:1/scopegate")
    assert "store" in dangers(settings, observed(settings))
    url = postgresql.shared().server("postgres").url  # it need not write to the disk
    settings = chosen(store=url, store_unsafe=True)
    facts = observed(settings)
    assert facts.server is not None
    assert (facts.server.is_encrypted, facts.server.unsafe_parameters[:1]) == (False, ["fsync"])
    assert {"store", "store_unsafe"} <= dangers(settings, facts).keys()


def test_the_command_takes_the_settings_of_serve_and_fails_for_a_danger(db: Path) -> None:
    options = ("--db", str(db), "--host", "0.0.0.0")  # noqa: S104 - nothing listens
    done = scopegate("doctor", *options, folder=db.parent, settings={"SCOPEGATE_LIMITS": "open"})
    assert (done.returncode, done.stderr) == (1, "")
    for line in (
        "danger  host: 0.0.0.0 accepts connections that are not encrypted",
        "danger  limits: the limits are open",
        "        do:  set limits to deriv",
    ):
        assert line in done.stdout
    wrong = scopegate("doctor", "--allowed-host", "*", folder=db.parent)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == "Error: allowed_host: '*' is not a host name\n"


def test_the_command_succeeds_with_hints_alone(db: Path) -> None:
    older = db.parent / "older" / "h11-0.1.dist-info"
    older.mkdir(parents=True)
    (older / "METADATA").write_text("Metadata-Version: 2.1\nName: h11\nVersion: 0.1\n")
    done = scopegate(
        *("doctor", "--db", str(db)),
        folder=db.parent,
        settings={"PYTHONPATH": str(older.parent)},
        program=("sh", "-c", 'ulimit -n 256 && exec "$@"', "sh", *INTERPRETER),
    )
    of_this_machine = [line for line in done.stdout.splitlines() if line.startswith("danger")]
    assert done.returncode == (1 if of_this_machine else 0)
    assert all("file system" in line for line in of_this_machine)
    assert "hint    open files: the gateway may open 256 files" in done.stdout
    assert "hint    packages: h11 0.1 instead of 0.16.0 or newer is installed" in done.stdout
