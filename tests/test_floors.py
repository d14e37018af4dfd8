"""The direction of imports: a module imports only from floors below its own.

Rooms on one floor never meet; modules within one room may import each other, without a circle.
Imports inside functions and under TYPE_CHECKING count too: that is where circles hide.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("exchange", "gateway", "handlers", "schemas")

FLOORS: dict[str, int] = {
    "gateway.pytest_plugin": 10,
    "gateway.__main__": 9,
    "gateway.testkit": 9,
    "gateway.cli": 8,
    "gateway.testing": 8,
    "gateway.admin": 7,
    "gateway.app": 7,
    "gateway.limits_in_force": 6,
    "gateway.retention": 3,
    "gateway.server": 5,
    "gateway.site": 5,
    "gateway.connection": 4,
    "gateway.oauth": 4,
    "gateway.description": 3,
    "gateway.dispatch": 3,
    "handlers": 3,
    "gateway.calls": 2,
    "gateway.access": 2,
    "gateway.local_ca": 2,
    "gateway.market_start": 2,
    "exchange.agents": 2,
    "exchange.ledger": 2,
    "exchange.payments": 2,
    "exchange.book": 2,
    "exchange.copying": 2,
    "exchange.performance": 2,
    "exchange.desk": 2,
    "exchange.exclusion": 2,
    "exchange.markups": 2,
    "gateway.session": 1,
    "gateway.store": 1,
    "gateway.bus": 1,
    "gateway.http": 2,
    "gateway.fairness": 1,
    "gateway.clock": 0,
    "gateway.errors": 0,
    "gateway.hosts": 0,
    "gateway.limits": 0,
    "gateway.logs": 1,
    "gateway.mail": 0,
    "gateway.skim": 0,
    "gateway.settings": 1,
    "gateway.supervisor": 0,
    "gateway.token_form": 0,
    "exchange": 0,
    "schemas": 0,
}
"""The room of a module is the longest of these names that it begins with."""

STORED = {
    "exchange.agents",
    "exchange.book",
    "exchange.copying",
    "exchange.desk",
    "exchange.exclusion",
    "exchange.ledger",
    "exchange.markups",
    "exchange.payments",
}
"""The parts of `exchange` that touch the store are one room."""


def modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            if parts[-1] == "__init__":
                parts.pop()
            found[".".join(parts)] = path
    return found


MODULES = modules()


def room_of(module: str) -> str | None:
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if (name := ".".join(parts[:length])) in FLOORS:
            return name
    return None


def imports_of(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in MODULES:
                    yield alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in MODULES:
                    yield whole
                elif node.module in MODULES:
                    yield node.module


def test_every_module_has_a_floor() -> None:
    rooms = [name for name in MODULES if name not in ("gateway", "handlers")]
    assert [name for name in rooms if room_of(name) is None] == []
    assert [name for name in FLOORS if not any(room_of(m) == name for m in MODULES)] == []


def test_imports_look_down_only() -> None:
    wrong = []
    for module in MODULES:
        mine = room_of(module)
        for imported in imports_of(module):
            other = room_of(imported)
            if mine is None or other is None or other == mine or {mine, other} <= STORED:
                continue
            if FLOORS[other] >= FLOORS[mine]:
                wrong.append(f"{module} ({FLOORS[mine]}) imports {imported} ({FLOORS[other]})")
    assert wrong == []


def test_there_is_no_circle() -> None:
    open_: list[str] = []
    done: set[str] = set()

    def visit(module: str) -> None:
        assert module not in open_, " -> ".join([*open_[open_.index(module) :], module])
        if module in done:
            return
        open_.append(module)
        for imported in imports_of(module):
            if imported != module:
                visit(imported)
        open_.pop()
        done.add(module)

    for module in MODULES:
        visit(module)


def test_packages_re_export_nothing() -> None:
    for module, path in MODULES.items():
        if path.name == "__init__.py":
            assert list(imports_of(module)) == [], f"{module} re-exports"
