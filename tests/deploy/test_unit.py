"""The systemd units: systemd reads them without complaint, and finds little that a service may do.

No service is started here. `systemd-analyze` needs no running systemd for this.
"""

import os
import shlex
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from scopegate.commands.serve import serve
from scopegate.prefork import STOP_SECONDS
from scopegate.settings import PREFIX, Settings
from scopegate.store import files
from tests.deploy.proxies import DEPLOY, GATEWAY
from tests.served import PATIENCE, SCRIPT, environment

UNIT = DEPLOY / "scopegate.service"
BACKUP = DEPLOY / "scopegate-backup.service"
TIMER = DEPLOY / "scopegate-backup.timer"
PROGRAM = "/opt/scopegate/bin/scopegate"
MAX_EXPOSURE = 15
"""In tenths, as `systemd-analyze security` counts; a service that declares nothing has 96."""

analyzed = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not installed: apt-get install systemd",
)


def values(file: Path) -> dict[str, list[str]]:
    """The values of each line of a unit, in order."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for line in file.read_text().splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found[name].append(value)
    return dict(found)


@pytest.fixture(scope="module")
def unit() -> dict[str, list[str]]:
    return values(UNIT)


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def installed(folder: Path, text: str) -> Path:
    """The unit as a file, with a program that is there."""
    assert PROGRAM in text
    made = folder / UNIT.name
    made.write_text(text.replace(PROGRAM, SCRIPT[0]))
    return made


@analyzed
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    text = UNIT.read_text()
    done = analyze("verify", "--man=no", installed(tmp_path, text))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = analyze(
        "verify", "--man=no", installed(tmp_path, text + "\n[Service]\nNoSuchLine=yes\n")
    )
    assert "NoSuchLine" in done.stderr


@analyzed
def test_systemd_understands_the_timer_and_its_service(tmp_path: Path) -> None:
    (tmp_path / BACKUP.name).write_text(BACKUP.read_text().replace(PROGRAM, SCRIPT[0]))
    timer = shutil.copy(TIMER, tmp_path)
    done = analyze("verify", "--man=no", timer, tmp_path / BACKUP.name)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_backup_is_a_new_file_and_old_ones_are_deleted(tmp_path: Path) -> None:
    unit, service = values(BACKUP), values(UNIT)
    assert {name: unit[name] for name in ("User", "Environment")} == {
        name: service[name] for name in ("User", "Environment")
    }
    files.run_once(tmp_path / "scopegate.db", lambda transaction: transaction.one("SELECT 1"))
    folder = tmp_path / "backups"
    folder.mkdir()
    old, recent = folder / "old.db", folder / "recent.db"
    for file, days in ((old, 16), (recent, 13)):
        file.touch()
        os.utime(file, (at := file.stat().st_mtime - days * 86_400, at))
    for line in unit["ExecStart"]:
        text = line.replace("%%", "%").replace("$$", "$")  # as systemd does
        for there, here in ((PROGRAM, SCRIPT[0]), ("/var/backups/scopegate", str(folder))):
            text = text.replace(there, here)
        db = {f"{PREFIX}DB": str(tmp_path / "scopegate.db")}
        done = subprocess.run(
            shlex.split(text), check=False, capture_output=True, text=True, env=environment(db)
        )
        assert done.returncode == 0, done.stderr
    [made] = set(folder.iterdir()) - {recent}
    assert made.stat().st_mode & 0o777 == 0o600
    assert made.stat().st_size > 0
    assert not old.exists()


@analyzed
def test_the_service_may_do_little(tmp_path: Path) -> None:
    def judged(text: str) -> int:
        return analyze(
            "security",
            "--offline=yes",
            f"--threshold={MAX_EXPOSURE}",
            "--no-pager",
            installed(tmp_path, text),
        ).returncode

    text = UNIT.read_text()
    assert judged(text) == 0
    for line in ("User=scopegate\n", "CapabilityBoundingSet=\n", "ProtectSystem=strict\n"):
        assert line in text
    assert judged(text.replace("CapabilityBoundingSet=\n", "")) != 0


def test_it_serves_from_its_own_folder(unit: dict[str, list[str]]) -> None:
    assert unit["ExecStart"] == [f"{PROGRAM} {serve.name}"]
    folder = f"/var/lib/{unit['StateDirectory'][0]}"
    assert unit["WorkingDirectory"] == [folder]
    given = dict(each.split("=") for each in unit["Environment"])
    assert given.pop(f"{PREFIX}SETTINGS") == "/etc/scopegate/scopegate.toml"
    assert given == {f"{PREFIX}DB": f"{folder}/scopegate.db"}


def test_passwords_can_be_checked_at_a_low_priority(unit: dict[str, list[str]]) -> None:
    """The group @resources has `setpriority`, and a later line adds it again."""
    assert unit["SystemCallFilter"] == [
        "@system-service",
        "~@privileged @resources",
        "setpriority",
    ]


def test_it_stops_and_reloads_as_the_program_does(unit: dict[str, list[str]]) -> None:
    assert int(unit["TimeoutStopSec"][0]) > STOP_SECONDS
    assert unit["KillMode"] == ["mixed"]
    assert unit["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert unit["Restart"] == ["on-failure"]


def test_the_proxies_reach_the_address_that_it_listens_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(f"{PREFIX}SETTINGS", str(DEPLOY / "settings.toml"))
    settings = Settings()  # type: ignore[call-arg]
    assert f"{settings.host}:{settings.port}" == GATEWAY
    assert settings.allowed_host == ("trade.example.com",)
    assert settings.trusted_proxy == (f"{settings.host}/32",)
    assert not settings.demo_at_pages
