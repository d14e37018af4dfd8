"""The wheel in a new environment, used in a folder whose names are those of our rooms.

The environment has this one's libraries beside it, and the wheel instead of the clone.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.served import PATIENCE, Served, environment

ROOT = Path(__file__).parents[2]
PACKAGED = ("exchange", "gateway", "handlers", "runtime", "schemas", "scopegate", "store")
HOSTILE = ("exchange", "gateway", "runtime", "schemas", "store")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources without what is generated in a clone."""
    folder = tmp_path_factory.mktemp("sources")
    for room in PACKAGED:
        shutil.copytree(
            ROOT / room,
            folder / room,
            ignore=lambda where, names: [
                name for name in names if name == "__pycache__" or Path(where, name).is_symlink()
            ],
        )
    (folder / ".ci").mkdir()
    for name in ("README.md", "pyproject.toml", ".ci/link_rooms.py"):
        shutil.copy(ROOT / name, folder / name)
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", folder=folder)
    [built] = (folder / "dist").iterdir()
    return built


def run(*command: str | Path, folder: Path, **variables: str) -> str:
    """Run a command that must succeed; what it printed."""
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment({"COLUMNS": "200", **variables}),
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment with the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    programs = folder / "bin"
    pip = ("-m", "pip", "--disable-pip-version-check", "--python", programs / "python", "install")
    run(sys.executable, *pip, "-q", "--no-deps", "--no-index", wheel, folder=folder)
    site = Path(run(programs / "python", "-c", "import site; print(site.getsitepackages()[0])",
                    folder=folder).strip())  # fmt: skip
    # Links in the folders of a .pth file are not followed, so the clone is not found by this.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (programs / "pytest").write_text(
        f"#!{programs / 'python'}\nimport pytest\nraise SystemExit(pytest.console_main())\n"
    )
    (programs / "pytest").chmod(0o755)
    return programs


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A project with modules of its own under the names of our folders."""
    for name in HOSTILE:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('the wrong {name}')\n")
    (tmp_path / "gateway.py").write_text("raise RuntimeError('the wrong gateway')\n")
    (tmp_path / "handlers").mkdir()
    (tmp_path / "handlers" / "__init__.py").write_text(CALLS)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "__init__.py").write_text("")
    (tmp_path / "tests" / "test_bot.py").write_text(BOT)
    return tmp_path


CALLS = '''
from typing_extensions import TypedDict

from scopegate import Request, Session, Text, call


class Shout(Request):
    """Asks for a text in capitals."""

    shout: Text


class Shouted(TypedDict):
    shout: str


class Shouts:
    @call("shout", needs=None)
    async def shout(self, request: Shout, session: Session) -> Shouted:
        """Say it in capitals."""
        return {"shout": request.shout.upper()}
'''

BOT = """
import json

from websockets.sync.client import connect


def test_a_bot(scopegate):
    with connect(scopegate.url) as socket:
        socket.send(json.dumps({"authorize": scopegate.token("read")}))
        assert json.loads(socket.recv())["authorize"]["loginid"]
"""


def test_a_wheel_has_scopegate_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"scopegate", f"{wheel.name.split('-py3')[0]}.dist-info"}
    rooms = {name.split("/")[1] for name in names if name.startswith("scopegate/")}
    assert set(PACKAGED) - {"scopegate"} <= rooms
    assert {"py.typed", "__init__.py", "__main__.py"} <= rooms
    assert any(name.endswith("migrations/0001_users_tokens_apps_ledger.sql") for name in names)
    assert any(name.endswith("pages/layout.html") for name in names)


@pytest.mark.parametrize("command", [["pytest"], ["python", "-m", "pytest"]], ids=" ".join)
def test_tests_of_such_a_project_run(installed: Path, hostile: Path, command: list[str]) -> None:
    program, *arguments = command
    printed = run(
        installed / program, *arguments, "-q", "-p", "no:cacheprovider", "tests", folder=hostile
    )
    assert "1 passed" in printed


@contextmanager
def served(installed: Path, folder: Path, *options: str, **variables: str) -> Iterator[Served]:
    running = Served(folder, *options, settings=variables)
    running.program = (str(installed / "scopegate"),)
    with running:
        yield running
        assert running.stop() == 0
        assert running.stderr == ""


async def test_it_serves_there(installed: Path, hostile: Path) -> None:
    with served(installed, hostile, PYTHONPATH=".") as running:
        async with running.connected() as client:
            assert (await client.ask({"ping": 1}))["ping"] == "pong"


async def test_it_takes_handlers_from_there(installed: Path, hostile: Path) -> None:
    with served(installed, hostile, "--handlers", "handlers") as running:
        async with running.connected() as client:
            assert (await client.ask({"shout": "ahoy"}))["shout"] == "AHOY"
            assert (await client.ask({"ping": 1}))["ping"] == "pong"


@pytest.mark.parametrize("example", ["greeter", "tested_bot"])
def test_the_tests_of_an_example_run(installed: Path, tmp_path: Path, example: str) -> None:
    """As its README says, but that what it installs is here already."""
    folder = tmp_path / example
    shutil.copytree(ROOT / "examples" / example, folder)
    if example == "greeter":
        pip = ("-m", "pip", "--disable-pip-version-check", "--python", installed / "python")
        given = ("--no-deps", "--no-index", "--no-build-isolation")
        run(sys.executable, *pip, "install", "-q", *given, folder, folder=folder)
        assert "greet" in run(installed / "scopegate", "calls", folder=folder)
    printed = run(installed / "python", "-m", "pytest", "-p", "no:cacheprovider", folder=folder)
    assert " passed" in printed
    assert "skipped" not in printed
    if example == "greeter":
        run(sys.executable, *pip, "uninstall", "-q", "-y", "greeter", folder=folder)


def test_it_is_the_installed_one_as_a_module_too(installed: Path, hostile: Path) -> None:
    assert "version" in run(installed / "python", "-m", "scopegate", "--version", folder=hostile)
    where = "import scopegate.gateway.transport.server as module; print(module.__file__)"
    found = run(installed / "python", "-c", where, folder=hostile).strip()
    assert found.startswith(f"{installed.parent}{os.sep}")
