"""The threat model names tests and modules that exist, and a test for each threat."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache

from tests.product_files import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
HEAD = "| threat | defence | test |"
OF_OAUTH = "| recommendation | in the gateway | test |"
REFERENCE = re.compile(r"`([\w/]+\.py)::(\w+)`")
FILE = re.compile(r"`((?:exchange|gateway|handlers|runtime|schemas|scopegate|store)/[\w/.]*)`")


def threats(page: str, head: str = HEAD) -> Iterator[tuple[str, str, str]]:
    """The rows of the tables with this head: the threat, its defence, its tests."""
    within = False
    for line in page.splitlines():
        within = line == head or (within and line.startswith("|"))
        if within and line != head and not line.startswith("|---"):
            threat, defence, tests = (cell.strip() for cell in line.strip("|").split(" | "))
            yield threat, defence, tests


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the test functions of a file; none if there is no such file."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    found = ast.walk(ast.parse(file.read_text()))
    return frozenset(
        node.name
        for node in found
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


def wrong(page: str) -> list[str]:
    """What the page names that is not there, and threats without a test."""
    missing = [
        f"{path}::{test}" for path, test in REFERENCE.findall(page) if test not in names_in(path)
    ]
    missing += [path for path in FILE.findall(page) if not (ROOT / path).exists()]
    bare = [
        f"no test: {threat}"
        for head in (HEAD, OF_OAUTH)
        for threat, defence, tests in threats(page, head)
        if not (threat and defence and REFERENCE.search(tests))
    ]
    return missing + bare


def test_the_page_names_what_exists_and_a_test_for_each_threat() -> None:
    assert wrong(PAGE) == []
    assert len(list(threats(PAGE))) > 50
    assert len(list(threats(PAGE, OF_OAUTH))) > 25


def test_what_is_wrong_with_a_page_is_found() -> None:
    page = f"""
{HEAD}
|---|---|---|
| good | `store/files.py` | `tests/test_words.py::test_other_names_are_fine` |
| gone | done | `tests/test_words.py::test_that_never_was` |
| moved | `store/no_such.py` | `tests/test_moved.py::test_other_names_are_fine` |
| bare | done |  |

{OF_OAUTH}
|---|---|---|
| 2.1 fine | done | `tests/test_words.py::test_other_names_are_fine` |
| 2.2 bare | done | soon |
"""
    assert wrong(page) == [
        "tests/test_words.py::test_that_never_was",
        "tests/test_moved.py::test_other_names_are_fine",
        "store/no_such.py",
        "no test: bare",
        "no test: 2.2 bare",
    ]


def test_the_security_rules_are_on() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    lint = tools["ruff"]["lint"]
    assert "S" in lint["select"]
    assert not [rule for rule in lint["ignore"] if rule.startswith("S")]
    product = ("exchange/", "gateway/", "handlers/", "runtime/", "scopegate/", "store/")
    for folder, rules in lint["per-file-ignores"].items():
        assert not (folder.startswith(product) and [rule for rule in rules if rule.startswith("S")])
    # Of what bandit looks for, only what ruff looks for as well is left out.
    assert set(tools["bandit"]) == {"skips"}
    assert set(tools["bandit"]["skips"]) == {"B101", "B105", "B301", "B311", "B403", "B404", "B608"}
    checks = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    assert "ruff check $(SOURCES)" in checks
    assert "bandit -q -c pyproject.toml -r $(PRODUCT)" in checks
