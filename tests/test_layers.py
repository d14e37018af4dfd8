"""The direction of imports: folders are the architecture, and each imports only from those below.

Modules of one folder may import each other, without a circle. Imports inside functions and under
TYPE_CHECKING count too: that is where circles hide.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.product_files import PACKAGES, ROOT, python_files

LAYERS = (
    ("client", "runtime", "schemas"),
    ("store",),
    ("exchange", "gateway/calls"),
    ("gateway/access",),
    ("gateway/transport",),
    ("gateway/web",),
    ("handlers/gateway",),
    ("handlers/exchange",),
    ("scopegate",),
)
"""From the lowest up; folders of one layer do not import each other."""

APART = {
    frozenset({"exchange", "gateway"}),
    frozenset({"exchange", "handlers/gateway"}),
}
"""Packages that know nothing of each other: a gateway runs without the exchange."""

PUBLIC = ("scopegate", "scopegate.client")
"""The packages whose names others import from them."""


def modules() -> dict[str, Path]:
    """The modules by the names under which they are imported."""
    found: dict[str, Path] = {}
    for package in (*PACKAGES, "scopegate"):
        for path in python_files(package):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            if parts[-1] == "__init__":
                parts.pop()
            found[".".join(["scopegate", *parts] if package != "scopegate" else parts)] = path
    return found


MODULES = modules()
FOLDERS = {folder: number for number, layer in enumerate(LAYERS) for folder in layer}


def folder_of(module: str) -> str | None:
    """The folder of `FOLDERS` in which a module is."""
    path = MODULES[module].relative_to(ROOT).as_posix()
    return next((folder for folder in FOLDERS if path.startswith(f"{folder}/")), None)


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


def test_every_module_is_in_a_layer() -> None:
    assert [name for name in MODULES if folder_of(name) is None] == [
        "scopegate.gateway",
        "scopegate.handlers",
    ]
    assert all((ROOT / folder / "__init__.py").exists() for folder in FOLDERS)


def _apart(one: str, other: str) -> bool:
    packages = [{folder, folder.split("/")[0]} for folder in (one, other)]
    return any(frozenset({a, b}) in APART for a in packages[0] for b in packages[1])


def test_imports_look_down_only() -> None:
    wrong = []
    for module in MODULES:
        mine = folder_of(module)
        for imported in imports_of(module):
            other = folder_of(imported)
            if mine is None or other is None or mine == other:
                continue
            if FOLDERS[other] >= FOLDERS[mine] or _apart(mine, other):
                wrong.append(f"{module} imports {imported}")
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
        if path.name == "__init__.py" and module not in PUBLIC:
            assert list(imports_of(module)) == [], f"{module} re-exports"


def test_the_documentation_lists_the_layers() -> None:
    rows = (ROOT / "docs" / "architecture.md").read_text().splitlines()
    told: dict[int, set[str]] = {}
    for row in rows:
        if row.startswith("| ") and row.count("|") == 4 and row.split("|")[1].strip().isdigit():
            number, folder = (cell.strip() for cell in row.split("|")[1:3])
            told.setdefault(int(number), set()).add(folder.strip("`/"))
    assert told == {number: set(layer) for number, layer in enumerate(LAYERS, 1)}


def test_the_gateway_tells_the_order_of_its_folders() -> None:
    text = (ROOT / "gateway" / "__init__.py").read_text()
    told = [line.split("`")[1] for line in text.splitlines() if line.startswith("- `")]
    inside = [folder for layer in LAYERS for folder in layer if folder.startswith("gateway/")]
    assert [f"gateway/{name}" for name in told] == inside


def test_numpy_is_imported_in_the_exchange_alone() -> None:
    """A gateway without the exchange does not load it."""
    found = set()
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.split(".")[0] == "numpy" for name in names):
                found.add(module.split(".")[1])
    assert found == {"exchange"}
