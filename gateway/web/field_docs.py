"""The attribute docstrings of typed dictionaries: what each field of a reply means.

For example:

    class Booked(TypedDict):
        balance: float
        \"\"\"The balance after the booking, in units of the currency.\"\"\"
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from types import ModuleType


@cache
def field_docs(typed: type) -> Mapping[str, str]:
    """The docstring of each field of a typed dictionary, inherited ones included, on one line.

    Empty where the source is not available.
    """
    found: dict[str, str] = {}
    module = sys.modules.get(typed.__module__)
    if module is not None:
        for name in _with_bases(typed.__qualname__, _classes(module)):
            found = dict(_docs(_classes(module)[name])) | found
    for base in getattr(typed, "__orig_bases__", ()):
        if isinstance(base, type) and base.__module__ != typed.__module__:
            found = {**field_docs(base), **found}
    return found


@cache
def _classes(module: ModuleType) -> Mapping[str, ast.ClassDef]:
    """The classes of a module by their qualified names."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        return {}
    return dict(_nested(tree, ""))


def _nested(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield f"{prefix}{child.name}", child
            yield from _nested(child, f"{prefix}{child.name}.")


def _with_bases(name: str, classes: Mapping[str, ast.ClassDef]) -> Iterator[str]:
    """The class and its bases of the same module, the class first."""
    waiting = [name]
    while waiting:
        name = waiting.pop(0)
        if name in classes:
            yield name
            waiting += [base.id for base in classes[name].bases if isinstance(base, ast.Name)]


def _docs(definition: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield field.target.id, " ".join(below.value.value.split())
