"""A test that leaves a process running or a file open fails, and no other test does."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.served import PATIENCE, environment

ROOT = Path(__file__).parents[1]

CONFTEST = """
from tests.leftovers import (
    no_process_is_left,
    no_process_is_left_by_fixtures,
    pytest_collection_finish,
    pytest_runtest_makereport,
    pytest_runtest_teardown,
)
"""

FAULTY = """
import subprocess
import sys
from pathlib import Path

import pytest

SLEEP = [sys.executable, "-c", "import time; time.sleep(1000)"]


class Cycle:
    def __init__(self, file):
        self.file, self.itself = file, self


def started():
    process = subprocess.Popen(SLEEP)
    with Path("started").open("a") as ids:
        ids.write(f"{process.pid} ")
    return process


def test_a_process_is_left():
    process = started()
    process.returncode = 0  # so that its end is not told by a warning


def test_a_process_is_left_by_a_failure():
    process = started()
    assert process is None


def test_a_file_is_left_in_a_cycle():
    Cycle(Path("conftest.py").open())


def test_a_file_is_left_by_a_failure():
    file = Path("conftest.py").open()
    raise ValueError(file.name) from KeyError("cause")


def test_innocent():
    pass


@pytest.fixture(scope="module")
def fixture():
    process = started()
    process.returncode = 0
    return process


def test_innocent_user(fixture):
    pass
"""


def test_a_leftover_is_ended_and_fails_only_its_own_test(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_faulty.py").write_text(FAULTY)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\nfilterwarnings = ["error"]\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "-p", "no:asyncio"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment({"COLUMNS": "200", "PYTHONPATH": str(ROOT)}),
        timeout=PATIENCE,
    )
    told = set(re.findall(r"^(PASSED|FAILED|ERROR) test_faulty\.py::(\w+)", done.stdout, re.M))
    assert told == {
        ("PASSED", "test_a_process_is_left"),
        ("ERROR", "test_a_process_is_left"),
        ("FAILED", "test_a_process_is_left_by_a_failure"),
        ("ERROR", "test_a_process_is_left_by_a_failure"),
        ("PASSED", "test_a_file_is_left_in_a_cycle"),
        ("ERROR", "test_a_file_is_left_in_a_cycle"),
        ("FAILED", "test_a_file_is_left_by_a_failure"),
        ("ERROR", "test_a_file_is_left_by_a_failure"),
        ("PASSED", "test_innocent"),
        ("PASSED", "test_innocent_user"),
        ("ERROR", "test_innocent_user"),  # the last: what its fixture left is found at the end
    }, done.stdout
    assert "still running after the test: [" in done.stdout
    assert "still running after all tests: [" in done.stdout
    assert done.stdout.count("left unclosed:") >= 2
    ids = (tmp_path / "started").read_text().split()
    assert len(ids) == 3
    for number in ids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(number), 0)
