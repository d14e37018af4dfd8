"""The direction of imports: a module imports only from floors below its own.

Rooms on one floor never meet; modules within one room may import each other, without a circle.
Imports inside functions and under TYPE_CHECKING count too: that is where circles hide.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("exchange", "gateway", "handlers", "schemas", "scopegate")

FLOORS: dict[str, int] = {
    "scopegate.pytest_plugin": 10,
    "scopegate.__main__": 9,
    "scopegate.testkit": 9,
    "scopegate.cli": 8,
    "scopegate.testing": 8,
    "scopegate.admin": 7,
    "scopegate.app": 7,
    "scopegate.limits_in_force": 6,
    "scopegate.retention": 3,
    "scopegate.gateway.server": 5,
    "scopegate.gateway.site": 5,
    "scopegate.gateway.connection": 4,
    "scopegate.gateway.oauth": 4,
    "scopegate.gateway.description": 3,
    "scopegate.gateway.dispatch": 3,
    "scopegate.handlers": 3,
    "scopegate.gateway.calls": 2,
    "scopegate.gateway.access": 2,
    "scopegate.gateway.local_ca": 2,
    "scopegate.market_start": 2,
    "scopegate.exchange.agents": 2,
    "scopegate.exchange.ledger": 2,
    "scopegate.exchange.payments": 2,
    "scopegate.exchange.book": 2,
    "scopegate.exchange.copying": 2,
    "scopegate.exchange.performance": 2,
    "scopegate.exchange.desk": 2,
    "scopegate.exchange.exclusion": 2,
    "scopegate.exchange.markups": 2,
    "scopegate.gateway.session": 1,
    "scopegate.gateway.store": 1,
    "scopegate.gateway.bus": 1,
    "scopegate.gateway.http": 2,
    "scopegate.gateway.fairness": 1,
    "scopegate.gateway.clock": 0,
    "scopegate.gateway.errors": 0,
    "scopegate.gateway.hosts": 0,
    "scopegate.gateway.limits": 0,
    "scopegate.gateway.logs": 1,
    "scopegate.gateway.mail": 0,
    "scopegate.gateway.skim": 0,
    "scopegate.settings": 1,
    "scopegate.gateway.supervisor": 0,
    "scopegate.gateway.token_form": 0,
    "scopegate.exchange": 0,
    "scopegate.schemas": 0,
}
"""The room of a module is the longest of these names that it begins with."""

STORED = {
    "scopegate.exchange.agents",
    "scopegate.exchange.book",
    "scopegate.exchange.copying",
    "scopegate.exchange.desk",
    "scopegate.exchange.exclusion",
    "scopegate.exchange.ledger",
    "scopegate.exchange.markups",
    "scopegate.exchange.payments",
}
"""The parts of `exchange` that touch the store are one room."""


def modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).glob("*.py" if room == "scopegate" else "**/*.py")):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            if parts[0] != "scopegate":
                parts.insert(0, "scopegate")
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
    rooms = [name for name in MODULES if name not in ("scopegate", "scopegate.gateway")]
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
        if path.name == "__init__.py" and module != "scopegate":  # the public API
            assert list(imports_of(module)) == [], f"{module} re-exports"
