"""The wheel in a new environment, used in a folder whose names are those of our packages."""

import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from tests.effort import cases
from tests.installation import PACKAGED, ROOT, installed, run, served, wheel

__all__ = ["installed", "wheel"]
"""The fixtures of `tests.installation`."""

HOSTILE = ("client", "exchange", "gateway", "runtime", "schemas", "store")


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
    packages = {name.split("/")[1] for name in names if name.startswith("scopegate/")}
    assert set(PACKAGED) - {"scopegate"} <= packages
    assert {"py.typed", "__init__.py", "__main__.py"} <= packages
    assert any(name.endswith("migrations/0001_users_tokens_apps_ledger.sql") for name in names)
    assert any(name.endswith("pages/layout.html") for name in names)


@pytest.mark.lengthy
@pytest.mark.parametrize("command", [["pytest"], ["python", "-m", "pytest"]], ids=" ".join)
def test_tests_of_such_a_project_run(installed: Path, hostile: Path, command: list[str]) -> None:
    program, *arguments = command
    printed = run(
        installed / program, *arguments, "-q", "-p", "no:cacheprovider", "tests", folder=hostile
    )
    assert "1 passed" in printed


async def test_it_serves_there(installed: Path, hostile: Path) -> None:
    with served(installed, hostile, PYTHONPATH=".") as running:
        async with running.connected() as client:
            assert (await client.ask({"ping": 1}))["ping"] == "pong"


async def test_it_takes_handlers_from_there(installed: Path, hostile: Path) -> None:
    with served(installed, hostile, "--handlers", "handlers") as running:
        async with running.connected() as client:
            assert (await client.ask({"shout": "ahoy"}))["shout"] == "AHOY"
            assert (await client.ask({"ping": 1}))["ping"] == "pong"


# The suite runs the tests of all examples in its own environment too.
@pytest.mark.lengthy
@pytest.mark.parametrize(
    "example", cases(["greeter", "own_market", "tested_bot", "weather"], ["greeter"])
)
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
