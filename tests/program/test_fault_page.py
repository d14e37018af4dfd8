"""`docs/faults.md` has every fault, and what it shows works."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from scopegate.gateway.calls.faults import Fault
from scopegate.handlers.exchange.feed_faults import MarketFaultKinds
from scopegate.testkit import live_gateway
from tests.program.test_pytest_plugin import PAGE as BOTS
from tests.program.test_pytest_plugin import ROOT, WITHOUT_ASYNCIO, run_pytest

PAGE = (ROOT / "docs" / "faults.md").read_text()
LINES = re.findall(r"^\| `scopegate\.fault\((.*?)\)` \|", PAGE, re.M)
KINDS = MarketFaultKinds()


def fault_of(line: str) -> Fault:
    """The fault that a line of the table begins."""

    def fault(kind: str, **options: Any) -> Fault:
        return KINDS.checked(kind, options)

    made: Fault = eval(f"fault({line})", {"fault": fault})  # noqa: S307 - a line of our own page
    return made


def test_the_table_has_every_kind() -> None:
    assert {fault_of(line).kind for line in LINES} == set(KINDS.by_name())
    assert len(set(KINDS.by_name())) == len(KINDS.kinds) >= 16


def test_the_page_names_every_option() -> None:
    for kind in KINDS.kinds:
        for option in kind.model_fields:
            assert re.search(rf"`{option}`|\b{option}=", PAGE), (kind.kind, option)


@pytest.mark.lengthy
def test_its_tests_pass(tmp_path: Path) -> None:
    named = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```$", re.M | re.S)
    files = {name: text for name, text in named.findall(PAGE) if name.startswith("test_")}
    [(_, bot)] = [found for found in named.findall(BOTS) if found[0] == "bot.py"]
    (tmp_path / "bot.py").write_text(bot)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    done = run_pytest(tmp_path, *WITHOUT_ASYNCIO, "-o", "pythonpath=.")
    assert f"{len(files)} passed" in done.stdout, done.stdout
    assert len(files) == 2


def test_its_settings_are_accepted() -> None:
    [text] = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.M | re.S)
    with live_gateway(**tomllib.loads(text)):
        pass


def test_its_commands_are_understood() -> None:
    lines = re.findall(r"^scopegate fault start (.*?) --", PAGE, re.M)
    assert len(lines) == 2
    for line in lines:
        KINDS.parsed(line)
