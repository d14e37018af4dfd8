"""docs/log.md lists every warning and error that the product logs, with its level, and no other.

The events are read from the code: the first argument of each `log.warning`, `log.error` and so on.
It must be a literal (with `…` on the page for each value in an f-string), or the first part of an
item of `problems`, which the store logs once callers have their answers. Anything else raises
`UnreadableError`, so that no event is overlooked.
"""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import pytest

from tests.product_files import PACKAGES, ROOT, python_files

PAGE = (ROOT / "docs" / "log.md").read_text()
OPERATING = (ROOT / "docs" / "operating.md").read_text()
HEAD = "| event | level | meaning, and what to do |"

METHODS = {
    "warning": "warning",
    "warn": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
    "fatal": "critical",
}
"""The methods of a logger, each with the level at which it logs."""

LOGGERS = ("log", "_core_log")
"""The only names of loggers."""

PASSES_ON = "scopegate/logs.py"
"""Where the lines of libraries are logged, at their own level."""


class UnreadableError(Exception):
    """The text of an event cannot be read from the code."""


class Line(NamedTuple):
    """An event, as the page has it, and its level."""

    event: str
    level: str


def text_of(expression: ast.expr) -> str:
    """The text of a literal, with `…` for each value in it."""
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        return expression.value
    if isinstance(expression, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "…" for part in expression.values
        )
    raise UnreadableError(ast.unparse(expression))


def from_problems(tree: ast.Module) -> frozenset[int]:
    """The ids of the calls in `for event, _ in problems` that log `event`."""
    found: set[int] = set()
    for loop in ast.walk(tree):
        match loop:
            case ast.For(
                target=ast.Tuple(elts=[ast.Name(id=event), _]), iter=ast.Name(id="problems")
            ):
                found |= {
                    id(call)
                    for call in ast.walk(loop)
                    if isinstance(call, ast.Call)
                    and call.args
                    and isinstance(call.args[0], ast.Name)
                    and call.args[0].id == event
                }
    return frozenset(found)


def lines_in(source: str) -> Iterator[Line]:
    """The lines that a module can log from the level warning on."""
    tree = ast.parse(source)
    later = from_problems(tree)
    known = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in LOGGERS
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="get_logger" | "getLogger")):
                if id(node) not in known:
                    raise UnreadableError(f"{ast.unparse(node)} not under one of {LOGGERS}")
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="log" | "msg")) if (
                name in LOGGERS
            ):
                raise UnreadableError(f"the level of {ast.unparse(node)}")
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method), args=args) if (
                name in LOGGERS and method in METHODS
            ):
                if id(node) in later:
                    if METHODS[method] != "error":
                        raise UnreadableError("problems are logged as errors")
                elif not args:
                    raise UnreadableError(ast.unparse(node))
                else:
                    yield Line(text_of(args[0]), METHODS[method])
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="problems"), attr="append"), args=[item]
            ):
                if not isinstance(item, ast.Tuple):
                    raise UnreadableError(ast.unparse(node))
                yield Line(text_of(item.elts[0]), "error")
            case (
                ast.Call(
                    func=ast.Attribute(value=ast.Name(id="problems"), attr="extend" | "insert")
                )
                | ast.AugAssign(target=ast.Name(id="problems"))
            ):
                raise UnreadableError(ast.unparse(node))


@cache
def logged() -> frozenset[Line]:
    """All lines that the product can log from the level warning on."""
    found: set[Line] = set()
    for folder in (*PACKAGES, "scopegate"):
        for file in python_files(folder):
            path = file.relative_to(ROOT).as_posix()
            if path != PASSES_ON:
                try:
                    found.update(lines_in(file.read_text()))
                except UnreadableError as problem:
                    raise AssertionError(f"{path}: use a literal instead of {problem}") from None
    return frozenset(found)


def rows(page: str) -> Iterator[tuple[str, str, str]]:
    """The rows of the tables of events: the event, its level, its meaning."""
    within = False
    for line in page.splitlines():
        within = line == HEAD or (within and line.startswith("|"))
        if within and line != HEAD and not line.startswith("|---"):
            event, level, meaning = (cell.strip() for cell in line.strip("|").split(" | ", 2))
            yield event, level, meaning


def wrong(page: str, lines: Iterable[Line]) -> list[str]:
    """What the page lacks, and what it has that is not logged, is there twice or has no meaning."""
    listed = [Line(event.strip("`"), level) for event, level, _ in rows(page)]
    found = [f"missing: {line.event} ({line.level})" for line in sorted(set(lines) - set(listed))]
    found += [
        f"not logged: {line.event} ({line.level})" for line in sorted(set(listed) - set(lines))
    ]
    found += [f"twice: {line.event}" for line in sorted(set(listed)) if listed.count(line) > 1]
    return found + [f"no meaning: {event}" for event, _, meaning in rows(page) if not meaning]


def test_the_page_has_every_line_that_can_be_logged_and_no_other() -> None:
    lines = logged()
    assert wrong(PAGE, lines) == []
    assert len(lines) > 40


def test_the_lines_for_an_alarm_are_logged() -> None:
    section = OPERATING.partition("\n## The log\n")[2].partition("\n## ")[0]
    named = {line[3:-1] for line in section.splitlines() if line.startswith("- `")}
    assert named
    assert named <= {line.event for line in logged()}


def test_what_is_wrong_with_a_page_is_found() -> None:
    page = f"""
{HEAD}
|---|---|---|
| `good` | error | nothing to do |
| `gone` | error | nothing to do |
| `milder` | error | nothing to do |
| `double` | error | this |
| `double` | error | that |
| `bare` | error |  |

| other | tables |
|---|---|
| `good` | are not read |
"""
    lines = [
        Line("good", "error"),
        Line("new", "error"),
        Line("milder", "warning"),
        Line("double", "error"),
        Line("bare", "error"),
    ]
    assert wrong(page, lines) == [
        "missing: milder (warning)",
        "missing: new (error)",
        "not logged: gone (error)",
        "not logged: milder (error)",
        "twice: double",
        "no meaning: `bare`",
    ]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('log.warning("a b", c=1)', Line("a b", "warning")),
        ('log.error("a " "b", c=1)', Line("a b", "error")),
        ('log.exception("a b")', Line("a b", "error")),
        ('log.critical(f"a {b} c")', Line("a … c", "critical")),
        ('problems.append((f"a {b}", problem))', Line("a …", "error")),
    ],
)
def test_a_line_is_found(source: str, line: Line) -> None:
    assert list(lines_in(source)) == [line]


@pytest.mark.parametrize(
    "source",
    [
        'log = structlog.get_logger("a")',
        'log.info("a")',
        "task.exception()",
        "for event, why in problems:\n    log.error(event, exc_info=why)",
    ],
)
def test_what_adds_no_line_is_left_out(source: str) -> None:
    assert list(lines_in(source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "log.error(event)",
        "log.error(event='a')",
        "logger = structlog.get_logger('a')",
        "log.log(level, 'a')",
        "problems.append(item)",
        "problems.append((event, why))",
        "problems.extend(others)",
        "problems += others",
        "for event, why in problems:\n    log.warning(event)",
        "for event, why in others:\n    log.error(event)",
    ],
)
def test_a_line_that_cannot_be_read_is_refused(source: str) -> None:
    with pytest.raises(UnreadableError):
        list(lines_in(source))
