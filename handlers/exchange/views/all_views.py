"""The views of all types of contracts."""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import AnyContractType
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.handlers.exchange import views
from scopegate.handlers.exchange.views.view import ContractView

# Each module of this folder defines the view of a family, so a new one needs no entry in a list.
for _module in iter_modules(views.__path__):
    import_module(f"{views.__name__}.{_module.name}")


@cache
def view_of_type(kind: AnyContractType) -> ContractView[Any]:
    """Return the view of a type of contracts."""
    return ContractView.for_type(kind)


def view_of(terms: Terms) -> ContractView[Any]:
    """Return the view of contracts with these terms."""
    return view_of_type(TYPES[terms.contract_type])


def all_views() -> Iterator[ContractView[Any]]:
    """Return the views of all types, in the order in which types are listed."""
    return map(view_of_type, TYPES.values())
