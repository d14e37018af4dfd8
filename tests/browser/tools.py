"""The tools that these tests take from the machine: the browser, and what npm installed.

Where one is missing a test is skipped with the reason, and fails in CI: there it would hide.
"""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

NODE_MODULES = Path(__file__).parent / "node_modules"


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def chromium() -> str:
    """Where the browser is that the machine has; none is ever downloaded."""
    return shutil.which("chromium") or missing("chromium is missing: apt install chromium")


def node_module(name: str) -> Path:
    """The folder of a package that npm installed."""
    if not (NODE_MODULES / "made").exists():
        missing("tests/browser/node_modules is missing: make test makes it, where npm is installed")
    return NODE_MODULES / name
