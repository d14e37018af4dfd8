"""The wheel, and a new environment with it: this one's libraries beside it, without the clone."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.served import PATIENCE, Served, environment

ROOT = Path(__file__).parents[1]
PACKAGED = ("client", "exchange", "gateway", "handlers", "runtime", "schemas", "scopegate", "store")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources without what is generated in a clone."""
    folder = tmp_path_factory.mktemp("sources")
    for package in PACKAGED:
        shutil.copytree(
            ROOT / package,
            folder / package,
            ignore=lambda where, names: [
                name for name in names if name == "__pycache__" or Path(where, name).is_symlink()
            ],
        )
    (folder / ".ci").mkdir()
    for name in ("README.md", "pyproject.toml", ".ci/link_packages.py"):
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


@contextmanager
def served(installed: Path, folder: Path, *options: str, **variables: str) -> Iterator[Served]:
    running = Served(folder, *options, settings=variables)
    running.program = (str(installed / "scopegate"),)
    with running:
        yield running
        assert running.stop() == 0
        assert running.stderr == "", running.stderr
