"""The fixture `scopegate`, in projects of bots' authors: pytest runs in a folder of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.served import PATIENCE, environment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing-bots.md").read_text()
PAGES = (PAGE, (ROOT / "docs" / "restricted-tokens.md").read_text())
TEASER = re.findall(r"^```python\n(@pytest.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)


def run_pytest(folder: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the tests in this folder, without any configuration but strictness."""
    (folder / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\n"
        'addopts = ["--strict-markers", "-p", "no:cacheprovider"]\n'
        'filterwarnings = ["error"]\n'
    )
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", *options],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment({"COLUMNS": "200", **variables}),
        timeout=PATIENCE,
    )


WITHOUT_ASYNCIO = ("-p", "no:asyncio")

GOOD = """
import json

import pytest
from websockets.sync.client import connect

pytestmark = pytest.mark.scopegate(balance="7.00", seed="module")


def signed_in(scopegate):
    with connect(scopegate.url) as socket:
        socket.send(json.dumps({"authorize": scopegate.token("read")}))
        return json.loads(socket.recv())["authorize"]


@pytest.mark.parametrize("number", range(4))
def test_each_has_its_own(scopegate, number):
    assert signed_in(scopegate)["balance"] == 7
    scopegate.set_balance("8.00")
    scopegate.clock.advance(number)


@pytest.mark.scopegate(balance="9.00")
class TestNearer:
    def test_of_its_class(self, scopegate):
        assert scopegate.balance() == 9

    @pytest.mark.scopegate(balance="11.00", currency="EUR")
    def test_of_its_own(self, scopegate):
        assert scopegate.balance() == 11
        assert signed_in(scopegate)["currency"] == "EUR"


def test_without_a_gateway():
    pass
"""


@pytest.mark.lengthy
def test_it_works_without_further_ado_in_parallel_and_leaves_nothing(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (tmp_path / "test_bot.py").write_text(GOOD)
    done = run_pytest(tmp_path, *WITHOUT_ASYNCIO, "-n", "2", TMPDIR=str(scratch))
    assert "7 passed" in done.stdout, done.stdout
    assert done.returncode == 0
    assert list(scratch.glob("scopegate-*")) == []


WRONG = """
import pytest


@pytest.mark.scopegate(balance="lots")
def test_balance(scopegate):
    pass


@pytest.mark.scopegate("500.00")
def test_without_a_name(scopegate):
    pass


@pytest.mark.scopegate(handlers="no_such_module")
def test_handlers(scopegate):
    pass
"""


@pytest.mark.lengthy
def test_a_mark_that_is_wrong_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "test_bot.py").write_text(WRONG)
    done = run_pytest(tmp_path, *WITHOUT_ASYNCIO)
    assert done.returncode == 1
    for line in (
        "ERROR test_bot.py::test_balance - Failed: the gateway cannot start: balance: 'lots' is"
        " not a valid amount of USD",
        "ERROR test_bot.py::test_without_a_name - Failed: the mark takes only keyword arguments:"
        " scopegate(seed=",
        "ERROR test_bot.py::test_handlers - Failed: the gateway cannot start:"
        " cannot import no_such_module",
    ):
        assert line in done.stdout
    assert "Traceback" not in done.stdout


FAILING = """
import pytest

from scopegate.testkit import live_gateway


def fail():
    raise LookupError("the bot's own problem")


@pytest.fixture(scope="module")
def exchange():
    with live_gateway() as made:
        yield made


def test_nobody_asks(scopegate):
    scopegate.run(fail)


def test_nobody_asks_another(exchange):
    exchange.run(fail)


def test_the_test_asks(scopegate, exchange):
    for each in (scopegate, exchange):
        with pytest.raises(LookupError):
            each.run(fail).result(timeout=10)
"""


@pytest.mark.lengthy
def test_a_test_fails_with_its_bot(tmp_path: Path) -> None:
    (tmp_path / "test_bot.py").write_text(FAILING)
    done = run_pytest(tmp_path, *WITHOUT_ASYNCIO)
    assert "2 failed, 1 passed" in done.stdout, done.stdout
    for name in ("test_nobody_asks", "test_nobody_asks_another"):
        assert f"FAILED test_bot.py::{name} - LookupError: the bot's own problem" in done.stdout
    assert "The bot fail, run by scopegate.run, has failed." in done.stdout


@pytest.mark.lengthy
def test_a_setting_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "my_bot.py").write_text("")
    (tmp_path / "my_calls.py").write_text("")
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_beside.py").write_text("import my_bot\n\ndef test_it(scopegate): ...\n")
    (tests / "test_other.py").write_text("import my_bot\n")  # none of our business
    (tests / "test_calls.py").write_text(
        "import pytest\n\n"
        "@pytest.mark.scopegate(handlers='my_calls')\n"
        "def test_it(scopegate): ...\n\n"
        "async def test_later(scopegate): ...\n"
    )
    path = 'in pyproject.toml, under [tool.pytest.ini_options], write pythonpath = ["."]'
    options = (*WITHOUT_ASYNCIO, "--continue-on-collection-errors")
    done = run_pytest(tmp_path, *options, PYTHONSAFEPATH="1")  # as `pytest` runs by its own name
    assert done.returncode == 1
    beside = f"my_bot is in {tmp_path}, which is not on the path: {path}"
    assert done.stdout.count(beside) == 1, done.stdout
    calls = "cannot import my_calls: ModuleNotFoundError: No module named 'my_calls'"
    assert f"{calls}. If its folder is not on the path, {path}" in done.stdout
    later = "an asynchronous test needs a plugin that runs it: install pytest-asyncio and, in"
    assert later in done.stdout
    assert 'asyncio_mode = "auto"' in done.stdout


@pytest.mark.lengthy
@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_asynchronous_tests_run_with_the_settings_that_are_named(tmp_path: Path, mode: str) -> None:
    mark = "" if mode == "auto" else "import pytest\n\n@pytest.mark.asyncio\n"
    (tmp_path / "test_bot.py").write_text(f"{mark}async def test_it(scopegate): ...\n")
    scope = "asyncio_default_fixture_loop_scope=function"
    done = run_pytest(tmp_path, "-o", f"asyncio_mode={mode}", "-o", scope)
    assert "1 passed" in done.stdout, done.stdout


def test_it_costs_nothing_where_nobody_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "test_bot.py").write_text(
        "import sys\n\ndef test_it():\n"
        "    assert 'scopegate.pytest_plugin' in sys.modules\n"
        "    assert {'numpy', 'pydantic', 'scopegate.testkit'}.isdisjoint(sys.modules)\n"
    )
    done = run_pytest(tmp_path, *WITHOUT_ASYNCIO)
    assert done.returncode == 0, done.stdout


@pytest.mark.lengthy
def test_the_programs_of_the_pages_are_good(tmp_path: Path) -> None:
    """Those that have a name; the others are parts of one."""
    shown = re.compile(r"^```python\n(# (\w+\.py)\n.*?)^```$", re.M | re.S)
    programs = [program for page in PAGES for program in shown.findall(page)]
    for program, name in programs:
        (tmp_path / name).write_text(program)
    names = ["bot.py", "test_bot.py", "conftest.py", "test_running.py", "test_async.py"]
    assert [name for _, name in programs] == [*names, "test_caps.py"]
    [teaser] = TEASER
    (tmp_path / "test_teaser.py").write_text(f"import bot\nimport pytest\n\n\n{teaser}")
    (tmp_path / "test_shared.py").write_text(
        "def test_it(exchange):\n    assert exchange.balance() == 500\n"
    )
    done = run_pytest(tmp_path, "-o", "asyncio_default_fixture_loop_scope=function")
    assert done.returncode == 0, done.stdout
    assert "8 passed" in done.stdout
