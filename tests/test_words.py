"""The words of the code: retired names, retired verbs in docstrings, and family checks elsewhere.

Each retired word has its replacement, because that is what a reader of the failure needs. Names
of the wire are not affected: they are keys of messages, which are strings.
"""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.product_files import ROOT, python_files

PRODUCT = ("client", "exchange", "gateway", "handlers", "runtime", "schemas", "store", "scopegate")
CHECKED = (*PRODUCT, "bench", "docs", "examples")

RETIRED_CLASSES = {
    "Wish": "QuoteRequest: what a client asks a price for",
    "Offer": "Quote: a price with its terms",
    "Life": "ContractState: a contract as the market moves",
    "Watch": "Trigger: a price at which something happens",
    "Sight": "MarketView: the market at one moment",
    "Outlook": "PriceDistribution: the price at a later moment",
    "Introducer": "MarkupPayee: who receives a markup",
    "Visitor": "Handshake: a connection before its WebSocket is open",
    "Penalty": "FailureCounter: failures of one client",
    "Standing": "Audience or AppStatus: it named two things",
    "Teller": "Publisher: what sends events",
}
"""Also retired as the last word of a longer class name, such as `TurboWish`."""

RETIRED_NAMES = {
    "told": "the name of the content, such as settings or body: a reply is not told",
    "tell": "publish, store or finish: what is done",
    "heard": "received or subscribed: what happened",
    "agree": "lock_price for a quote, handshake for TLS",
    "stranger": "plugin or third_party: whose code or app it is",
    "wish": "quote_request",
    "sight": "view",
    "outlook": "distribution",
    "visitor": "handshake",
    "second_of": "on_second",
}
"""Names of functions, parameters, variables and attributes, with or without a leading `_`."""

RETIRED_PREFIXES = {
    "MOST_": "MAX_",
    "LARGEST_": "MAX_",
    "LEAST_": "MIN_",
    "SMALLEST_": "MIN_",
    "KEPT_": "the content, such as MAX_STORED_ROWS",
}
"""First words of constants."""

RETIRED_VERBS = {
    "Tell": "Return, publish or log: code does not talk",
    "Tells": "Returns, publishes or logs: code does not talk",
    "Know": "Store or return: code does not know",
    "Knows": "Stores or returns: code does not know",
    "Reckon": "Compute",
    "Learn": "Read or receive",
    "Hear": "Receive",
    "Stand": "Name the state",
    "Whoever": "Name the role: the user, the client, the app",
    "Say": "Return or log",
    "Says": "Returns or logs",
    "Wish": "Request",
    "Take it": "Called when",
}
"""First words of docstrings, each with what to write instead."""

FAMILY_HOMES = ("exchange/contracts", "handlers/exchange/views")
"""Where code may ask of which contract family something is."""


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """The path, relative to the root, and the text of every module in these folders."""
    for folder in folders:
        for path in python_files(folder):
            yield path.relative_to(ROOT).as_posix(), path.read_text()


def names_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The names that a module defines, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def retired_names(text: str) -> list[str]:
    """The retired names that a module defines, each with its line and its replacement."""
    found = []
    for line, name in names_of(ast.parse(text)):
        plain = name.lstrip("_")
        last = re.findall(r"[A-Z][a-z]*", plain)[-1:] if plain[:1].isupper() else []
        better = (
            next((RETIRED_CLASSES[word] for word in last if word in RETIRED_CLASSES), None)
            or RETIRED_NAMES.get(plain)
            or next((new for old, new in RETIRED_PREFIXES.items() if plain.startswith(old)), None)
        )
        if better is not None:
            found.append(f"line {line}: {name}; instead: {better}")
    return found


def retired_docstrings(text: str) -> list[str]:
    """The docstrings of a module that start with a retired verb, each with its line."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = (ast.get_docstring(node) or "").partition("\n")[0]
            for verb, better in RETIRED_VERBS.items():
                if re.match(rf"{verb}\b", first):
                    name = getattr(node, "name", "the module")
                    found.append(f"{name}: “{first}” starts with {verb}; instead: {better}")
    return found


def family_classes() -> frozenset[str]:
    """The names of the classes that the families define: their terms, states, quotes and types."""
    return frozenset(
        node.name
        for _, text in sources("exchange/contracts")
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef)
    ) - {"Refusal"}


def family_checks(text: str, families: frozenset[str]) -> list[str]:
    """The `isinstance` calls and class patterns of a module that ask for the class of a family."""
    found = []
    for node in ast.walk(ast.parse(text)):
        asked: ast.AST | None = None
        if isinstance(node, ast.MatchClass):
            asked = node.cls
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("isinstance", "issubclass")
        ):
            asked = node.args[1]
        if asked is None:
            continue
        named = {part.id for part in ast.walk(asked) if isinstance(part, ast.Name)}
        named |= {part.attr for part in ast.walk(asked) if isinstance(part, ast.Attribute)}
        found += [f"a check for {name}" for name in sorted(named & families)]
    return found


def test_names_and_docstrings_use_the_words_of_the_field() -> None:
    found = {
        path: wrong
        for path, text in sources(*CHECKED)
        if (wrong := retired_names(text) + retired_docstrings(text))
    }
    assert not found


def test_only_the_families_and_their_views_ask_for_a_family() -> None:
    """Anywhere else it would be a list of families, to which a new one must be added.

    Make it a method or an attribute of the type (exchange/contracts) or of the view
    (handlers/exchange/views).
    """
    families = family_classes()
    found = {
        path: wrong
        for path, text in sources(*PRODUCT)
        if not path.startswith(FAMILY_HOMES) and (wrong := family_checks(text, families))
    }
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "class Wish: ...",
        "class TurboWish: ...",
        "def _told(): ...",
        "def look(stranger): ...",
        "self._heard = 1",
        "MOST_ROWS = 5",
        "for wish in wishes: ...",
    ],
)
def test_a_retired_name_is_found(text: str) -> None:
    assert retired_names(text)


@pytest.mark.parametrize(
    "text", ["class Watcher: ...", "almost = 1", "class Quote: ...", "life = 2"]
)
def test_other_names_are_fine(text: str) -> None:
    assert not retired_names(text)


@pytest.mark.parametrize(
    "text",
    [
        '"""Tell the time."""',
        'class A:\n    """Knows the prices."""',
        'async def f():\n    """Take it that the stream has ended."""',
    ],
)
def test_a_docstring_with_a_retired_verb_is_found(text: str) -> None:
    assert retired_docstrings(text)


def test_other_docstrings_are_fine() -> None:
    assert not retired_docstrings('"""Take bytes, and answer requests."""')


@pytest.mark.parametrize(
    "text",
    [
        "isinstance(terms, MultiplierTerms)",
        "isinstance(terms, (int, terms_module.MultiplierTerms))",
        "isinstance(terms, LookbackTerms | MultiplierTerms)",
        "match terms:\n    case MultiplierTerms(): ...",
    ],
)
def test_a_check_for_a_family_is_found(text: str) -> None:
    assert family_checks(text, family_classes())
