"""The pytest plugin of Scopegate: the fixtures `scopegate` and `scopegate_replay`, and a mark.

Rule: pytest loads this in every run where Scopegate is installed, so it imports nothing of the
gateway before a test asks for one.
"""

import inspect
import re
import sys
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from scopegate.recordings.replay import Replays
    from scopegate.testkit import LiveGateway

_MARK = (
    "scopegate(seed=..., start=..., market=..., balance=..., currency=..., handlers=...,"
    " **settings): the initial state and settings of the gateway in the fixture `scopegate`"
)


_CONFIGURED = "in pyproject.toml, under [tool.pytest.ini_options], write "
_ASYNCIO = (
    "an asynchronous test needs a plugin that runs it: install pytest-asyncio and, "
    f'{_CONFIGURED}asyncio_mode = "auto" and asyncio_default_fixture_loop_scope = "function"'
)
_PATH = f'{_CONFIGURED}pythonpath = ["."]'


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for reports."""
    parser.getgroup("scopegate").addoption(
        "--scopegate-report",
        metavar="DIR",
        default=None,
        help="write a report of each test with the fixture scopegate, as a page and as JSON",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark, also for `--strict-markers`."""
    config.addinivalue_line("markers", _MARK)


@pytest.fixture
def scopegate(request: pytest.FixtureRequest) -> Iterator["LiveGateway"]:
    """A separate gateway for the test, on a free port, with a clock that the test moves.

    `@pytest.mark.scopegate(balance="500.00")` sets how it begins. Several marks (on the test, its
    class, its module) add up; if they differ, the nearest wins.
    """
    from scopegate.gateway.calls.registry import DeclarationError
    from scopegate.settings import SettingsError
    from scopegate.testkit import live_gateway

    if _is_run_by_nobody(request.node):
        pytest.fail(_ASYNCIO, pytrace=False)
    options: dict[str, Any] = {}
    for mark in request.node.iter_markers("scopegate"):
        if mark.args:
            pytest.fail(f"the mark takes only keyword arguments: {_MARK}", pytrace=False)
        options = {**mark.kwargs, **options}
    if isinstance(options.get("market"), Mapping):
        folder = request.path.parent  # as the test's file names them
        options["market"] = {name: folder / path for name, path in options["market"].items()}
    try:
        with live_gateway(**options) as gateway:
            yield gateway
            folder = request.config.getoption("--scopegate-report")
            if folder is not None:
                _write_report(gateway, request.node.nodeid, folder)
    except DeclarationError as wrong:
        missing = isinstance(wrong.__cause__, ModuleNotFoundError)
        hint = f". If its folder is not on the path, {_PATH}" if missing else ""
        pytest.fail(f"the gateway cannot start: {wrong}{hint}", pytrace=False)
    except SettingsError as wrong:
        pytest.fail(f"the gateway cannot start: {wrong}", pytrace=False)


@pytest.fixture
def scopegate_replay(request: pytest.FixtureRequest) -> Iterator["Replays"]:
    """Serves recordings: `replay = scopegate_replay("session.jsonl")`, beside the test's file.

    The test fails if a bot does anything else than what is recorded.
    """
    from scopegate.recordings.replay import Replays

    if _is_run_by_nobody(request.node):
        pytest.fail(_ASYNCIO, pytrace=False)
    replays = Replays(request.path.parent)
    yield replays
    replays.close()


def _write_report(gateway: "LiveGateway", title: str, folder: str) -> None:
    from scopegate.reports.page import write
    from scopegate.reports.trades import ReportError

    try:
        write(gateway.report(title), folder)
    except ReportError as problem:
        pytest.fail(f"--scopegate-report: {problem}", pytrace=False)


def _is_run_by_nobody(item: pytest.Item) -> bool:
    """Return whether a test is a coroutine that no plugin runs, as far as can be seen.

    pytest-asyncio makes another kind of item of it; anyio and trio use marks.
    """
    return (
        type(item) is pytest.Function
        and inspect.iscoroutinefunction(item.function)
        and not any(item.get_closest_marker(name) for name in ("asyncio", "anyio", "trio"))
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail the test if a bot has failed, or has not done what is recorded.

    Also if the test did not ask for the bot's result.
    """
    result = yield
    testkit = sys.modules.get("scopegate.testkit")
    replay = sys.modules.get("scopegate.recordings.replay")
    for value in getattr(item, "funcargs", {}).values():
        if testkit is not None and isinstance(value, testkit.LiveGateway):
            value.check_bots()
        if replay is not None and isinstance(value, replay.Replays):
            value.close()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Name the missing `pythonpath` if a test cannot import a module of the project's root."""
    report = yield
    if report.failed and isinstance(collector, pytest.Module):
        for name in _not_found(report.longreprtext):
            root = collector.config.rootpath
            is_shadowed = (root / f"{name}.py").exists() or (root / name).is_dir()
            if is_shadowed and "scopegate" in collector.path.read_text(errors="replace"):
                hint = f"{name} is in {root}, which is not on the path: {_PATH}"
                report.sections.append(("scopegate", hint))
    return report


def _not_found(text: str) -> list[str]:
    """Return the top-level modules that could not be found."""
    return re.findall(r"ModuleNotFoundError: No module named '([A-Za-z0-9_]+)", text)
